"""How far hanging cloth lies in front of the joints under it: a knee under a gown is seen where the gown is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rooms.cameras import Camera
from training.synthetic_or.scenes.people import Person

#: Hips and knees hang behind gowns, skirts and aprons; what hides ankles from above is not their own cloth.
_UNDER_SKIRTS = (11, 12, 13, 14)
#: Cloth farther before a joint than this (m) hides it.
_THICKEST_M = 0.27
_NEAR_RAY_M = 0.05


def cloth_before(person: Person, camera: Camera) -> NDArray:
    """`(17,)` m: from each COCO-17 joint to the hanging cloth between it and the camera."""
    before = np.zeros(17)
    if person.hanging is None:
        return before
    cloth = camera.camera_points_from_room(person.hanging.vertices)
    joints = camera.camera_points_from_room(person.body.coco)[list(_UNDER_SKIRTS)]
    distance = np.linalg.norm(joints, axis=1)
    rays = joints / distance[:, None]
    along = cloth @ rays.T  # (V, 4) m from the camera along each joint's ray
    beside = np.sqrt(np.maximum((cloth**2).sum(1)[:, None] - along**2, 0.0))
    in_front = np.where(beside < _NEAR_RAY_M, distance - along, 0.0)
    before[list(_UNDER_SKIRTS)] = in_front.max(axis=0, initial=0.0).clip(0.0, _THICKEST_M)
    return before
