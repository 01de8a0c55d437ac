"""The privacy downsampling of training images: the runtime's own function, then back up to the network's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.runtime.downsample import privacy_downsample
from training.data.augment_config import ScaleChoice


def draw_factor(choices: tuple[ScaleChoice, ...], rng: np.random.Generator) -> float:
    """A downsampling factor S of a frame of 480 lines; 1 is none."""
    choice = choices[rng.choice(len(choices), p=[choice.probability for choice in choices])]
    return float(rng.uniform(choice.low, choice.high))


def down_and_up(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """The image as the network gets it when the frame was downsampled by `factor` before it."""
    if factor <= 1:
        return image
    small = privacy_downsample(image, factor)
    return cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
