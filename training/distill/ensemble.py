"""What several networks say of the same images: boxes, joints of given boxes, pseudo labels (SSPCM 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from orpose_models.annotations import PersonLabel
from orpose_models.network.backbone import normalise
from orpose_models.network.heads import KEYPOINT_CELLS
from orpose_models.network.roi_align import pool_rois
from orpose_models.network.student import Student
from training.data.dataset import Size
from training.data.geometry import lifter_matrix
from training.distill.config import InteractiveConfig
from training.teacher.config import BoxViews
from training.teacher.network import decode_joints, lift_joints
from training.teacher.sspcm import Corrected, correct, uncorrected
from training.teacher.stages import Boxes
from training.teacher.teacher import pseudo_labels, usable_boxes
from training.teacher.tta import merge_boxes

People = list[list[PersonLabel]]
_MERGED = BoxViews(merge="weighted")


class Look:
    """One network's look at images `(B, 3, H, W)` in 0-1; its features are computed once.

    The network must be in evaluation mode as long as this is used.
    """

    @torch.no_grad()
    def __init__(self, student: Student, images: Tensor) -> None:
        self.student = student
        self.batch = ImageList(images, [(int(images.shape[-2]), int(images.shape[-1]))] * len(images))
        self.features = student.pyramid(normalise(images))

    @torch.no_grad()
    def people(self) -> list[Boxes]:
        """The people in each image, px."""
        proposals, _ = self.student.rpn(self.batch, {str(i): each for i, each in enumerate(self.features)})
        found = self.student.heads.detect(self.features, proposals, self.batch.image_sizes)
        return [Boxes.sorted(each["boxes"].cpu().numpy(), each["scores"].cpu().numpy()) for each in found]

    @torch.no_grad()
    def joints(self, boxes: Sequence[Boxes]) -> list[NDArray[np.float32]]:
        """Joints `(N, 17, 3)` x, y px, score, of the given people of each image."""
        heads, device = self.student.heads, self.features[0].device
        rois = [torch.from_numpy(each.xyxy).to(device) for each in boxes]
        if not any(map(len, rois)):
            return [np.zeros((0, 17, 3), np.float32) for _ in boxes]
        maps = heads.keypoint(pool_rois(self.features, rois, KEYPOINT_CELLS, self.student.preset)).mean(dim=1)
        joints = decode_joints(heads, maps, np.concatenate([each.xyxy for each in boxes]))
        return np.split(joints, np.cumsum([len(each) for each in boxes])[:-1])


class MeanLift:
    """Lifts by the mean of several networks, which must be in evaluation mode."""

    def __init__(self, *students: Student) -> None:
        self.students = students

    def lift(self, joints: NDArray, confidence: NDArray) -> NDArray[np.float32]:
        lifted = [lift_joints(student.heads, joints, confidence) for student in self.students]
        return np.mean(lifted, axis=0, dtype=np.float32)


def interactive_labels(
    teachers: tuple[Student, Student], snapshots: tuple[Student, Student], images: Tensor, config: InteractiveConfig
) -> tuple[People, People, People]:
    """Pseudo labels of images `(B, 3, H, W)` in 0-1: T1's own, T2's own, and the corrected ensemble's.

    Each teacher's own labels depend on that teacher alone. The ensemble's people are both teachers' boxes merged, so
    that all four networks tell the joints of the same people.
    """
    with evaluating(*teachers, *snapshots):
        first, second = (Look(teacher, images) for teacher in teachers)
        found = (first.people(), second.people())
        merged = [merge_boxes(pair, _MERGED) for pair in zip(*found, strict=True)]
        own, other, both = (_usable(boxes, images, config) for boxes in (*found, merged))
        current = (first.joints(both), second.joints(both))
        before = current
        if config.correction.pairs == "all":
            before = (Look(snapshots[0], images).joints(both), Look(snapshots[1], images).joints(both))
        corrected = [
            correct((a, b), (c, d), boxes.xyxy, config.correction)
            for a, b, c, d, boxes in zip(*current, *before, both, strict=True)
        ]
        size: Size = (int(images.shape[-1]), int(images.shape[-2]))
        return (
            _labels(own, _alone(first, own, config), MeanLift(teachers[0]), config, size),
            _labels(other, _alone(second, other, config), MeanLift(teachers[1]), config, size),
            _labels(both, corrected, MeanLift(*teachers), config, size),
        )


@contextmanager
def evaluating(*students: Student) -> Iterator[None]:
    """Puts networks into evaluation mode, and back into the mode that each was in."""
    modes = [student.training for student in students]
    for student in students:
        student.eval()
    try:
        yield
    finally:
        for student, mode in zip(students, modes, strict=True):
            student.train(mode)


def _usable(found: Sequence[Boxes], images: Tensor, config: InteractiveConfig) -> list[Boxes]:
    shape = (int(images.shape[-2]), int(images.shape[-1]))
    return [usable_boxes(boxes, shape, config.box_threshold, len(boxes)) for boxes in found]


def _alone(look: Look, boxes: Sequence[Boxes], config: InteractiveConfig) -> list[Corrected]:
    return [uncorrected(joints, config.correction) for joints in look.joints(boxes)]


def _labels(
    boxes: Sequence[Boxes], joints: Sequence[Corrected], lifting: MeanLift, config: InteractiveConfig, size: Size
) -> People:
    to_lifter = lifter_matrix(size, size)
    return [
        pseudo_labels(people, found, lifting, config.joint_threshold, to_lifter, number)
        for number, (people, found) in enumerate(zip(boxes, joints, strict=True))
    ]
