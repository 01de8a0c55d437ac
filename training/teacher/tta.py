"""Multi-scale and flip test-time augmentation of the first two stages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou, nms

from training.teacher.config import BoxViews, Views
from training.teacher.stages import PLAIN, Boxes, BoxStage, Image, KeypointStage, View


def views_of(config: Views) -> tuple[View, ...]:
    """Every scale, plain and then mirrored."""
    return tuple(View(scale, flip) for scale in config.scales for flip in (False, True)[: 1 + config.flip])


class AugmentedBoxes:
    """A box stage seen through several views, whose boxes are merged (detectron2's GeneralizedRCNNWithTTA).

    One plain view is the stage itself.
    """

    def __init__(self, stage: BoxStage, config: BoxViews) -> None:
        self.stage = stage
        self.views = views_of(config)
        self.config = config

    def detect(self, images: Sequence[Image], scale: float = 1.0) -> list[Boxes]:
        if self.views == (PLAIN,):
            return self.stage.detect(images, scale)
        found = [self._seen(images, View(view.scale * scale, view.flip)) for view in self.views]
        return [merge_boxes(views, self.config) for views in zip(*found, strict=True)]

    def _seen(self, images: Sequence[Image], view: View) -> list[Boxes]:
        if not view.flip:
            return self.stage.detect(images, view.scale)
        mirrored = self.stage.detect([np.ascontiguousarray(image[:, ::-1]) for image in images], view.scale)
        return [
            Boxes(flip_boxes(boxes.xyxy, image.shape[1]), boxes.scores)
            for boxes, image in zip(mirrored, images, strict=True)
        ]


def flip_boxes(xyxy: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Boxes `(N, 4)` of the mirrored image."""
    return np.stack([width - xyxy[:, 2], xyxy[:, 1], width - xyxy[:, 0], xyxy[:, 3]], axis=1)


def merge_boxes(views: Sequence[Boxes], config: BoxViews) -> Boxes:
    """One image's people from several views' boxes.

    `nms` keeps the best box of those that overlap, with its score. `weighted` takes the mean, by score, of the kept
    box and of those it suppressed; its score is the mean over the views of the best one in each, 0 where a view has
    none, so that what one view alone sees counts little (weighted boxes fusion, Solovyev 2021).
    """
    xyxy = torch.from_numpy(np.concatenate([boxes.xyxy for boxes in views]))
    scores = torch.from_numpy(np.concatenate([boxes.scores for boxes in views]))
    kept = nms(xyxy, scores, config.merge_iou)
    if config.merge == "nms" or len(kept) == 0:
        return Boxes.sorted(xyxy[kept].numpy(), scores[kept].numpy())
    overlaps = box_iou(xyxy, xyxy[kept])
    owner = overlaps.argmax(dim=1)  # a kept box is its own
    weight = torch.zeros(len(xyxy), len(kept))
    weight[torch.arange(len(xyxy)), owner] = scores.clamp(min=1e-6)
    best = torch.stack([part.amax(dim=0) for part in weight.split([len(boxes) for boxes in views]) if len(part)])
    merged = weight.T @ xyxy / weight.sum(dim=0)[:, None]
    return Boxes.sorted(merged.numpy(), (best.sum(dim=0) / len(views)).numpy())


def augmented_joints(
    stage: KeypointStage, image: Image, boxes: NDArray[np.float32], views: Sequence[View]
) -> NDArray[np.float32]:
    """Joints `(N, 17, 3)` read from the mean of all views' heatmaps."""
    return augmented_and_plain_joints(stage, image, boxes, views)[0]


def augmented_and_plain_joints(
    stage: KeypointStage, image: Image, boxes: NDArray[np.float32], views: Sequence[View], *, plain: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`augmented_joints`, and those of the plain view alone; without `plain` the second ones are the first."""
    if len(boxes) == 0:
        return np.zeros((0, 17, 3), np.float32), np.zeros((0, 17, 3), np.float32)
    total, alone = None, None
    for view in views:
        maps = stage.heatmaps(image, boxes, view)
        total = maps if total is None else total + maps
        alone = maps if view == PLAIN else alone
    assert total is not None
    augmented = stage.decode(total / len(views), boxes)
    if not plain:
        return augmented, augmented
    return augmented, stage.decode(stage.heatmaps(image, boxes, PLAIN) if alone is None else alone, boxes)
