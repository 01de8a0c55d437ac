"""Metres for a calibration from people, out of depth images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import CalibrationError
from orpose_models.multiview.people import PeopleCalibration

#: Depth ends at the clothes, joints lie this far behind, m.
_BEHIND_SURFACE_M = 0.08
#: Joints needed; fewer may all be hidden.
_LEAST_JOINTS = 50


def scale_from_depth(
    calibration: PeopleCalibration, depths: Sequence[Mapping[str, NDArray[np.float64] | None]]
) -> float:
    """What to multiply by: the median, over joints, of measured over triangulated depth.

    Args:
        calibration: From people.
        depths: Camera -> `(H, W)` depth image (m, NaN where unknown) of the moments that it was made from.

    Raises:
        CalibrationError: Too few joints have depth.
    """
    cameras, seen = calibration.adjusted.cameras, calibration.seen
    moment_of_point = np.repeat(calibration.moments, calibration.known.sum(axis=1))
    ratios = []
    for index, (name, camera) in enumerate(cameras.items()):
        assert camera.room_from_camera is not None
        for place in np.flatnonzero(seen.camera == index):
            point = seen.point[place]
            depth_m = depths[moment_of_point[point]].get(name)
            if depth_m is None:
                continue
            in_camera = (calibration.adjusted.points[point] - camera.room_from_camera[:3, 3]) @ camera.room_from_camera[
                :3, :3
            ]
            measured = _depth_at(depth_m, seen.pixels[place], camera.image_size)
            if np.isfinite(measured) and in_camera[2] > 0:
                ratios.append((measured + _BEHIND_SURFACE_M) / in_camera[2])
    if len(ratios) < _LEAST_JOINTS:
        raise CalibrationError(
            f"{len(ratios)} joints have depth, expected {_LEAST_JOINTS} or more; give a label file with depth, or "
            "--scale height"
        )
    return float(np.median(ratios))


def _depth_at(depth_m: NDArray[np.float64], pixel: NDArray[np.float64], image_size: tuple[int, int]) -> float:
    """The median of 3x3 px around a place in the image, NaN outside or where nothing is known."""
    height, width = depth_m.shape
    column, row = (int(value) for value in pixel * (width, height) / image_size)
    if not (0 <= column < width and 0 <= row < height):
        return float("nan")
    values = depth_m[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")
