"""Box and keypoint average precision by the COCO protocol, computed by pycocotools itself."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from orpose_models.annotations import AnnotationSet, annotations_to_dict
from orpose_models.errors import AnnotationError, BackendError
from orpose_models.evaluate.results import Result

Kind = Literal["bbox", "keypoints"]

BOX_METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
               "AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large")  # fmt: skip
KEYPOINT_METRICS = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")


def box_metrics(
    annotations: AnnotationSet, results: Sequence[Result], *, keep_label_ids: bool = False
) -> dict[str, float]:
    """COCO box metrics (`BOX_METRICS`), in 0-1; -1 where no label is of that kind.

    Args:
        annotations: Labels; the box's area where a label has none.
        results: With bbox [x, y, w, h] px and score.
        keep_label_ids: pycocotools takes a match with the label of id 0 for a miss, and published figures of files
            that have one (MVOR) hold that. True repeats them; by default labels are numbered from 1.
    """
    return _summarised(evaluated(annotations, results, "bbox", keep_label_ids=keep_label_ids), BOX_METRICS)


def keypoint_metrics(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, float]:
    """COCO keypoint metrics (`KEYPOINT_METRICS`), in 0-1. Results need keypoints (17 x (x, y, score)) and score.

    Raises:
        AnnotationError: The labels are not of COCO's 17 joints.
    """
    return _summarised(evaluated(annotations, results, "keypoints"), KEYPOINT_METRICS)


def evaluated(
    annotations: AnnotationSet, results: Sequence[Result], kind: Kind, *, keep_label_ids: bool = False
) -> Any:
    """A COCOeval that has matched every image (`evaluate()`), not accumulated yet. Arguments as of the metrics."""
    if kind == "keypoints" and annotations.skeleton.num_joints != 17:
        raise AnnotationError(f"keypoint AP needs COCO-17 labels, got {annotations.skeleton.name}; use mvor-pck")
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise BackendError(f"pycocotools: {error}; pip install 'orpose[evaluate]'") from None
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints; a library must not
        labels = COCO()
        labels.dataset = _coco_labels(annotations, keep_label_ids)
        labels.createIndex()
        detections = labels.loadRes(_coco_results(results, kind)) if results else COCO()
        if not results:
            detections.dataset = {"images": labels.dataset["images"], "annotations": [], "categories": []}
            detections.createIndex()
        evaluation = COCOeval(labels, detections, kind)
        evaluation.params.imgIds = sorted(image.image_id for image in annotations.images)
        evaluation.params.catIds = [1]
        evaluation.evaluate()
    return evaluation


def _summarised(evaluation: Any, names: Sequence[str]) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    return {name: float(value) for name, value in zip(names, evaluation.stats, strict=True)}


def _coco_labels(annotations: AnnotationSet, keep_label_ids: bool) -> dict[str, Any]:
    labels = annotations_to_dict(annotations)
    for number, entry in enumerate(labels["annotations"], start=1):
        entry["id"] = entry["id"] if keep_label_ids else number
        if "keypoints" not in entry:
            entry["keypoints"], entry["num_keypoints"] = [0.0] * (3 * annotations.skeleton.num_joints), 0
    return labels


def _coco_results(results: Sequence[Result], kind: str) -> list[Result]:
    entries = []
    for result in results:
        entry = {"image_id": int(result["image_id"]), "category_id": 1, "score": float(result["score"])}
        entry[kind] = np.asarray(result[kind], dtype=float).ravel().tolist()
        entries.append(entry)
    return entries
