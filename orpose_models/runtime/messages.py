"""ROS image messages -> 8-bit BGR, without ROS: works on messages of rosbags and of rclpy alike."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.image import ImageError as RosbagsImageError
from rosbags.image import image_to_cvimage
from rosbags.image.image import Format, to_cvtype

from orpose_models.errors import ImageError
from orpose_models.runtime.images import decode_image, to_bgr8

#: Encodings that hold half as many lines of colour below the lines of brightness.
_PLANAR_ENCODINGS = ("nv12", "nv21")

#: Converts an image message with unpadded rows to an encoding, None: to an array of its own type.
Converter = Callable[[Any, str | None], NDArray]


def bgr8_from_message(message: Any, convert: Converter = image_to_cvimage) -> NDArray[np.uint8]:
    """The picture of a sensor_msgs Image or CompressedImage as `(H, W, 3)` uint8 BGR.

    A tightly packed bgr8 image is not copied: the array is a view of the message's data.

    Args:
        message: From rosbags or rclpy.
        convert: What knows the encodings of raw images; the node passes cv_bridge where ROS brings it.

    Raises:
        ImageError: Size 0, an unknown encoding, a step or length that does not fit, a file that cannot be decoded.
    """
    if hasattr(message, "format"):
        try:
            return to_bgr8(decode_image(np.frombuffer(message.data, np.uint8)))
        except ImageError as error:
            raise ImageError(f"compressed image ({printable(message.format)}): {error}") from None
    return _from_raw(message, convert)


def _from_raw(message: Any, convert: Converter) -> NDArray[np.uint8]:
    height, width, encoding, step = message.height, message.width, message.encoding, message.step
    if height == 0 or width == 0:
        raise ImageError(f"image is {width}x{height}, which has no pixels")
    try:
        bits, color_format, dtype, channels = to_cvtype(encoding)
    except RosbagsImageError:
        raise ImageError(
            f"image encoding '{printable(encoding)}' is unknown, expected one of sensor_msgs' names"
        ) from None
    lines = height * 3 // 2 if encoding in _PLANAR_ENCODINGS else height
    row_bytes = width * channels * np.dtype(dtype).itemsize
    pixels = np.frombuffer(message.data, np.uint8)
    if step < row_bytes or pixels.size != step * lines:
        raise ImageError(
            f"{width}x{height} {encoding} image has step {step} and {pixels.size} bytes, "
            f"expected step >= {row_bytes} and step x {lines} bytes"
        )
    if step > row_bytes:  # padded rows, which rosbags-image does not know
        pixels = np.ascontiguousarray(pixels.reshape(lines, step)[:, :row_bytes])
    packed = SimpleNamespace(
        height=lines,
        width=width,
        encoding=encoding,
        step=row_bytes,
        is_bigendian=bool(message.is_bigendian),
        data=pixels.data,
    )
    # Colours at the image's own depth, so that 16 bit become 8 by rounding, in to_bgr8 only.
    color = None if color_format is Format.GENERIC else ("bgr16" if bits == 16 else "bgr8")
    try:
        return to_bgr8(np.asarray(convert(packed, color)))
    except (RosbagsImageError, cv2.error) as error:
        raise ImageError(
            f"{width}x{height} {encoding} image cannot be converted to bgr8: {printable(str(error))}"
        ) from None


def printable(text: str, longest: int = 120) -> str:
    """Text of whoever published the message, fit for one line of a log."""
    letters = "".join(letter if letter.isprintable() else " " for letter in text[:longest])
    return " ".join(letters.split())
