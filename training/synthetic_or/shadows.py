"""Soft shadows of area lights: a coarse grid of shadow rays, and one for each pixel only where the grid disagrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.geometry import Geometry
from training.synthetic_or.lights import Light
from training.synthetic_or.surfaces import Surface, dot

_OFFSET = 2e-3  # shadow rays start this far off the surface (m)
_LAMP_THICKNESS = 0.06  # and end this far before the lamp (m), so that its own housing does not block it
_STEP = 2  # the coarse grid takes every second row and column
_SAME_DEPTH = 0.03  # neighbours of one mesh whose distances differ by less (relative) share their shadows
#: Half of a pixel's neighbours, as steps down and right; the others have it for their neighbour.
_NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))
_UNKNOWN = 2


@dataclass(frozen=True)
class _Grid:
    """N pixels of the part of an image that holds them, with a border of one pixel, so that all have eight neighbours.

    Attributes:
        shape: Rows and columns of the bordered image.
        place: `(N,)` index of each pixel in the flattened, bordered image.
        ninth: `(N,)` where each pixel is in its block of 3x3 pixels, 0 to 8.
        points, start: `(N, 3)` m: the points seen, and where their shadow rays start.
        alike: For each of `_NEIGHBOURS` bordered images, 1 where a pixel and that neighbour show the same surface.
        led: Bordered image: True where a pixel shows the same surface as the coarse grid's pixel of its block, and may
            take its shadow from that; not so on the grid itself.
    """

    shape: tuple[int, int]
    place: NDArray[np.int64]
    ninth: NDArray[np.int64]
    points: NDArray[np.float32]
    start: NDArray[np.float32]
    alike: list[NDArray[np.uint8]]
    led: NDArray[np.bool_]

    @classmethod
    def of(cls, surface: Surface, pixels: NDArray, width: int) -> _Grid:
        row, column = pixels // width, pixels % width
        row, column = row - row.min(), column - column.min()
        shape = (int(row.max()) + 3, int(column.max()) + 3)
        place = (row + 1) * shape[1] + column + 1
        mesh, length = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
        mesh.ravel()[place], length.ravel()[place] = surface.mesh, surface.length
        led = (mesh == _spread(mesh)) & _near(_spread(length), length)
        led[1::_STEP, 1::_STEP] = False
        start = surface.points + (surface.normals + surface.view) * np.float32(_OFFSET)
        return cls(
            shape, place, row % 3 * 3 + column % 3, np.ascontiguousarray(surface.points.T),
            np.ascontiguousarray(start.T), _alike(mesh, length), led,
        )  # fmt: skip

    def image(self, values: NDArray) -> NDArray:
        """The bordered image with `values (N,)` in the pixels, 0 elsewhere."""
        image = np.zeros(self.shape, values.dtype)
        image.ravel()[self.place] = values
        return image


def _spread(image: NDArray) -> NDArray:
    """A bordered image with the coarse grid's values in all pixels of their blocks."""
    rows, columns = image.shape[0] - 1, image.shape[1] - 1
    blocks = image[1::_STEP, 1::_STEP].repeat(_STEP, axis=0)[:rows].repeat(_STEP, axis=1)[:, :columns]
    spread = np.zeros_like(image)
    spread[1:, 1:] = blocks
    return spread


def _near(first: NDArray, second: NDArray) -> NDArray[np.bool_]:
    return np.asarray(np.abs(first - second) < _SAME_DEPTH * second)


def _alike(mesh: NDArray, length: NDArray) -> list[NDArray[np.uint8]]:
    pairs = []
    for step in _NEIGHBOURS:
        here, there = _pair(step)
        same = (mesh[here] == mesh[there]) & _near(length[here], length[there])
        pairs.append(same.astype(np.uint8))
    return pairs


def _pair(step: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels of an image that have a neighbour at `step` (down, right), and those neighbours."""
    down, right = step
    columns = slice(max(0, -right), -right if right > 0 else None), slice(max(0, right), right if right < 0 else None)
    return (slice(0, -down or None), columns[0]), (slice(down, None), columns[1])


def lit_shares(
    geometry: Geometry, surface: Surface, lights: Sequence[Light], pixels: NDArray, width: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:  # fmt: skip
    """`(L, N)` share of each light that N points see, the points being `pixels (N,)` of an image `width` wide."""
    if not len(lights) or not len(pixels):
        return np.zeros((len(lights), len(pixels)), np.float32)
    grid = _Grid.of(surface, pixels, width)
    return np.stack([_lit_share(geometry, surface, light, grid, rng) for light in lights])


def _lit_share(
    geometry: Geometry, surface: Surface, light: Light, grid: _Grid, rng: np.random.Generator
) -> NDArray[np.float32]:
    to_light = light.centre.astype(np.float32)[:, None] - surface.points
    # Shadows of what turns away from the light are its shading's business; folds may turn it back a little.
    facing = (to_light[2] > 0) & (dot(surface.normals, to_light) > -0.3 * np.sqrt(dot(to_light, to_light)))
    order = rng.permutation(9)
    #: The bordered image: 1 where a ray reached the light, 0 where not.
    free = np.full(grid.shape, _UNKNOWN, np.uint8)

    def trace(which: NDArray) -> None:
        offsets = _on_light(light, order[grid.ninth[which]], rng) - grid.points.take(which, axis=0)
        lengths = np.sqrt(np.einsum("nc,nc->n", offsets, offsets))
        offsets /= lengths[:, None]
        blocked = geometry.blocked(grid.start.take(which, axis=0), offsets, lengths - np.float32(_LAMP_THICKNESS))
        free.ravel()[grid.place[which]] = ~blocked

    wanted = grid.image(facing)
    on_grid = np.zeros(grid.shape, bool)
    on_grid[1::_STEP, 1::_STEP] = wanted[1::_STEP, 1::_STEP]
    trace(np.flatnonzero(on_grid.ravel().take(grid.place)))
    follows = wanted & grid.led & _spread(_agreed(free))
    np.copyto(free, _spread(free), where=follows)
    trace(np.flatnonzero((wanted & ~on_grid & ~follows).ravel().take(grid.place)))
    return np.where(facing, _averaged(free, grid.alike).ravel().take(grid.place), np.float32(0))


def _agreed(free: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Bordered image: True at the coarse pixels all of whose coarse neighbours are free, or all blocked."""
    coarse = np.ascontiguousarray(free[1::_STEP, 1::_STEP])
    block = np.ones((3, 3), np.uint8)
    agreed = np.zeros(free.shape, bool)
    agreed[1::_STEP, 1::_STEP] = (cv2.erode(coarse, block) == cv2.dilate(coarse, block)) & (coarse != _UNKNOWN)
    return agreed


def _averaged(free: NDArray[np.uint8], alike: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Mean over the 3x3 pixels that show the same surface, twice: soft shadows for one ray, none across edges."""
    known = (free != _UNKNOWN).astype(np.uint8)
    lit = (free == 1).astype(np.uint8)
    count, total = known.copy(), lit.copy()
    for step, same in zip(_NEIGHBOURS, alike, strict=True):
        here, there = _pair(step)
        count[here] += known[there] & same
        count[there] += known[here] & same
        total[here] += lit[there] & same
        total[there] += lit[here] & same
    share = total / np.maximum(count, 1).astype(np.float32)
    # Again, for nine rays give ten steps only, which contrast and sharpening would bring out as grain.
    known = (count > 0).astype(np.uint8)
    weight, smooth = known.astype(np.float32), share.copy()
    for step, same in zip(_NEIGHBOURS, alike, strict=True):
        here, there = _pair(step)
        smooth[here] += share[there] * same
        smooth[there] += share[here] * same
        weight[here] += known[there] & same
        weight[there] += known[here] & same
    return smooth / np.maximum(weight, 1)


def _on_light(light: Light, ninth: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
    """`(K, 3)` points on the light: each pixel of a 3x3 block looks at its own ninth, so that their mean sees all."""
    centres = np.array([(k % 3, k // 3) for k in range(9)], np.float32) / 1.5 - np.float32(2 / 3)
    jitter = rng.random((len(ninth), 2), np.float32) * np.float32(0.24) - np.float32(0.12)
    samples = np.empty((len(ninth), 3), np.float32)
    samples[:, :2] = (centres.take(ninth, axis=0) + jitter) * light.half[:2].astype(np.float32)
    samples[:, 2] = 0
    return samples + light.centre.astype(np.float32)
