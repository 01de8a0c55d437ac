"""How far calibrations are from each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera


class Difference(NamedTuple):
    """Of one camera's pose against another camera's, found and true."""

    turn_deg: float
    """Angle between the directions."""
    shift_m: float
    """Distance between the places."""
    distance_ratio: float
    """Found over true distance of the two cameras."""


def differences(found: Mapping[str, Camera], true: Mapping[str, Camera]) -> dict[str, Difference]:
    """Camera -> its pose seen from the first camera, in both: so the choice of the room's frame does not matter.

    One camera at least must be in both.
    """
    first, *others = (name for name in found if name in true)
    result = {}
    for name in others:
        own, real = (np.linalg.inv(_pose(each[first])) @ _pose(each[name]) for each in (found, true))
        turn = own[:3, :3].T @ real[:3, :3]
        angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
        lengths = np.linalg.norm(own[:3, 3]), np.linalg.norm(real[:3, 3])
        result[name] = Difference(
            float(angle), float(np.linalg.norm(own[:3, 3] - real[:3, 3])), float(lengths[0] / lengths[1])
        )
    return result


def _pose(camera: Camera) -> NDArray[np.float64]:
    assert camera.room_from_camera is not None
    return np.asarray(camera.room_from_camera)
