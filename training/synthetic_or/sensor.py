"""The camera's electronics: exposure, white balance, tone curve, blur, noise; linear radiance in, 8 bit out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def expose(
    linear_rgb: NDArray[np.float32], rng: np.random.Generator, noise_rng: np.random.Generator | None = None
) -> NDArray[np.uint8]:
    """An sRGB-like BGR picture `(H, W, 3)` of linear RGB radiance `(H, W, 3)`.

    `rng` draws the camera's character, which all frames of a sequence share; `noise_rng`, if given, the noise.
    """
    height, width = linear_rgb.shape[:2]
    picture = linear_rgb
    level = float(np.mean(picture)) + 1e-4
    target = rng.uniform(0.14, 0.5)
    picture = picture * (target / level) ** rng.uniform(0.6, 1.0) * (1 + rng.normal(0, 0.06, 3)).astype(np.float32)
    if rng.random() < 0.5:
        picture = picture * _vignette(height, width, rng.uniform(0.0, 0.35))
    if rng.random() < 0.3:  # bloom of bright surfaces
        bright = np.clip(picture - 0.9, 0, 2)
        picture = picture + cv2.GaussianBlur(bright, (0, 0), width * 0.02) * rng.uniform(0.2, 0.8)
    picture = cv2.GaussianBlur(np.asarray(picture, np.float32), (0, 0), rng.uniform(0.35, 0.9) * width / 640.0 + 0.25)
    encoded = np.clip(picture, 0, None) ** (1 / rng.uniform(1.9, 2.5))
    encoded = 0.5 + (np.clip(encoded, 0, 1.15) - 0.5) * rng.uniform(0.85, 1.35)
    grey = cv2.transform(encoded, np.full((1, 3), 1 / 3))[:, :, None]
    encoded = grey + (encoded - grey) * rng.uniform(0.5, 1.15)
    noise = (noise_rng or rng).standard_normal((height, width, 3)).astype(np.float32) * rng.uniform(0.002, 0.02)
    if rng.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), 0.7) * 1.5
    encoded = encoded + noise
    if rng.random() < 0.4:  # sharpening as cheap sensors do
        encoded = encoded + (encoded - cv2.GaussianBlur(encoded, (0, 0), 1.2)) * rng.uniform(0.2, 0.8)
    return np.ascontiguousarray((np.clip(encoded, 0, 1)[:, :, ::-1] * 255 + 0.5).astype(np.uint8))


def _vignette(height: int, width: int, strength: float) -> NDArray[np.float32]:
    y2, x2 = np.linspace(-1, 1, height) ** 2, np.linspace(-1, 1, width) ** 2
    return (1 - strength * (x2[None, :] + y2[:, None]) / 2)[:, :, None].astype(np.float32)
