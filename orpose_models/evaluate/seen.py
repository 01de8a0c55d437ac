"""Evaluating seen joints alone: rendered labels know the hidden ones as well, which people hardly ever label."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet

Joints = Literal["all", "seen"]
#: COCO's flag of a joint that is seen; 1: labelled, but hidden.
_SEEN = 2


def with_joints(annotations: AnnotationSet, joints: Joints) -> AnnotationSet:
    """The labels without 2D and 3D joints whose flag is not 2; whoever has none left does not count for joints."""
    if joints == "all":
        return annotations
    persons = tuple(
        replace(person, keypoints=_seen_2d(person.keypoints), keypoints_3d=_seen_3d(person.keypoints_3d))
        for person in annotations.persons
    )
    return replace(annotations, persons=persons)


def _seen_2d(keypoints: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """`(J, 3)`, 0 throughout where the flag is below 2: the PCK knows missing joints by their place (0, 0)."""
    if keypoints is None:
        return None
    return np.where(keypoints[:, 2:] < _SEEN, 0.0, keypoints)


def _seen_3d(joints: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """`(17, 4)` with the flag 0 where it is below 2; places stay, as poses are measured relative to hidden hips too."""
    if joints is None:
        return None
    return np.column_stack([joints[:, :3], np.where(joints[:, 3] < _SEEN, 0.0, joints[:, 3])])
