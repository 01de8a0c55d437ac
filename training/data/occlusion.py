"""Random rectangles pasted over the image; joints below become hidden, people covered whole become ignored regions."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.augment_config import AugmentConfig
from training.data.sample import Sample


def random_cutout(
    sample: Sample, config: AugmentConfig, rng: np.random.Generator, *, hidden_confidence: float
) -> Sample:
    """Pastes rectangles of plain colour, noise or another part of the image."""
    if rng.random() >= config.cutout_probability:
        return sample
    image = sample.image.copy()
    covered = np.zeros(image.shape[:2], np.uint8)
    for _ in range(rng.integers(config.cutout_count[0], config.cutout_count[1] + 1)):
        x, y, width, height = _random_rectangle(image.shape, config, rng)
        image[y : y + height, x : x + width] = _filling(sample.image, height, width, rng)
        covered[y : y + height, x : x + width] = 1
    return hide_covered(replace(sample, image=image), covered, config, hidden_confidence)


def hide_covered(sample: Sample, covered: NDArray[np.uint8], config: AugmentConfig, hidden_confidence: float) -> Sample:
    """Labels after `covered` `(H, W)` (1 = covered) was pasted over."""
    soft, hard = sample.soft.copy(), sample.hard.copy()
    soft[..., 2] = np.where(_is_covered(soft, covered), np.minimum(soft[..., 2], hidden_confidence), soft[..., 2])
    hard[..., 2] = np.where(_is_covered(hard, covered), 0, hard[..., 2])
    sums = cv2.integral(covered)
    x1, y1, x2, y2 = np.round(sample.boxes).astype(int).T
    inside = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    share = inside / np.maximum((x2 - x1) * (y2 - y1), 1)
    return replace(sample, soft=soft, hard=hard, crowd=sample.crowd | (share > config.cutout_hidden_share))


def _is_covered(joints: NDArray, covered: NDArray[np.uint8]) -> NDArray[np.bool_]:
    height, width = covered.shape
    x = joints[..., 0].astype(int).clip(0, width - 1)
    y = joints[..., 1].astype(int).clip(0, height - 1)
    return covered[y, x].astype(bool)


def _random_rectangle(
    shape: tuple[int, ...], config: AugmentConfig, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    sides = rng.uniform(*config.cutout_size, 2) * (shape[1], shape[0])
    width, height = np.maximum(sides, 2).astype(int)
    return int(rng.integers(0, shape[1] - width)), int(rng.integers(0, shape[0] - height)), int(width), int(height)


def _filling(image: NDArray[np.uint8], height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    kind = rng.integers(3)
    if kind == 0:
        return np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), (height, width, 3))
    if kind == 1:
        return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    # another part of the image, upside down: texture without people that look like people
    x = int(rng.integers(0, image.shape[1] - width))
    y = int(rng.integers(0, image.shape[0] - height))
    return image[y : y + height, x : x + width][::-1]
