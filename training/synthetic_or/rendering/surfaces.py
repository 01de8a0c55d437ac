"""What rays hit, as the shading needs it. All arrays `(C, N)`, N rays: numpy is faster on long last axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rendering.geometry import Geometry, Hits
from training.synthetic_or.shapes.materials import MaterialTable

_TINY = 1e-6


@dataclass(frozen=True)
class Surface:
    """What N rays hit.

    Attributes:
        points: `(3, N)` m, room frame.
        view: `(3, N)` unit vectors towards the camera.
        albedo: `(3, N)` vertex colours, linear.
        normals: `(3, N)` interpolated, of about unit length, on the side that is seen.
        pattern: `(3, N)` m, where noise, folds and wrinkles are looked up.
        textured: `(K,)` which of the rays hit a texture.
        uv: `(2, K)` texture coordinates of those, and `uv_step (K,)` how far they move from pixel to pixel.
        mesh: `(N,)` index of the mesh, and so of its material.
        length: `(N,)` m from the camera; `pixel (N,)` m: how wide a pixel is there.
    """

    points: NDArray[np.float32]
    view: NDArray[np.float32]
    albedo: NDArray[np.float32]
    normals: NDArray[np.float32]
    pattern: NDArray[np.float32]
    textured: NDArray[np.int64]
    uv: NDArray[np.float32]
    uv_step: NDArray[np.float32]
    mesh: NDArray[np.int32]
    length: NDArray[np.float32]
    pixel: NDArray[np.float32]

    @classmethod
    def at(
        cls, geometry: Geometry, hits: Hits, materials: MaterialTable, origins: NDArray, directions: NDArray,
        pixel_angle: float, patterned: NDArray,
    ) -> Surface:  # fmt: skip
        """What `hits` are on, for rays from `origins` along unit `directions` (both `(3, N)` or `(3, 1)`).

        `pixel_angle` is a pixel's width in radians; `patterned (M,)` says which meshes carry a pattern of their own.
        """
        points = directions * hits.length + origins
        looks = geometry.interpolated(geometry.looks, hits)
        mesh = geometry.meshes_of(hits)
        albedo, normals = looks[:3], looks[3:]
        facing = -dot(normals, directions)
        normals *= np.where(facing < 0, np.float32(-1), np.float32(1))
        textured = np.flatnonzero(materials.texture.take(mesh) >= 0)
        pixel = hits.length * np.float32(pixel_angle)
        slant = np.sqrt(np.maximum(np.abs(facing[textured]), 0.1))
        some = hits[textured]
        step = geometry.uv_per_metre(some) * pixel[textured] / slant
        own = np.flatnonzero(patterned.take(mesh))
        pattern = points
        if len(own):
            pattern = points.copy()
            pattern[:, own] = geometry.interpolated(geometry.pattern, hits[own])
        return cls(
            points, -directions, albedo, normals, pattern, textured, geometry.interpolated(geometry.uv, some), step,
            mesh, hits.length, pixel,
        )  # fmt: skip

    def part(self, start: int, stop: int) -> Surface:
        """Rays `start` to `stop`: shading goes through them in parts that stay in the processor's cache."""
        some = slice(*np.searchsorted(self.textured, (start, stop)))
        s = slice(start, stop)
        return Surface(
            self.points[:, s], self.view[:, s], self.albedo[:, s], self.normals[:, s], self.pattern[:, s],
            self.textured[some] - start, self.uv[:, some], self.uv_step[some], self.mesh[s], self.length[s],
            self.pixel[s],
        )  # fmt: skip


def dot(a: NDArray, b: NDArray) -> NDArray:
    """`(N,)` of two `(3, N)`."""
    return np.asarray(np.einsum("cn,cn->n", a, b))


def unit(vectors: NDArray) -> NDArray:
    """Vectors `(3, N)` of length 1."""
    return vectors / np.maximum(np.sqrt(dot(vectors, vectors)), _TINY)


def towards(target: NDArray, points: NDArray) -> tuple[NDArray, NDArray]:
    """Unit directions `(3, N)` and distances `(N,)` m from points to target."""
    offset = (target - points).astype(np.float32)
    distance = np.sqrt(dot(offset, offset))
    return offset / np.maximum(distance, _TINY), distance
