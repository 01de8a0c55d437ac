"""How images look at 12x: brightness, contrast, colour and sharpness in numbers, and those of real frames."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import InputError
from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.frames import Frame
from orpose_models.runtime.images import to_bgr8
from orpose_models.runtime.sources import open_source

FACTOR = 12
PERCENTILES = (5, 25, 50, 75, 95)
#: What is measured of each image, in 8-bit levels.
MEASURES = {
    "brightness": "mean of all pixels",
    "contrast": "standard deviation of grey",
    "colour": "largest minus smallest channel, mean",
    "sharpness": "difference of horizontal neighbours in grey, mean",
    "dark": "pixels darker than 25, %",
    "bright": "pixels brighter than 230, %",
}
#: Percentiles of the same measures of frames 0-119 of one real operating-room video at 53x40, published with ORPose-
#: Color (CAMMA, University of Strasbourg; the frames themselves, CC BY-NC-SA 4.0, are not part of this repository).
REAL_SOURCE = "120 frames of one real video, MVOR at 12x (ORPose-Color, CAMMA, University of Strasbourg)"
REAL: dict[str, tuple[float, ...]] = {
    "brightness": (113.8, 115.0, 115.6, 117.1, 118.6),
    "contrast": (55.0, 56.0, 56.3, 56.4, 56.8),
    "colour": (14.1, 15.2, 15.9, 16.3, 16.5),
    "sharpness": (16.2, 16.5, 16.8, 17.0, 17.1),
    "dark": (2.8, 3.2, 3.8, 5.0, 5.0),
    "bright": (5.2, 5.4, 5.5, 6.4, 6.5),
}
_AT_MOST = 400


def measure(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """`(6,)` the `MEASURES` of a BGR image `(H, W, 3)` after downsampling."""
    small = privacy_downsample(image, FACTOR).astype(np.float64)
    grey = small @ (0.114, 0.587, 0.299)
    return np.array(
        [
            small.mean(),
            grey.std(),
            (small.max(2) - small.min(2)).mean(),
            np.abs(np.diff(grey, axis=1)).mean(),
            (grey < 25).mean() * 100,
            (grey > 230).mean() * 100,
        ]
    )


def measure_all(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """`(N, 6)`."""
    return np.array([measure(image) for image in images]).reshape(-1, len(MEASURES))


def percentiles(measured: NDArray[np.float64]) -> dict[str, tuple[float, ...]]:
    """Measure -> its 5th, 25th, 50th, 75th and 95th percentile over the images."""
    levels = np.percentile(measured, PERCENTILES, axis=0)
    return {name: tuple(levels[:, number].tolist()) for number, name in enumerate(MEASURES)}


def measure_real(path: Path) -> tuple[dict[str, tuple[float, ...]], str]:
    """Percentiles of somebody's own frames (folder, video or bag), of at most 400, and a line that says what they are.

    Raises:
        InputError: There are no frames, or one cannot be read.
    """
    source = open_source(path)
    every = max(1, len(source) // _AT_MOST)
    frames = []
    for index, frame in enumerate(source):
        if not isinstance(frame, Frame):
            raise InputError(f"{path}: {frame.name}: {frame.reason}; remove it or give other real frames")
        if index % every == 0:
            frames.append(measure(to_bgr8(frame.image)))
    return percentiles(np.array(frames)), f"{len(frames)} frames of {path.name}"
