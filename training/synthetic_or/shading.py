"""Light on surfaces: textures, folds of cloth, soft shadows of area lights, highlights. All arrays `(C, N)`, N rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.materials import MaterialTable
from training.synthetic_or.noise import Noise
from training.synthetic_or.scene import Light
from training.synthetic_or.textures import Textures

_OFFSET = 2e-3  # shadow rays start this far off the surface (m)
_LAMP_THICKNESS = 0.06  # and end this far before the lamp (m), so that its own housing does not block it
_TINY = 1e-6


@dataclass(frozen=True)
class Surface:
    """What N rays hit.

    Attributes:
        points: `(3, N)` m, room frame.
        view: `(3, N)` unit vectors towards the camera.
        albedo: `(3, N)` vertex colours, linear.
        normals: `(3, N)` interpolated, not yet of unit length.
        uv: `(2, N)` texture coordinates.
        mesh: `(N,)` index of the mesh, and so of its material.
    """

    points: NDArray[np.float32]
    view: NDArray[np.float32]
    albedo: NDArray[np.float32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    mesh: NDArray[np.int64]


def shade(
    surface: Surface, materials: MaterialTable, textures: Textures, noise: Noise, lights: Sequence[Light],
    ambient: NDArray, embree: Any, seen: NDArray, shape: tuple[int, int], rng: np.random.Generator,
) -> NDArray[np.float32]:  # fmt: skip
    """`(3, N)` radiance towards the camera. `seen (N,)` are the rays' pixels in an image of `shape` (rows, columns)."""
    albedo = _textured(surface, materials, textures, noise)
    normals = _folded(surface, materials, noise)
    away = _dot(normals, surface.view) < 0
    normals[:, away] *= -1
    light = ambient.astype(np.float32)[:, None] * (0.72 + 0.28 * normals[2])
    highlight = np.zeros_like(light)
    gloss = materials.gloss[surface.mesh]
    start = surface.points + (normals + surface.view) * _OFFSET
    for source in lights:
        # The shadow ray goes to a random point of the lamp, the shading to its middle: soft edges without grain.
        samples = source.centre[:, None] + source.half[:, None] * _light_samples(seen, shape, rng)
        to_light, distance = _towards(source.centre[:, None], surface.points)
        cosine = _dot(normals, to_light)
        falloff = source.power * 6.0 / (1.0 + distance**2) * np.clip(to_light[2], 0, 1)
        lit = np.flatnonzero((cosine > 0) & (falloff > 0))
        received = _visible(embree, start, surface.points, samples, lit, seen, shape) * falloff
        colour = source.colour.astype(np.float32)[:, None]
        light += received * np.maximum(cosine, 0) * colour
        half = to_light + surface.view
        half /= np.maximum(np.sqrt(_dot(half, half)), _TINY)
        highlight += received * _power_40(np.maximum(_dot(normals, half), 0)) * gloss * colour
    return albedo * (light + materials.emission[surface.mesh]) + highlight * 0.6


def _textured(surface: Surface, materials: MaterialTable, textures: Textures, noise: Noise) -> NDArray:
    """Vertex colours times texture times smooth noise."""
    albedo = surface.albedo
    texture = materials.texture[surface.mesh]
    which = np.flatnonzero(texture >= 0)
    albedo[:, which] *= textures.look_up(texture[which], surface.uv[:, which]).T
    frequency = materials.noise_frequency[surface.mesh] * 5.0
    wave = noise.values(surface.points * frequency + surface.mesh.astype(np.float32) * 7.3)
    return albedo * np.clip(1.0 + materials.noise[surface.mesh] * wave, 0.3, 1.7)


def _folded(surface: Surface, materials: MaterialTable, noise: Noise) -> NDArray:
    """Bends the shading normals by the gradient of smooth noise: folds of cloth without geometry."""
    normals = surface.normals
    strength = materials.folds[surface.mesh]
    which = np.flatnonzero(strength > 0)
    mesh = surface.mesh[which]
    scaled = surface.points[:, which] * materials.fold_scale[mesh].T
    shift = mesh.astype(np.float32)
    gradient = noise.gradients(scaled * 2.2 + shift * 3.1) + 0.5 * noise.gradients(scaled * 5.3 + shift * 1.7)
    normals[:, which] += gradient * strength[which]
    return normals / np.maximum(np.sqrt(_dot(normals, normals)), _TINY)


def _visible(
    embree: Any, start: NDArray, points: NDArray, samples: NDArray, lit: NDArray, seen: NDArray, shape: tuple[int, int]
) -> NDArray:
    """`(N,)` share of a lamp that each point sees; rays that cannot be lit (all but `lit`) are not traced and see none.

    Averages one shadow ray a pixel over the neighbours that have one too: soft edges for the price of one ray.
    """
    to_sample, distance = _towards(samples[:, lit], points[:, lit])
    blocked = embree.run(
        np.ascontiguousarray(start[:, lit].T), np.ascontiguousarray(to_sample.T),
        dists=distance - _LAMP_THICKNESS, query="OCCLUDED",
    )  # fmt: skip
    free, traced = np.zeros((2, shape[0] * shape[1]), np.float32)
    free[seen[lit]] = blocked == -1
    traced[seen[lit]] = 1
    free, traced = (cv2.blur(picture.reshape(shape), (3, 3)).ravel()[seen] for picture in (free, traced))
    return free / np.maximum(traced, _TINY)


def _light_samples(seen: NDArray, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
    """`(3, N)` in [-1, 1], z = 0: where on the lamp each pixel's shadow ray ends.

    Each pixel of a 3x3 block looks at its own ninth of the lamp, so that the 3x3 mean sees all of it.
    """
    rows, columns = np.arange(shape[0]) % 3, np.arange(shape[1]) % 3
    ninth = rng.permutation(9)[rows[:, None] * 3 + columns].ravel()[seen]
    samples = np.zeros((3, len(seen)), np.float32)
    samples[:2] = rng.uniform(-0.12, 0.12, (len(seen), 2)).T
    samples[0] += (ninth % 3 + 0.5) / 1.5 - 1.0
    samples[1] += (ninth // 3 + 0.5) / 1.5 - 1.0
    return samples


def _towards(target: NDArray, points: NDArray) -> tuple[NDArray, NDArray]:
    """Unit directions `(3, N)` and distances `(N,)` m from points to target."""
    offset = (target - points).astype(np.float32)
    distance = np.sqrt(_dot(offset, offset))
    return offset / np.maximum(distance, _TINY), distance


def _dot(a: NDArray, b: NDArray) -> NDArray:
    return np.einsum("cn,cn->n", a, b)


def _power_40(base: NDArray) -> NDArray:
    """`base ** 40` by repeated squaring: ten times faster than a general power."""
    eighth = ((base * base) ** 2) ** 2
    return ((eighth * eighth) ** 2) * eighth
