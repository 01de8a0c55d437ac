"""Cameras of a room file from a calibration: the `cameras` of a label file, or MVOR's `cameras_info`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orpose_models.errors import CalibrationError, ConfigError
from orpose_models.multiview.calibration import read_cameras

_INTRINSICS = ("model", "image_size", "fx", "fy", "cx", "cy", "distortion")


def read_calibration(path: Path) -> list[dict[str, Any]]:
    """The cameras as values of `RoomCamera`.

    MVOR's poses are those of its room, whose origin lies about a metre above the floor: `floor_centre_m` says where.

    Raises:
        ConfigError: The file cannot be read, or a camera in it has no pose or cannot be.
    """
    try:
        found = read_cameras(path)
    except CalibrationError as error:
        raise ConfigError(str(error)) from None
    cameras = []
    for name, camera in found.items():
        assert camera.room_from_camera is not None
        intrinsics = {key: getattr(camera, key) for key in _INTRINSICS}
        cameras.append({"name": name, **intrinsics, "room_from_camera": camera.room_from_camera.tolist()})
    return cameras
