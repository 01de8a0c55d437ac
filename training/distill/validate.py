"""Predictions of a student on labelled images, as the runtime would show them to it, and their metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet
from orpose_models.evaluate.coco import box_metrics, keypoint_metrics
from orpose_models.evaluate.results import Result
from orpose_models.network.student import Student
from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.letterbox import Letterbox
from training.data.dataset import Item, Size, image_tensor, read_image
from training.distill import processes


@dataclass(frozen=True)
class Prediction:
    """People found on one image, in its px: boxes `(N, 4)` xyxy, scores `(N,)`, keypoints `(N, 17, 3)`."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]


@torch.no_grad()
def predict(student: Student, items: Sequence[Item], size: Size, factor: float) -> list[Prediction]:
    """One prediction an item, at network input `size` (w, h) and privacy downsampling `factor`.

    Of several processes each looks at every W-th item, and all get all predictions.
    """
    was_training = student.training
    student.eval()
    own = [_predict_one(student, item, size, factor) for item in items[processes.rank() :: processes.world_size()]]
    student.train(was_training)
    shares = processes.gather(own)
    return [shares[number % len(shares)][number // len(shares)] for number in range(len(items))]


def _predict_one(student: Student, item: Item, size: Size, factor: float) -> Prediction:
    image = read_image(item.path)
    letterbox = Letterbox.fit((image.shape[1], image.shape[0]), size)
    network_input = letterbox.apply(privacy_downsample(image, factor))
    device = next(student.parameters()).device
    result = {k: v.cpu() for k, v in student([image_tensor(network_input).to(device).float() / 255])[0].items()}
    boxes = letterbox.points_to_frame(result["boxes"].numpy().reshape(-1, 2, 2)).reshape(-1, 4)
    keypoints = result["keypoints"].numpy().copy()
    keypoints[..., :2] = letterbox.points_to_frame(keypoints[..., :2])
    return Prediction(boxes, result["scores"].numpy(), keypoints)


def labels_of(items: Sequence[Item]) -> AnnotationSet:
    """The items' labels as one set; images are numbered 0, 1, … in the items' order."""
    images = tuple(replace(item.image, image_id=number) for number, item in enumerate(items))
    persons = tuple(replace(p, image_id=number) for number, item in enumerate(items) for p in item.persons)
    return AnnotationSet(images=images, persons=persons)


def results_of(predictions: Sequence[Prediction]) -> list[Result]:
    """COCO results of predictions whose images are numbered 0, 1, …"""
    results = []
    for number, prediction in enumerate(predictions):
        for box, score, keypoints in zip(prediction.boxes, prediction.scores, prediction.keypoints, strict=True):
            x1, y1, x2, y2 = box.tolist()
            bbox = [x1, y1, x2 - x1, y2 - y1]
            results.append(
                {"image_id": number, "bbox": bbox, "score": float(score), "keypoints": keypoints.ravel().tolist()}
            )
    return results


def validate(student: Student, items: Sequence[Item], size: Size, factors: Sequence[float]) -> dict[str, float]:
    """Box AP50 and AP and keypoint AP at each downsampling factor, e.g. `box_ap50@12x`."""
    labels, metrics = labels_of(items), {}
    for factor in factors:
        results = results_of(predict(student, items, size, factor))
        boxes, keypoints = box_metrics(labels, results), keypoint_metrics(labels, results)
        metrics[f"box_ap50@{factor:g}x"] = boxes["AP50"]
        metrics[f"box_ap@{factor:g}x"] = boxes["AP"]
        metrics[f"keypoint_ap@{factor:g}x"] = keypoints["AP"]
    return {name: round(value, 4) for name, value in metrics.items()}
