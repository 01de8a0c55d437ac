"""Privacy downsampling: the one function that runtime, node, training and evaluation use. Needs no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: The downsampling factor S refers to a frame with this many lines, whatever the camera's own size.
REFERENCE_LINES = 480


def downsampled_size(image_size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Width and height in px after downsampling by `factor`: int(W x 480 / H / S) x int(480 / S).

    Factor 1 changes nothing, and a frame that is smaller already is never enlarged.

    Raises:
        ValueError: A factor below 1.
    """
    if not factor >= 1:
        raise ValueError(f"downsample factor: got {factor}, expected at least 1")
    width, height = image_size
    small_width = max(1, int(width * REFERENCE_LINES / height / factor))
    small_height = int(REFERENCE_LINES / factor)
    if factor == 1 or small_height >= height or small_width > width:
        return width, height
    return small_width, small_height


def privacy_downsample(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """The image at the resolution that privacy allows.

    Bilinear with antialiasing (a triangle filter as wide as the reduction): no detail above the new resolution is left,
    as aliasing, either.

    Args:
        image: `(H, W, 3)` uint8, any channel order.
        factor: S >= 1, see `downsampled_size`.

    Returns:
        `(h, w, 3)` uint8; the very same array where nothing changes.
    """
    height, width = image.shape[:2]
    size = downsampled_size((width, height), factor)
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BILINEAR))
