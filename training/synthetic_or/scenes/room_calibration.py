"""Cameras of a room file from a calibration: the `cameras` of a label file, or MVOR's `cameras_info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from orpose_models.annotations import annotations_from_dict
from orpose_models.errors import AnnotationError, ConfigError

_INTRINSICS = ("model", "image_size", "fx", "fy", "cx", "cy", "distortion")
_HELP = "expected a label file with 'cameras', or MVOR's with 'cameras_info'"


def read_calibration(path: Path) -> list[dict[str, Any]]:
    """The cameras as values of `RoomCamera`.

    MVOR's poses are those of its room (`firstCamToRoomRef`), whose origin lies about a metre above the floor:
    `floor_centre_m` says where. Its distortion is left out: the published images follow the pinhole model (the file's
    own 3D joints are a median of 7 px off without it and 29 px with it near the border).

    Raises:
        ConfigError: The file cannot be read, or a camera in it has no pose or cannot be.
    """
    try:
        root = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: calibration cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: calibration is not JSON ({error})") from None
    if isinstance(root, dict) and isinstance(root.get("cameras_info"), dict):
        return _mvor(root["cameras_info"], path)
    if not isinstance(root, dict) or not root.get("cameras"):
        raise ConfigError(f"{path}: no cameras: {_HELP}")
    return _labelled(root["cameras"], path)


def _labelled(entries: Any, path: Path) -> list[dict[str, Any]]:
    try:
        found = annotations_from_dict({"images": [], "annotations": [], "cameras": entries}, source=str(path)).cameras
    except AnnotationError as error:
        raise ConfigError(str(error)) from None
    cameras = []
    for name, camera in found.items():
        if camera.room_from_camera is None:
            raise ConfigError(f"{path}: camera {name}: room_from_camera: missing, the room file needs poses")
        intrinsics = {key: getattr(camera, key) for key in _INTRINSICS}
        cameras.append({"name": name, **intrinsics, "room_from_camera": camera.room_from_camera.tolist()})
    return cameras


def _mvor(info: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    try:
        parameters = info["camParams"]
        room_from_first = np.array(parameters["firstCamToRoomRef"], float).reshape(4, 4)
        cameras = []
        for index, (entry, extrinsics) in enumerate(
            zip(parameters["intrinsics"], parameters["extrinsics"], strict=True), start=1
        ):
            room_from_camera = room_from_first @ np.array(extrinsics, float).reshape(4, 4)
            room_from_camera[:3, 3] /= 1000.0  # mm
            (fx, fy), (cx, cy) = entry["focallength"], entry["principalpoint"]
            cameras.append(
                {
                    "name": f"cam{index}", "image_size": entry["imagesize"], "fx": fx, "fy": fy, "cx": cx, "cy": cy,
                    "room_from_camera": room_from_camera.tolist(),
                }
            )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: cameras_info: not as MVOR's ({type(error).__name__}: {error})") from None
    return cameras
