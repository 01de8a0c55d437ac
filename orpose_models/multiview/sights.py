"""A person as one calibrated camera sees it: rays in the room, and the lifted pose turned into room axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera
from orpose_models.runtime.types import Person
from orpose_models.skeleton import h36m17_from_coco17, h36m17_scores_from_coco17
from orpose_models.units import MILLIMETRES_PER_METRE

#: A joint of score 0 still counts this much: where a person is, even bad joints tell.
LEAST_WEIGHT = 0.05


@dataclass(frozen=True, eq=False)
class Sight:
    """One person in one view. Joints are Human3.6M-17, the frame is the room's.

    Attributes:
        camera: Name of the camera.
        person: What was found there.
        centre: `(3,)` place of the camera, m.
        directions: `(17, 3)` unit rays to the joints; NaN where the lens shows nothing.
        weights: `(17,)` how much each joint counts, the square of its score; 0 without a ray.
        scores: `(17,)` in [0, 1].
        lifted: `(17, 3)` pose relative to the pelvis, m.
    """

    camera: str
    person: Person
    centre: NDArray[np.float64]
    directions: NDArray[np.float64]
    weights: NDArray[np.float64]
    scores: NDArray[np.float64]
    lifted: NDArray[np.float64]


def sights_of(camera: Camera, persons: Sequence[Person]) -> list[Sight]:
    """The people in one image of a camera whose `room_from_camera` is known; lens and image in the same px.

    People of whom no joint has a ray are left out.
    """
    assert camera.room_from_camera is not None
    rotation, centre = camera.room_from_camera[:3, :3], camera.room_from_camera[:3, 3]
    sights = []
    for person in persons:
        joints_px = h36m17_from_coco17(person.keypoints[:, :2].astype(np.float64))
        scores = np.nan_to_num(h36m17_scores_from_coco17(person.keypoints[:, 2].astype(np.float64)))
        directions = camera.lens.rays(joints_px) @ rotation.T
        has_ray = np.isfinite(directions).all(axis=1)
        if not has_ray.any():
            continue
        lifted = person.keypoints_3d[:, :3].astype(np.float64) / MILLIMETRES_PER_METRE @ rotation.T
        weights = np.where(has_ray, np.maximum(scores**2, LEAST_WEIGHT), 0.0)
        sights.append(Sight(camera.camera_id, person, centre, directions, weights, scores, lifted))
    return sights
