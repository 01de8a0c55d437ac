"""Frames that show nothing: a lens cap, a room without light, a camera that sends one colour."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orpose_models.runtime.letterbox import Letterbox
from training.data.augment_config import AugmentConfig
from training.data.geometry import select
from training.data.sample import Sample

#: Width / height of a blank frame: from a camera hung upright to a panorama.
_ASPECTS = (0.4, 2.5)
#: Grey levels of 255: the brightest "black", and how far a colour's channels lie from its grey.
_DARK = 12
_TINT = 20


def blank_frame(sample: Sample, size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator) -> Sample:
    """`blank_probability` of the samples become one dark, grey or bright frame of any aspect, at `size` (w, h).

    Nobody is labelled there.
    """
    if config.blank_probability <= 0 or rng.random() >= config.blank_probability:
        return sample
    aspect = math.exp(rng.uniform(*np.log(_ASPECTS)))
    frame = Letterbox.fit((round(1000 * aspect), 1000), size)
    image = frame.apply(np.broadcast_to(_colour(rng), (2, 2, 3)).copy())
    nobody = select(sample, np.zeros(len(sample), bool))
    return replace(nobody, image=image)


def _colour(rng: np.random.Generator) -> NDArray[np.uint8]:
    """BGR: black in half of the draws."""
    if rng.random() < 0.5:
        return rng.integers(0, _DARK + 1, 3).astype(np.uint8)
    return (rng.uniform(0, 255) + rng.uniform(-_TINT, _TINT, 3)).clip(0, 255).astype(np.uint8)
