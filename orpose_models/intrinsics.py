"""Lenses out of calibrations: ROS' CameraInfo, the YAML file of camera_calibration, or four numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orpose_models.errors import CalibrationError, ConfigError
from orpose_models.lens import COEFFICIENTS, Lens
from orpose_models.settings import read_yaml_mapping

#: Widths and heights of calibration and image may differ in scale; their aspects by a rounded pixel only.
_ASPECT_TOLERANCE = 0.02
#: A lens shows more than this around its middle, and not the whole world, in focal lengths.
_LEAST_SHOWN, _MOST_SHOWN = 0.05, 1e3


def lens_from_camera_info(info: Any, frame_size: tuple[int, int]) -> Lens:
    """The lens of a sensor_msgs CameraInfo, of rosbags or rclpy, for pixels of a frame of this size.

    K and D of the raw image are used; a region of interest moves the principal point, and a frame of another size but
    the same aspect (binning, a smaller stream) scales it.

    Raises:
        CalibrationError: K is zero (nobody calibrated the camera), a size is missing or has another aspect, the
            distortion model or its number of coefficients is not known.
    """
    k = np.asarray(getattr(info, "k", None) if hasattr(info, "k") else info.K, np.float64).reshape(-1)
    d = tuple(float(value) for value in np.asarray(info.d if hasattr(info, "d") else info.D).reshape(-1))
    size = (int(info.width), int(info.height))
    left, top = 0, 0
    if info.roi.width and info.roi.height:
        size, left, top = (int(info.roi.width), int(info.roi.height)), info.roi.x_offset, info.roi.y_offset
    model = str(info.distortion_model)
    return _lens("CameraInfo", model, k, d, size, frame_size, (left, top))


def lens_from_text(text: str, frame_size: tuple[int, int]) -> Lens:
    """The lens of `fx,fy,cx,cy` (px of the frame) or of a YAML file as camera_calibration writes it.

    Raises:
        CalibrationError: As for `lens_from_camera_info`, or a file that holds no calibration.
    """
    if not Path(text).exists() and len(parts := text.split(",")) == 4:
        try:
            fx, fy, cx, cy = (float(part) for part in parts)
            if not np.isfinite((fx, fy, cx, cy)).all():
                raise ValueError("not four finite numbers")
            return Lens("plumb_bob", fx, fy, cx, cy)
        except ValueError as error:
            raise CalibrationError(f"intrinsics '{text}': {error}; expected fx,fy,cx,cy in px") from None
    k, d, size, model, _ = _read_file(text)
    return _lens(text, model, k, d, size, frame_size, (0, 0))


def lens_from_file(path: str | Path) -> tuple[str, tuple[int, int], Lens]:
    """The camera's name, its image size in px and its lens, of a YAML file as camera_calibration writes it.

    Raises:
        CalibrationError: As for `lens_from_text`.
    """
    k, d, size, model, name = _read_file(str(path))
    if not name:
        raise CalibrationError(f"{path}: camera_name: missing; write in the name of the camera that the lens is of")
    return name, size, _lens(str(path), model, k, d, size, size, (0, 0))


def _read_file(path: str) -> tuple[np.ndarray, tuple[float, ...], tuple[int, int], str, str]:
    """K, D, size, distortion model and camera name."""
    try:
        root = read_yaml_mapping(path)
    except ConfigError as error:
        raise CalibrationError(f"{error}; expected a camera_info YAML file, or fx,fy,cx,cy in px") from None
    try:
        k = np.asarray(root["camera_matrix"]["data"], np.float64).reshape(-1)
        d = tuple(float(value) for value in root["distortion_coefficients"]["data"])
        size = (int(root["image_width"]), int(root["image_height"]))
        return k, d, size, str(root["distortion_model"]), str(root.get("camera_name", ""))
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(
            f"{path}: no camera_info of camera_calibration ({error!r} is missing or wrong)"
        ) from None


def _lens(
    where: str,
    model: str,
    k: np.ndarray,
    d: Sequence[float],
    size: tuple[int, int],
    frame_size: tuple[int, int],
    corner: tuple[int, int],
) -> Lens:
    if k.size != 9 or not np.isfinite([*k, *d]).all() or not (k[0] > 0 and k[4] > 0):
        raise CalibrationError(f"{where}: K has no focal length ({k.ravel()[:1]}): the camera is not calibrated")
    if min(size) < 1:
        raise CalibrationError(f"{where}: the size is {size[0]}x{size[1]}, expected that of the calibrated images")
    scale_x, scale_y = frame_size[0] / size[0], frame_size[1] / size[1]
    if abs(scale_x / scale_y - 1) > _ASPECT_TOLERANCE:
        raise CalibrationError(
            f"{where}: is of {size[0]}x{size[1]} images, the frame is {frame_size[0]}x{frame_size[1]}: another aspect"
        )
    # ROS counts pixels from the middle of the first one, we from the image's edge.
    cx, cy = (k[2] + 0.5 - corner[0]) * scale_x, (k[5] + 0.5 - corner[1]) * scale_y
    if not model and not any(d):
        model, d = "plumb_bob", ()
    try:
        lens = Lens(model, k[0] * scale_x, k[4] * scale_y, cx, cy, _coefficients(model, tuple(d)))
        with np.errstate(all="ignore"):
            shown = lens.widest_radius
    except ValueError as error:
        raise CalibrationError(f"{where}: {error}") from None
    if not _LEAST_SHOWN < shown < _MOST_SHOWN:
        raise CalibrationError(f"{where}: with D = {', '.join(f'{value:.3g}' for value in d)} the lens shows nothing")
    return lens


def _coefficients(model: str, d: tuple[float, ...]) -> tuple[float, ...]:
    """Without the zeros that drivers append (OpenCV's thin prism and tilt)."""
    most = max(COEFFICIENTS.get(model, (len(d),)))
    return d[:most] if not any(d[most:]) else d
