"""A teacher: three stages in a row, from images to soft and hard pseudo labels (Srivastav 2020; SSPCM 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel
from orpose_models.runtime.models import REFERENCE_INPUT_SIZE
from orpose_models.skeleton import H36M17_SOURCES
from training.data.geometry import lifter_matrix, moved_points
from training.teacher.config import TeacherConfig
from training.teacher.sspcm import Corrected, correct
from training.teacher.stages import Boxes, BoxStage, Image, KeypointStage, LiftStage
from training.teacher.tta import AugmentedBoxes, augmented_and_plain_joints, augmented_joints, views_of

#: Shorter sides of a box, px, are no person.
_MIN_SIDE_PX = 1.0
#: The soft set has every joint: its lifter takes none for unknown.
_LEAST = 1e-3
#: Annotation ids of an image's people start at its image id times this (TeacherConfig.max_people is below it).
IDS_PER_IMAGE = 1000


@dataclass(frozen=True)
class Teacher:
    """The three stages, SSPCM's second network for the joints where there is one, and what becomes a label."""

    boxes: BoxStage
    keypoints: KeypointStage
    lifting: LiftStage
    config: TeacherConfig
    other_keypoints: KeypointStage | None = None

    def label(self, images: Sequence[Image], image_ids: Sequence[int]) -> list[list[PersonLabel]]:
        """The people of each image `(H, W, 3)` BGR, best first."""
        found = AugmentedBoxes(self.boxes, self.config.box_views).detect(images)
        return [
            self._label_one(image, image_id, boxes)
            for image, image_id, boxes in zip(images, image_ids, found, strict=True)
        ]

    def _label_one(self, image: Image, image_id: int, boxes: Boxes) -> list[PersonLabel]:
        boxes = usable_boxes(boxes, image.shape, self.config.box_threshold, self.config.max_people)
        joints = self._joints(image, boxes.xyxy)
        # letterboxed into the frame that lifters count in, as into the network's input
        to_lifter = lifter_matrix((image.shape[1], image.shape[0]), REFERENCE_INPUT_SIZE)
        return pseudo_labels(boxes, joints, self.lifting, self.config.joint_threshold, to_lifter, image_id)

    def _joints(self, image: Image, boxes: NDArray[np.float32]) -> NDArray[np.float32] | Corrected:
        views, sspcm = views_of(self.config.keypoint_views), self.config.sspcm
        if sspcm is None or self.other_keypoints is None:
            return augmented_joints(self.keypoints, image, boxes, views)
        plain = sspcm.correction.pairs == "all"
        first, second = (
            augmented_and_plain_joints(stage, image, boxes, views, plain=plain)
            for stage in (self.keypoints, self.other_keypoints)
        )
        return correct((first[0], second[0]), (first[1], second[1]), boxes, sspcm.correction)


def usable_boxes(boxes: Boxes, shape: tuple[int, ...], threshold: float, max_people: int) -> Boxes:
    """The best boxes with at least the score `threshold`, cut to the image of `shape` (H, W, ...)."""
    height, width = shape[:2]
    xyxy = boxes.xyxy.clip(0, [width, height, width, height]).astype(np.float32)
    kept = (boxes.scores >= threshold) & ((xyxy[:, 2:] - xyxy[:, :2]) >= _MIN_SIDE_PX).all(axis=1)
    return Boxes(xyxy[kept][:max_people], boxes.scores[kept][:max_people])


def pseudo_labels(
    boxes: Boxes,
    joints: NDArray[np.float32] | Corrected,
    lifting: LiftStage,
    threshold: float,
    to_lifter: NDArray[np.float64],
    image_id: int,
) -> list[PersonLabel]:
    """Soft and hard set of one image's people, and the 3D of each (Srivastav 2020).

    The soft set holds all joints with their confidence, the hard set those of at least `threshold`; the others are
    0, 0, 0. S3D = lifter(S2D), H3D = lifter(H2D). A 3D joint has flag 2 where all joints it is made of are hard, else
    1; a person without a hard joint has no H3D (flag 0).

    Args:
        boxes: The people.
        joints: `(N, 17, 3)` x, y px, confidence; of SSPCM's, only those that may be hard enter the hard set, and all
            have its weights.
        lifting: The third stage.
        threshold: Of the hard set.
        to_lifter: `(2, 3)` affine from image px to the lifter's.
        image_id: Theirs.
    """
    if len(boxes) == 0:
        return []
    soft = np.array(joints.joints if isinstance(joints, Corrected) else joints, np.float64)
    soft[..., 2] = soft[..., 2].clip(0, 1)
    allowed = joints.may_be_hard if isinstance(joints, Corrected) else np.ones(soft.shape[:2], bool)
    is_hard = (soft[..., 2] >= threshold) & allowed
    hard = np.concatenate([soft[..., :2], np.full((len(soft), 17, 1), 2.0)], axis=-1) * is_hard[..., None]
    frame_px = moved_points(soft[..., :2], to_lifter)
    flags = np.stack([1 + is_hard[:, list(sources)].all(axis=1) for sources in H36M17_SOURCES], axis=1)[..., None]
    soft_3d = np.concatenate([lifting.lift(frame_px, soft[..., 2].clip(_LEAST, 1)), flags], axis=-1)
    hard_3d = np.concatenate([lifting.lift(frame_px, soft[..., 2].clip(_LEAST, 1) * is_hard), flags], axis=-1)
    hard_3d *= np.asarray(is_hard.any(axis=1))[:, None, None]
    return [
        PersonLabel(
            annotation_id=image_id * IDS_PER_IMAGE + number + 1,
            image_id=image_id,
            bbox=np.concatenate([box[:2], box[2:] - box[:2]]).astype(np.float64),
            keypoints=hard[number],
            score=round(float(score), 5),
            keypoints_soft=soft[number],
            keypoints_3d_soft=soft_3d[number],
            keypoints_3d_hard=hard_3d[number],
            joint_weight=joints.weight[number].astype(np.float64) if isinstance(joints, Corrected) else None,
        )
        for number, (box, score) in enumerate(zip(boxes.xyxy, boxes.scores, strict=True))
    ]
