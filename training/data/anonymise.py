"""Heads blurred or pixelated, as recordings are anonymised before they leave a hospital; labels are untouched."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.augment_config import AugmentConfig
from training.data.sample import Sample

#: Nose, eyes and ears of COCO-17.
_FACE = slice(0, 5)
#: A patch's half side as a share of the largest distance between two of the face's joints (about a head's width).
_REACH = (0.7, 1.3)
#: Places without a head, hidden too: being hidden is no sign of a person. How many; half sides / the image's height.
_DECOYS = (0, 4)
_DECOY_HALF = (0.02, 0.09)
#: A pixelated patch has that many cells each way, the last number excluded.
_CELLS = (2, 6)
#: Half sides smaller than this (px) are left: nothing of a face is seen there.
_LEAST_PX = 2.0


def anonymise_heads(sample: Sample, config: AugmentConfig, rng: np.random.Generator) -> Sample:
    """In `anonymise_probability` of the images all heads are blurred or all pixelated, in rectangles or in ellipses.

    A head is where the joints of a face are, seen or hidden ones; a person with fewer than two of them keeps it, and so
    does one whose head is a few px large. Up to three other places are hidden likewise.
    """
    if config.anonymise_probability <= 0 or rng.random() >= config.anonymise_probability:
        return sample
    image = sample.image.copy()
    pixelate, ellipse = rng.random(2) < 0.5
    for _ in range(rng.integers(*_DECOYS)):
        height, width = image.shape[:2]
        half = rng.uniform(*_DECOY_HALF, 2) * height
        _hide(image, rng.uniform((0, 0), (width, height)), half, pixelate=pixelate, ellipse=ellipse, rng=rng)
    for joints in sample.soft[~sample.crowd][:, _FACE]:
        known = joints[joints[:, 2] > 0, :2]
        if len(known) < 2:
            continue
        width = np.linalg.norm(known[:, None] - known[None], axis=-1).max()
        half = width * rng.uniform(*_REACH, 2)
        if half.min() >= _LEAST_PX:
            _hide(image, known.mean(axis=0), half, pixelate=pixelate, ellipse=ellipse, rng=rng)
    return replace(sample, image=image)


def _hide(
    image: NDArray[np.uint8],
    centre: NDArray,
    half: NDArray,
    *,
    pixelate: bool,
    ellipse: bool,
    rng: np.random.Generator,
) -> None:
    """Hides what lies within `half` (x, y px) of `centre`, in place."""
    limits = (image.shape[1], image.shape[0])
    left, top = np.clip(np.round(centre - half), 0, limits).astype(int)
    right, bottom = np.clip(np.round(centre + half), 0, limits).astype(int)
    if right <= left or bottom <= top:
        return
    patch = image[top:bottom, left:right]
    if pixelate:
        cells = int(rng.integers(*_CELLS))
        small = cv2.resize(patch, (cells, cells), interpolation=cv2.INTER_AREA)
        hidden = cv2.resize(small, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
    else:
        hidden = cv2.GaussianBlur(patch, (0, 0), half.min() * rng.uniform(0.3, 0.8))
    if ellipse:
        y, x = np.mgrid[top:bottom, left:right] + 0.5
        outside = ((x - centre[0]) / half[0]) ** 2 + ((y - centre[1]) / half[1]) ** 2 > 1
        hidden[outside] = patch[outside]
    image[top:bottom, left:right] = hidden
