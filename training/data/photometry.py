"""Colour, light and sensor augmentations of a uint8 BGR image; labels are untouched."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.augment_config import AugmentConfig, Range

LUMA_BGR = np.array([0.114, 0.587, 0.299])


def random_photometry(image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur, light, colour, tone curve, noise and compression, roughly as a camera applies them."""
    image = _random_blur(image, config, rng)
    image = _random_colour(image, config, rng)
    image = _random_noise(image, config, rng)
    if rng.random() < config.jpeg_probability:
        quality = int(rng.uniform(*config.jpeg_quality))
        _, buffer = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = _uint8(cv2.imdecode(buffer, cv2.IMREAD_COLOR))
    return image


def colour_matrix(config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """`(3, 3)` BGR matrix: exposure, white balance, saturation and channel mixing in one."""
    saturation = rng.uniform(*config.saturation)
    matrix = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA_BGR, (3, 1))
    mixing = rng.normal(0, 1, (3, 3)) * config.channel_mix
    mixing -= np.diag(mixing.sum(axis=1))  # grey stays grey
    gains = np.exp(rng.normal(0, 1, 3) * config.white_balance) * 2 ** rng.uniform(*config.exposure_stops)
    return np.diag(gains) @ (np.eye(3) + mixing) @ matrix


def _random_colour(image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    matrix = colour_matrix(config, rng)
    contrast = rng.uniform(*config.contrast)
    mean = matrix @ np.array(cv2.mean(image)[:3])
    offset = (1 - contrast) * mean
    image = cv2.transform(image, np.column_stack([contrast * matrix, offset]))
    image = cv2.LUT(image, _tone_curve(math.exp(rng.uniform(*np.log(config.gamma)))))
    if config.shading > 0:
        image = cv2.multiply(image, _shading(image.shape, config.shading, rng), dtype=cv2.CV_8U)
    return image


def _tone_curve(gamma: float) -> NDArray[np.uint8]:
    return np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)


def _shading(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """`(H, W, 3)` smooth gain: lamps light one part of the room more than another."""
    coarse = (1 + rng.uniform(-strength, strength, (3, 4, 1)) * rng.random()).astype(np.float32)
    smooth = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return cv2.merge([smooth, smooth, smooth])


def _random_blur(image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    if rng.random() < config.blur_probability:
        sigma = rng.uniform(*config.blur_sigma)
        image = cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0 else image
    if rng.random() < config.motion_probability:
        image = cv2.filter2D(image, -1, _motion_kernel(config.motion_length, rng))
    return image


def _motion_kernel(lengths: Range, rng: np.random.Generator) -> NDArray[np.float32]:
    side = int(rng.uniform(*lengths)) | 1
    angle = rng.uniform(0, math.pi)
    reach = side / 2 * np.array([math.cos(angle), math.sin(angle)])
    kernel = np.zeros((side, side), np.float32)
    start, end = (side // 2 - reach).round().astype(int), (side // 2 + reach).round().astype(int)
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
    return kernel / kernel.sum()


def _random_noise(image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    if rng.random() >= config.noise_probability:
        return image
    deviation = rng.uniform(*config.noise_sd)
    height, width = image.shape[:2]
    noise = rng.standard_normal((height, width, 3), dtype=np.float32) * np.float32(deviation)
    if rng.random() < 0.5:  # coarse coloured noise, as a small sensor's denoiser leaves it
        noise = cv2.resize(noise[: height // 2, : width // 2], (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.add(image, noise, dtype=cv2.CV_8U)


def _uint8(image: Any) -> NDArray[np.uint8]:
    """OpenCV's stubs do not know that uint8 stays uint8."""
    return np.asarray(image, np.uint8)
