"""Colours and surfaces that several things in the room share, and the table that shading looks them up in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.shapes.meshes import Material, linear
from training.synthetic_or.shapes.textures import Textures

Rng = np.random.Generator
METAL = Material(noise=0.03, noise_frequency=1.5, gloss=0.35)
PLASTIC = Material(noise=0.015, noise_frequency=1.0, gloss=0.12)
CLOTH = Material(noise=0.08, folds=0.5, gloss=0.03)


def grey(rng: Rng, low: float = 0.3, high: float = 0.95, tint: float = 0.02) -> NDArray:
    return linear(*(rng.uniform(low, high) + rng.normal(0, tint, 3)))


def vivid(rng: Rng) -> NDArray:
    colour = rng.uniform(0.08, 0.85, 3)
    colour[rng.integers(3)] *= rng.uniform(0.15, 0.6)
    return linear(*colour)


def painted(kind: str, textures: Textures, rng: Rng, gloss: float = 0.12, emission: float = 0.0) -> Material:
    """A surface with one of the textures of `kind`."""
    return Material(texture=textures.pick(kind, rng), noise=0.04, gloss=gloss, emission=emission)


class MaterialTable:
    """The materials of a scene's meshes as arrays `(M,)`, `fold_scale` as `(M, 3)`."""

    def __init__(self, materials: list[Material]) -> None:
        self.texture = np.array([m.texture for m in materials])
        self.noise = np.array([m.noise for m in materials], np.float32)
        self.noise_frequency = np.array([m.noise_frequency for m in materials], np.float32)
        self.folds = np.array([m.folds for m in materials], np.float32)
        self.fold_scale = np.array([m.fold_scale for m in materials], np.float32)
        self.gloss = np.array([m.gloss for m in materials], np.float32)
        self.emission = np.array([m.emission for m in materials], np.float32)
        self.alpha = np.array([m.alpha for m in materials], np.float32)
        self.sheen = np.array([m.sheen for m in materials], np.float32)
        self.wrinkle = np.array([m.wrinkle for m in materials], np.float32)
        self.wrinkle_scale = np.array([m.wrinkle_scale for m in materials], np.float32)
        self.mirror = np.array([m.mirror for m in materials], np.float32)
