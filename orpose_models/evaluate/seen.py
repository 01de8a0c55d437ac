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
        replace(person, keypoints=_seen(person.keypoints), keypoints_3d=_seen(person.keypoints_3d))
        for person in annotations.persons
    )
    return replace(annotations, persons=persons)


def _seen(labelled: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """`(J, D)` whose last column is the flag, 0 where it is below 2."""
    if labelled is None:
        return None
    hidden = labelled[:, -1] < _SEEN
    return np.where(hidden[:, None], 0.0, labelled)
