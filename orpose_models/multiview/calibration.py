"""Calibration files: intrinsics and poses of a room's cameras, in our label files' `cameras` or in MVOR's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, Camera, annotations_from_dict, annotations_to_dict
from orpose_models.errors import AnnotationError, CalibrationError
from orpose_models.files import write_atomically
from orpose_models.intrinsics import lens_from_file
from orpose_models.units import MILLIMETRES_PER_METRE

#: How far a matrix may be from a rotation.
_ROTATION_TOLERANCE = 1e-3
#: Difference of aspects that is still a rounding.
_ASPECT_TOLERANCE = 0.01
_EXPECTED = "expected a file of `orpose calibrate`, a label file with 'cameras', or MVOR's with 'cameras_info'"


def read_cameras(path: str | Path, *, need_poses: bool = True) -> dict[str, Camera]:
    """Camera name -> camera, from our own JSON or MVOR's annotation file (its cameras are cam1, cam2, cam3).

    MVOR's poses become those of its room (`firstCamToRoomRef`, metres). Its distortion is left out: the published
    images follow the pinhole model (the file's own 3D joints are a median of 7 px off without it and 29 px with it near
    the border).

    Args:
        path: The file.
        need_poses: Whether each camera must have `room_from_camera`.

    Raises:
        CalibrationError: The file cannot be read, has no cameras, or a camera in it cannot be.
    """
    path = Path(path)
    try:
        root = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(f"{path}: calibration cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise CalibrationError(f"{path}: calibration is not JSON ({error})") from None
    if isinstance(root, dict) and isinstance(root.get("cameras_info"), dict):
        cameras = _mvor(root["cameras_info"], str(path))
    elif isinstance(root, dict) and root.get("cameras"):
        cameras = _labelled(root["cameras"], str(path))
    else:
        raise CalibrationError(f"{path}: no cameras: {_EXPECTED}")
    for name, camera in cameras.items():
        if camera.room_from_camera is not None:
            check_pose(camera.room_from_camera, f"{path}: camera '{name}'")
        elif need_poses:
            raise CalibrationError(
                f"{path}: camera '{name}': room_from_camera: missing; make the poses with `orpose calibrate`"
            )
    return cameras


def read_lenses(path: Path) -> dict[str, Camera]:
    """Camera name -> camera, whose pose need not be known: as `read_cameras`, or of camera_calibration's YAML file.

    Raises:
        CalibrationError: The file cannot be read, or a camera in it cannot be.
    """
    if path.suffix not in (".yaml", ".yml"):
        return read_cameras(path, need_poses=False)
    name, size, lens = lens_from_file(path)
    return {name: Camera(name, lens.model, size, lens.fx, lens.fy, lens.cx, lens.cy, lens.distortion)}


def write_cameras(path: Path, cameras: Mapping[str, Camera], info: Mapping[str, Any]) -> None:
    """Writes a file that `read_cameras` reads; `info` says how it was made.

    Raises:
        InputError: It cannot be written.
    """
    content = annotations_to_dict(AnnotationSet((), (), cameras=cameras, info=info))
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def check_pose(room_from_camera: NDArray, where: str) -> None:
    """Raises CalibrationError unless the `(4, 4)` matrix is a rotation and a translation."""
    rotation, determinant = room_from_camera[:3, :3], float(np.linalg.det(room_from_camera[:3, :3]))
    if abs(determinant - 1) > 3 * _ROTATION_TOLERANCE:
        mirrored = "; the matrix is probably mirrored" if abs(determinant + 1) < 3 * _ROTATION_TOLERANCE else ""
        raise CalibrationError(f"{where}: rotation determinant {determinant:.4f}, expected +1{mirrored}")
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=_ROTATION_TOLERANCE):
        raise CalibrationError(f"{where}: its axes are not at right angles; expected a rotation in room_from_camera")
    if not np.allclose(room_from_camera[3], (0, 0, 0, 1)):
        raise CalibrationError(f"{where}: last row {room_from_camera[3].tolist()}, expected 0 0 0 1")


def for_image_size(camera: Camera, image_size: tuple[int, int]) -> Camera:
    """The same camera delivering images of another size, width and height in px.

    Raises:
        CalibrationError: Another aspect: the images are cut, not scaled, and the calibration is not theirs.
    """
    if image_size == camera.image_size:
        return camera
    sx, sy = (new / old for new, old in zip(image_size, camera.image_size, strict=True))
    if abs(sx / sy - 1) > _ASPECT_TOLERANCE:
        raise CalibrationError(
            f"camera '{camera.camera_id}': calibrated at {camera.image_size[0]}x{camera.image_size[1]}, its images are "
            f"{image_size[0]}x{image_size[1]}, another aspect; calibrate it at this size"
        )
    return replace(
        camera, image_size=image_size, fx=camera.fx * sx, fy=camera.fy * sy, cx=camera.cx * sx, cy=camera.cy * sy
    )


def _labelled(entries: Any, source: str) -> dict[str, Camera]:
    try:
        return dict(annotations_from_dict({"images": [], "annotations": [], "cameras": entries}, source=source).cameras)
    except AnnotationError as error:
        raise CalibrationError(str(error)) from None


def _mvor(info: Mapping[str, Any], source: str) -> dict[str, Camera]:
    try:
        parameters = info["camParams"]
        room_from_first = np.array(parameters["firstCamToRoomRef"], float).reshape(4, 4)
        cameras = {}
        for index, (entry, extrinsics) in enumerate(
            zip(parameters["intrinsics"], parameters["extrinsics"], strict=True), start=1
        ):
            room_from_camera = room_from_first @ np.array(extrinsics, float).reshape(4, 4)
            room_from_camera[:3, 3] /= MILLIMETRES_PER_METRE
            (fx, fy), (cx, cy) = entry["focallength"], entry["principalpoint"]
            width, height = (int(side) for side in entry["imagesize"])
            if min(width, height) < 1:
                raise ValueError(f"imagesize {width}x{height}")
            cameras[f"cam{index}"] = Camera(
                camera_id=f"cam{index}",
                model="plumb_bob",
                image_size=(width, height),
                fx=float(fx),
                fy=float(fy),
                cx=float(cx),
                cy=float(cy),
                room_from_camera=room_from_camera,
            )
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{source}: cameras_info: not as MVOR's ({type(error).__name__}: {error})") from None
    return cameras
