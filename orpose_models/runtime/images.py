"""Any camera image -> 8-bit BGR, or one clear error.

OpenCV is imported on first use, here and in letterbox.py: `orpose run --help` need not wait for it.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orpose_models.errors import ImageError

#: Rounding of float images may step over the end of the range by this much.
_FLOAT_TOLERANCE = 1e-3
#: A file of a few kB can claim to hold a picture of gigabytes; no camera has more pixels than this.
LARGEST_IMAGE_PIXELS = 2**26
_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


def to_bgr8(image: NDArray) -> NDArray[np.uint8]:
    """A grey, colour or colour-with-alpha image as `(H, W, 3)` uint8 BGR.

    Args:
        image: `(H, W)`, `(H, W, 1)`, `(H, W, 3)` BGR or `(H, W, 4)` BGRA (alpha is dropped); uint8, uint16 (65535 is
            white) or float (1.0 is white).

    Returns:
        C-contiguous; the very same array where it fits already.

    Raises:
        ImageError: No pixels, another number of channels or type, float values that are NaN or outside 0-1.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"image: got {type(image).__name__}, expected a numpy array of shape (H, W[, 1|3|4])")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ImageError(f"image: got shape {image.shape}, expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    if image.size == 0:
        raise ImageError(f"image: got shape {image.shape}, which has no pixels")
    return np.ascontiguousarray(_to_three_channels(_to_uint8(image)))


def _to_uint8(image: NDArray) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        # Rounded division by 257 = 65535 / 255, so that 65535 becomes 255.
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.dtype.kind == "f":
        low, high = float(image.min()), float(image.max())
        if not (low >= -_FLOAT_TOLERANCE and high <= 1 + _FLOAT_TOLERANCE):  # also true for NaN
            raise ImageError(f"image: {image.dtype} values from {low:g} to {high:g}, expected 0 to 1; scale it first")
        return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    raise ImageError(f"image: got {image.dtype}, expected uint8, uint16 or float")


def _to_three_channels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 3:
        return image
    import cv2

    code = cv2.COLOR_GRAY2BGR if channels == 1 else cv2.COLOR_BGRA2BGR
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), code), np.uint8)


def decode_image(encoded: NDArray[np.uint8]) -> NDArray:
    """The pixels of an encoded image (PNG, JPEG, TIFF, …), `(H, W, 3)` BGR at the file's own depth.

    Args:
        encoded: `(N,)` the file's bytes.

    Raises:
        ImageError: It cannot be decoded, ends too early, or claims more than `LARGEST_IMAGE_PIXELS`.
    """
    import cv2

    content = encoded.tobytes()
    _check_size(content)
    # OpenCV before version 5 fills the missing part with grey and says nothing: nobody would be seen there.
    if content.startswith(_JPEG) and content.rfind(_JPEG_END) < content.rfind(_JPEG_SCAN):
        raise ImageError(f"a JPEG that ends too early ({encoded.size} bytes)")
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        image = None
    if image is None:
        raise _undecodable(content)
    return image


def _check_size(content: bytes) -> None:
    try:
        width, height = Image.open(io.BytesIO(content)).size  # reads the header only
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"an image of more than {LARGEST_IMAGE_PIXELS} pixels ({len(content)} bytes)") from None
    except Exception:  # its readers of damaged headers raise many things
        raise _undecodable(content) from None
    if width * height > LARGEST_IMAGE_PIXELS:
        raise ImageError(f"an image of {width}x{height} pixels, expected {LARGEST_IMAGE_PIXELS} at most")


def _undecodable(content: bytes) -> ImageError:
    return ImageError(f"not an image that can be decoded ({len(content)} bytes)")
