"""The privacy downsampling of training images: the runtime's own function, then back up to the network's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.runtime.downsample import privacy_downsample
from training.data.augment_config import ScaleChoice
from training.data.geometry import letterbox_matrix


def draw_factor(choices: tuple[ScaleChoice, ...], rng: np.random.Generator) -> float:
    """A downsampling factor S of a frame of 480 lines; 1 is none."""
    probabilities = np.array([choice.probability for choice in choices])
    choice = choices[rng.choice(len(choices), p=probabilities / probabilities.sum())]  # which sum to 1 but for rounding
    return float(rng.uniform(choice.low, choice.high))


def down_and_up(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """The image as the network gets it when the frame was downsampled by `factor` before it."""
    if factor <= 1:
        return image
    small = privacy_downsample(image, factor)
    return cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)


def factor_of_input(factor: float, frame_size: tuple[int, int], input_size: tuple[int, int]) -> float:
    """The factor for the network's input that leaves a frame letterboxed into it as many lines as `factor` leaves it.

    S counts the lines of the frame, not those of the padding: a 16:9 frame fills 360 of an input's 480 lines, which
    12 would leave 30 of, not 40. Sizes are (w, h) px.
    """
    content_lines = letterbox_matrix(frame_size, input_size)[1, 1] * frame_size[1]
    return factor * float(content_lines) / input_size[1]
