"""The camera: exposure, white balance, blur, tone, noise, sharpening, JPEG; linear radiance in, 8 bit out.

Ranges are set so that images reduced 12 times have the statistics of real operating-room cameras' in their middle:
their contrast and sharp, dark-edged look come from the tone curve and from sharpening, more than from the scene.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
_GREY = np.full((1, 3), 1 / 3)
_BRIGHTEST = 1.12  # of the encoded values: beyond 1 the sensor is full


def expose(
    linear_rgb: Picture, rng: np.random.Generator, noise_rng: np.random.Generator | None = None
) -> NDArray[np.uint8]:
    """An sRGB-like BGR picture `(H, W, 3)` of linear RGB radiance `(H, W, 3)`.

    `rng` draws the camera's character, which all frames of a sequence share; `noise_rng`, if given, the noise.
    """
    width = linear_rgb.shape[1]
    gamma = rng.uniform(1.9, 2.5)
    metered = _metered(linear_rgb)
    gain = _white_balance(metered, rng)
    gain = (gain * _exposure(metered * gain, gamma, rng)).astype(np.float32)
    picture = _lens(linear_rgb * gain, rng)
    picture = _tone(picture, metered * gain, gamma, rng)
    picture += _noise(picture, rng, noise_rng or rng)
    picture = _sharpen(picture, width, rng)
    return _stored(picture, rng)


def _metered(linear_rgb: Picture) -> NDArray:
    """`(N, 3)`: every 64th pixel, without the black around a fisheye's circle."""
    coarse = linear_rgb[4::8, 4::8].reshape(-1, 3)
    lit = coarse[coarse.max(1) > 0]
    return np.asarray(lit if len(lit) else coarse, float)


def _white_balance(metered: NDArray, rng: np.random.Generator) -> NDArray:
    """`(3,)` gains that make the picture's mean grey, not entirely, and never quite right."""
    mean = metered.mean(0) + 1e-4
    return np.asarray((mean.mean() / mean) ** rng.uniform(0.3, 0.9) * (1 + rng.normal(0, 0.035, 3)))


def _exposure(metered: NDArray, gamma: float, rng: np.random.Generator) -> float:
    """The gain that brings the picture's mean (encoded) near to where automatic exposure keeps it."""
    target = float(np.clip(rng.normal(0.46, 0.045), 0.3, 0.62))
    encoded = np.maximum(metered, 0) ** (1 / gamma)
    gain = 1.0
    for _ in range(4):  # not in one step, for bright parts are cut off
        gain *= target / max(float(np.minimum(encoded * gain, 1.0).mean()), 1e-3)
    return float(np.clip(gain, 0.05, 20.0) ** gamma)


def _lens(picture: Picture, rng: np.random.Generator) -> Picture:
    """Vignetting, bloom around bright things, blur."""
    height, width = picture.shape[:2]
    if rng.random() < 0.5:
        picture = picture * _vignette(height, width, rng.uniform(0.0, 0.3))
    if rng.random() < 0.3:
        bright = cv2.resize(np.clip(picture - 0.9, 0, 2), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        glow = cv2.GaussianBlur(bright, (0, 0), max(width * 0.005, 0.5))
        picture = picture + cv2.resize(glow, (width, height)) * np.float32(rng.uniform(0.2, 0.8))
    sigma = rng.uniform(0.3, 0.9) * width / 640.0 + 0.25
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _tone(picture: Picture, metered: NDArray, gamma: float, rng: np.random.Generator) -> Picture:
    """Gamma, contrast pushed from the middle outwards, colours paler or stronger."""
    encoded = np.minimum(cv2.pow(np.maximum(picture, 0), 1 / gamma), _BRIGHTEST)
    spread = float((np.clip(metered, 0, 1.2) ** (1 / gamma)).std())
    contrast = (rng.normal(0.295, 0.035) / max(spread, 0.05)) ** rng.uniform(0.6, 1.0)
    middle = rng.uniform(0.44, 0.5)
    encoded = middle + (encoded - middle) * np.float32(np.clip(contrast, 0.85, 2.3))
    grey = cv2.transform(encoded, _GREY)[:, :, None]
    return np.asarray(grey + (encoded - grey) * np.float32(rng.uniform(0.45, 1.0)), np.float32)


def _noise(picture: Picture, rng: np.random.Generator, noise_rng: np.random.Generator) -> Picture:
    """Noise of brightness and of colour, in grains of one to two pixels, stronger where it is dark."""
    noise = noise_rng.standard_normal(picture.shape, np.float32) * np.float32(0.002 + 0.013 * rng.random() ** 1.5)
    if rng.random() < 0.6:
        noise = cv2.GaussianBlur(noise, (0, 0), 0.7) * np.float32(1.7)
    noise += cv2.transform(noise, _GREY)[:, :, None] * np.float32(rng.uniform(-0.5, 1.0))
    return np.asarray(noise * (1.3 - 0.6 * np.clip(picture, 0, 1)), np.float32)


def _sharpen(picture: Picture, width: int, rng: np.random.Generator) -> Picture:
    """Edges as camera electronics draw them: a thin halo, and often a wide one that deepens contrast around things."""
    if rng.random() < 0.7:
        picture = _overshoot(picture, max(0.7, 1.4 * width / 640.0), rng.uniform(0.2, 0.8))
    if rng.random() < 0.75:
        picture = _overshoot(picture, 8.0 * width / 640.0, rng.uniform(0.2, 1.2))
    return picture


def _overshoot(picture: Picture, sigma: float, amount: float) -> Picture:
    return np.asarray(picture + (picture - cv2.GaussianBlur(picture, (0, 0), sigma)) * np.float32(amount), np.float32)


def _stored(picture: Picture, rng: np.random.Generator) -> NDArray[np.uint8]:
    """8-bit BGR; half of the cameras send JPEG."""
    stored = np.ascontiguousarray((np.clip(picture, 0, 1)[:, :, ::-1] * 255 + 0.5).astype(np.uint8))
    quality = int(rng.integers(45, 96))
    if rng.random() < 0.5:
        packed = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return stored


def _vignette(height: int, width: int, strength: float) -> Picture:
    y2, x2 = np.linspace(-1, 1, height) ** 2, np.linspace(-1, 1, width) ** 2
    return np.asarray((1 - strength * (x2[None, :] + y2[:, None]) / 2)[:, :, None], np.float32)
