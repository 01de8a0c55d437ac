"""Soft shadows of area lights: a coarse grid of shadow rays, and one for each pixel only where the grid disagrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.geometry import Geometry
from training.synthetic_or.lights import Light
from training.synthetic_or.surfaces import Surface, dot, towards

_OFFSET = 2e-3  # shadow rays start this far off the surface (m)
_LAMP_THICKNESS = 0.06  # and end this far before the lamp (m), so that its own housing does not block it
_STEP = 2  # the coarse grid takes every second row and column
_SAME_DEPTH = 0.03  # neighbours of one mesh whose distances differ by less (relative) share their shadows
_PADDING = 1


@dataclass(frozen=True)
class _Grid:
    """N pixels of an image with a border of one pixel, so that every pixel has eight neighbours.

    Attributes:
        place: `(N,)` index of each pixel in the flattened, bordered image.
        row, column: `(N,)` in the image.
        shape: Rows and columns of the bordered image.
        mesh, length: The bordered image: what is seen (-1: nothing) and how far away.
        coarse: `(N,)` bool: on the coarse grid.
        leader: `(N,)` place of the coarse pixel that each pixel may take its shadow from.
        led: `(N,)` bool: whether it may, for both see the same surface.
    """

    place: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    shape: tuple[int, int]
    mesh: NDArray[np.int32]
    length: NDArray[np.float32]
    coarse: NDArray[np.bool_]
    leader: NDArray[np.int64]
    led: NDArray[np.bool_]

    @classmethod
    def of(cls, surface: Surface, pixels: NDArray, image_size: tuple[int, int]) -> _Grid:
        width, height = image_size
        row, column = pixels // width, pixels % width
        shape = (height + 2 * _PADDING, width + 2 * _PADDING)
        place = (row + _PADDING) * shape[1] + column + _PADDING
        mesh, length = np.full(shape[0] * shape[1], -1, np.int32), np.zeros(shape[0] * shape[1], np.float32)
        mesh[place], length[place] = surface.mesh, surface.length
        down, right = row % _STEP, column % _STEP
        leader = place - down * shape[1] - right
        led = _same(mesh, length, place, leader)
        return cls(place, row, column, shape, mesh, length, (down == 0) & (right == 0), leader, led)


def _same(mesh: NDArray, length: NDArray, place: NDArray, other: NDArray) -> NDArray[np.bool_]:
    own = length.take(place)
    return (mesh.take(place) == mesh.take(other)) & (np.abs(own - length.take(other)) < _SAME_DEPTH * own)


def lit_shares(
    geometry: Geometry, surface: Surface, lights: Sequence[Light], pixels: NDArray, image_size: tuple[int, int],
    rng: np.random.Generator,
) -> NDArray[np.float32]:  # fmt: skip
    """`(L, N)` share of each light that each of N points sees, the points being `pixels (N,)` of an image."""
    grid = _Grid.of(surface, pixels, image_size)
    start = surface.points + (surface.normals + surface.view) * _OFFSET
    shares = [_lit_share(geometry, surface, light, grid, start, rng) for light in lights]
    return np.stack(shares) if shares else np.zeros((0, len(pixels)), np.float32)


def _lit_share(
    geometry: Geometry, surface: Surface, light: Light, grid: _Grid, start: NDArray, rng: np.random.Generator
) -> NDArray[np.float32]:
    to_light = light.centre.astype(np.float32)[:, None] - surface.points
    # Shadows of what turns away from the light are its shading's business; folds may turn it back a little.
    facing = (to_light[2] > 0) & (dot(surface.normals, to_light) > -0.3 * np.sqrt(dot(to_light, to_light)))
    order = rng.permutation(9)
    #: The bordered image: 1 where a ray reached the light, 0 where not, 2 where there is no need to know.
    free = np.full(grid.mesh.shape, 2, np.uint8)

    def trace(which: NDArray) -> None:
        samples = _on_light(light, order[grid.row[which] % 3 * 3 + grid.column[which] % 3], rng)
        directions, lengths = towards(samples, surface.points[:, which])
        blocked = geometry.blocked(start[:, which].T, directions.T, lengths - _LAMP_THICKNESS)
        free[grid.place[which]] = ~blocked

    trace(np.flatnonzero(facing & grid.coarse))
    agreed = _agreed(free.reshape(grid.shape)).ravel()
    follows = facing & ~grid.coarse & grid.led & agreed.take(grid.leader)
    free[grid.place[follows]] = free.take(grid.leader[follows])
    trace(np.flatnonzero(facing & ~grid.coarse & ~follows))
    share = np.zeros(len(facing), np.float32)
    share[follows] = free.take(grid.leader[follows])
    mixed = np.flatnonzero(facing & ~follows)
    share[mixed] = _averaged(free, grid, grid.place[mixed])
    return share


def _agreed(free: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Bordered image: True at the coarse pixels all of whose coarse neighbours are free, or all blocked."""
    coarse = free[_PADDING::_STEP, _PADDING::_STEP]
    lowest, highest = cv2.erode(coarse, np.ones((3, 3))), cv2.dilate(coarse, np.ones((3, 3)))
    agreed = np.zeros(free.shape, bool)
    agreed[_PADDING::_STEP, _PADDING::_STEP] = (lowest == highest) & (coarse < 2)
    return agreed


def _averaged(free: NDArray, grid: _Grid, place: NDArray) -> NDArray[np.float32]:
    """Mean over the 3x3 pixels around `place` that show the same surface: soft edges for the price of one ray."""
    total, count = np.zeros((2, len(place)), np.float32)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            other = place + (down * grid.shape[1] + right)
            value = free.take(other)
            counts = (value < 2) & _same(grid.mesh, grid.length, place, other)
            count += counts
            total += counts & (value == 1)
    return np.asarray(total / np.maximum(count, 1), np.float32)


def _on_light(light: Light, ninth: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
    """`(3, K)` points on the light: each pixel of a 3x3 block looks at its own ninth, so that their mean sees all."""
    place = rng.random((2, len(ninth)), np.float32) * np.float32(0.24) - np.float32(0.12)
    place[0] += (ninth % 3 + 0.5) / 1.5 - 1.0
    place[1] += (ninth // 3 + 0.5) / 1.5 - 1.0
    samples = np.repeat(light.centre.astype(np.float32)[:, None], len(ninth), axis=1)
    samples[:2] += light.half[:2].astype(np.float32)[:, None] * place
    return samples
