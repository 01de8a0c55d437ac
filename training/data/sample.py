"""One training sample: an image and its people's labels as arrays, and the targets the student's losses take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel

PELVIS = 0


@dataclass
class Sample:
    """An image with N people; augmentations replace its fields.

    Attributes:
        image: `(H, W, 3)` uint8 BGR.
        boxes: `(N, 4)` x1, y1, x2, y2 px (pixel edges).
        crowd: `(N,)` bool: regions that are neither person nor background.
        soft: `(N, 17, 3)` COCO-17 x, y (px), confidence in [0, 1].
        hard: `(N, 17, 3)` COCO-17 x, y (px), v: trained where above 0.
        soft_3d: `(N, 17, 4)` Human3.6M-17 x, y, z (mm, pelvis-relative, camera axes), flag: used where above 0.
        hard_3d: Likewise, for the hard branch.
        joint_weight: `(N, 17)` factor of each joint's 2D losses; SSPCM's, 1 for ground truth.
        frame_size: Width and height of the camera's frame, px, also where `image` is a letterboxed view of it.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    crowd: NDArray[np.bool_]
    soft: NDArray[np.float32]
    hard: NDArray[np.float32]
    soft_3d: NDArray[np.float32]
    hard_3d: NDArray[np.float32]
    joint_weight: NDArray[np.float32]
    frame_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.boxes)


def sample_from_labels(
    image: NDArray[np.uint8], persons: list[PersonLabel], *, hidden_confidence: float, hard_hidden: bool
) -> Sample:
    """The sample of a camera's frame and its labels.

    Ground truth is the case of distillation in which soft and hard labels are the same: visible joints (v = 2) have
    confidence 1 and are hard labels; hidden ones (v = 1) have `hidden_confidence`, and are hard if `hard_hidden`.
    Pseudo labels bring their own soft labels, weights and 3D; a joint of weight 0 is no label at all.
    """
    count = len(persons)
    boxes = np.array([p.bbox for p in persons], np.float32).reshape(count, 4)
    boxes[:, 2:] += boxes[:, :2]
    soft, hard = np.zeros((2, count, 17, 3), np.float32)
    soft_3d, hard_3d = np.zeros((2, count, 17, 4), np.float32)
    for row, person in enumerate(persons):
        soft[row], hard[row], soft_3d[row], hard_3d[row] = joints_of(person, hidden_confidence, hard_hidden)
    crowd = np.array([p.is_crowd for p in persons], bool)
    weights = [np.ones(17) if p.joint_weight is None else p.joint_weight for p in persons]
    joint_weight = np.array(weights, np.float32).reshape(count, 17)
    frame_size = (image.shape[1], image.shape[0])
    return Sample(image, boxes, crowd, soft, hard, soft_3d, hard_3d, joint_weight, frame_size)


def joints_of(
    person: PersonLabel, hidden_confidence: float, hard_hidden: bool
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """A person's soft, hard `(17, 3)`, soft_3d and hard_3d `(17, 4)` labels as in `Sample`; zeros: unlabelled."""
    soft, hard = np.zeros((2, 17, 3), np.float32)
    if person.keypoints is not None:
        soft, hard = _joints_2d(person, hidden_confidence, hard_hidden)
    return soft, hard, *joints_3d_of(person)


def _joints_2d(person: PersonLabel, hidden_confidence: float, hard_hidden: bool) -> tuple[NDArray, NDArray]:
    assert person.keypoints is not None
    hard = person.keypoints.astype(np.float32)
    if person.keypoints_soft is None:
        soft = hard.copy()
        soft[:, 2] = np.select([hard[:, 2] >= 2, hard[:, 2] >= 1], [1.0, hidden_confidence], 0.0)
        if not hard_hidden:
            hard[:, 2] = np.where(hard[:, 2] >= 2, 2, 0)
    else:
        soft = person.keypoints_soft.astype(np.float32)
    if person.joint_weight is not None:
        soft[person.joint_weight <= 0, 2] = 0
        hard[person.joint_weight <= 0, 2] = 0
    return soft, hard


def joints_3d_of(person: PersonLabel) -> tuple[NDArray, NDArray]:
    """A person's soft_3d and hard_3d `(17, 4)` labels as in `Sample`; zeros: unlabelled."""
    if person.keypoints_3d_soft is not None:
        soft = person.keypoints_3d_soft.astype(np.float32)
        hard = soft if person.keypoints_3d_hard is None else person.keypoints_3d_hard.astype(np.float32)
        return soft, hard
    if person.keypoints_3d is None or person.keypoints_3d[PELVIS, 3] <= 0:
        return np.zeros((17, 4), np.float32), np.zeros((17, 4), np.float32)
    relative = person.keypoints_3d.astype(np.float32)
    relative[:, :3] -= relative[PELVIS, :3]
    return relative, relative


def place_unknown_joints(sample: Sample, rng: np.random.Generator) -> Sample:
    """Puts soft joints without confidence (never labelled, or cut off by the border) anywhere in the person's box.

    The soft lifter reads all 17 joints, and this is where the network's arg-max will put such a joint. Heatmaps do not
    learn it. In the hard label a dropped joint stays dropped: its lifter gets 0 px (Srivastav 2020).
    """
    corner, size = sample.boxes[:, None, :2], sample.boxes[:, None, 2:] - sample.boxes[:, None, :2]
    guess = corner + rng.random((len(sample), 17, 2)) * size
    soft = sample.soft.copy()
    soft[..., :2] = np.where(soft[..., 2:] > 0, soft[..., :2], guess)
    return replace(sample, soft=soft)


def targets_from_sample(sample: Sample) -> dict[str, torch.Tensor]:
    """The target dictionary of one image; see the student's docstring for keys, shapes and frames."""
    keep = ~sample.crowd
    return {
        "boxes": torch.from_numpy(sample.boxes[keep]),
        "labels": torch.ones(int(keep.sum()), dtype=torch.int64),
        "keypoints_soft": torch.from_numpy(sample.soft[keep]),
        "keypoints_hard": torch.from_numpy(sample.hard[keep]),
        "keypoints_3d_soft": torch.from_numpy(sample.soft_3d[keep]),
        "keypoints_3d_hard": torch.from_numpy(sample.hard_3d[keep]),
        "joint_weights": torch.from_numpy(sample.joint_weight[keep]),
        "crowd_boxes": torch.from_numpy(sample.boxes[sample.crowd]),
    }
