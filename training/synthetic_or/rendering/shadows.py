"""Soft shadows of area lights: a coarse grid of shadow rays, and one for each pixel only where the grid disagrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rendering.geometry import Geometry
from training.synthetic_or.rendering.surfaces import Surface, dot
from training.synthetic_or.rooms.lights import Light

_OFFSET = 2e-3  # shadow rays start this far off the surface (m)
_LAMP_THICKNESS = 0.06  # and end this far before the lamp (m), so that its own housing does not block it
_STEP = 2  # the coarse grid takes every second row and column
_SAME_DEPTH = 0.03  # neighbours of one mesh whose distances differ by less (relative) share their shadows
#: Half of a pixel's neighbours, as steps down and right; the others have it for their neighbour.
_NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))
#: The share of a point that sees all of a light (nine times that fits into 16 bits), and the mark of unasked ones.
_FULL, _UNKNOWN = 7000, 65535
#: How far rays stray from the middle of their ninth of a light (half its width is 1): less bands, more grain.
_JITTER = 0.22
#: How often wide half shadows are averaged over the coarse grid, and all shadows over the image in the end.
_ROUNDS, _LAST_ROUNDS = 5, 2
#: Smaller images have a shadow ray of every pixel: the coarse grid would miss too much.
_SMALL_PX = 40_000
#: The coarse grid in a bordered image.
_COARSE = np.s_[1::_STEP, 1::_STEP]


@dataclass(frozen=True)
class _Grid:
    """N pixels of the part of an image that holds them, with a border of one pixel, so that all have eight neighbours.

    Attributes:
        shape: Rows and columns of the bordered image.
        place: `(N,)` index of each pixel in the flattened, bordered image.
        ninth: `(N,)` where each pixel is in its block of 3x3 pixels, 0 to 8.
        points, start: `(N, 3)` m: the points seen, and where their shadow rays start.
        alike: For each of `_NEIGHBOURS` bordered images, 1 where a pixel and that neighbour show the same surface.
        coarse_alike: The same on the coarse grid.
        led: Bordered image: True where a pixel shows the same surface as the coarse grid's pixel of its block, and may
            take its shadow from that; not so on the grid itself.
    """

    shape: tuple[int, int]
    place: NDArray[np.int64]
    ninth: NDArray[np.int64]
    points: NDArray[np.float32]
    start: NDArray[np.float32]
    alike: list[NDArray[np.uint8]]
    coarse_alike: list[NDArray[np.uint8]]
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
        led[_COARSE] = False
        start = surface.points + (surface.normals + surface.view) * np.float32(_OFFSET)
        return cls(
            shape, place, row % 3 * 3 + column % 3, np.ascontiguousarray(surface.points.T),
            np.ascontiguousarray(start.T), _alike(mesh, length),
            _alike(mesh[_COARSE], length[_COARSE]), led,
        )  # fmt: skip

    def image(self, values: NDArray) -> NDArray:
        """The bordered image with `values (N,)` in the pixels, 0 elsewhere."""
        image = np.zeros(self.shape, values.dtype)
        image.ravel()[self.place] = values
        return image


def _spread(image: NDArray) -> NDArray:
    """A bordered image with the coarse grid's values in all pixels of their blocks."""
    rows, columns = image.shape[0] - 1, image.shape[1] - 1
    blocks = image[_COARSE].repeat(_STEP, axis=0)[:rows].repeat(_STEP, axis=1)[:, :columns]
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


def hard_shares(geometry: Geometry, surface: Surface, lights: Sequence[Light]) -> NDArray[np.float32]:
    """`(L, N)` 1 where points see a light's middle, else 0: for single points that have no neighbours."""
    points = np.ascontiguousarray(surface.points.T)
    start = points + ((surface.normals + surface.view) * np.float32(_OFFSET)).T
    shares = np.zeros((len(lights), len(points)), np.float32)
    for light, share in zip(lights, shares, strict=True):
        share[:] = ~_blocked(geometry, start, light.centre.astype(np.float32) - points)
    return shares


def _blocked(geometry: Geometry, start: NDArray, offsets: NDArray) -> NDArray[np.bool_]:
    """`(K,)` whether something stands on the way from `start` to the light, which is `offsets (K, 3)` m away."""
    lengths = np.sqrt(np.einsum("nc,nc->n", offsets, offsets))
    return geometry.blocked(start, offsets / lengths[:, None], lengths - np.float32(_LAMP_THICKNESS))


def _lit_share(
    geometry: Geometry, surface: Surface, light: Light, grid: _Grid, rng: np.random.Generator
) -> NDArray[np.float32]:
    to_light = light.centre.astype(np.float32)[:, None] - surface.points
    # Shadows of what turns away from the light are its shading's business; folds may turn it back a little.
    facing = (to_light[2] > 0) & (dot(surface.normals, to_light) > -0.3 * np.sqrt(dot(to_light, to_light)))
    order = rng.permutation(9)
    #: Bordered image: how much of the light each pixel sees, of `_FULL`.
    share = np.zeros(grid.shape, np.uint16)

    def trace(wanted: NDArray[np.bool_]) -> None:
        which = np.flatnonzero(wanted.ravel().take(grid.place))
        offsets = _on_light(light, order[grid.ninth[which]], rng) - grid.points.take(which, axis=0)
        free = ~_blocked(geometry, grid.start.take(which, axis=0), offsets)
        share.ravel()[grid.place[which]] = free * _FULL

    wanted = grid.image(facing)
    if wanted.size < _SMALL_PX:
        trace(wanted)
    else:
        on_grid = np.zeros(grid.shape, bool)
        on_grid[_COARSE] = wanted[_COARSE]
        trace(on_grid)
        settled = _settle(share, wanted, grid)
        trace(wanted & ~on_grid & ~settled)
    smooth = _averaged(share, wanted, grid.alike, _LAST_ROUNDS).ravel().take(grid.place)
    return np.where(facing, smooth * np.float32(1 / _FULL), np.float32(0))


def _settle(share: NDArray[np.uint16], wanted: NDArray[np.bool_], grid: _Grid) -> NDArray[np.bool_]:
    """Fills in the shares of pixels to which the coarse grid says enough, and says which (bordered image).

    Only sharp edges of shadows, where full light and full shadow are close together, and edges of things need rays of
    every pixel: in wide half shadows a mean over the grid is smoother than these.
    """
    coarse, known = np.ascontiguousarray(share[_COARSE]), np.ascontiguousarray(wanted[_COARSE])
    block, wide = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)
    values = np.where(known, coarse, np.uint16(_UNKNOWN))
    agreed = (cv2.erode(values, block) == cv2.dilate(values, block)) & known
    bright, dark = (cv2.dilate((agreed & (coarse == value)).astype(np.uint8), wide) for value in (_FULL, 0))
    sharp = (bright & dark).astype(bool)
    mean = _averaged(coarse, known, grid.coarse_alike, _ROUNDS)
    share[_COARSE] = np.where(sharp, coarse, mean)
    enough = np.zeros(grid.shape, bool)
    enough[_COARSE] = known & (agreed | ~sharp)
    settled = wanted & grid.led & _spread(enough)
    np.copyto(share, _spread(share), where=settled)
    return settled


def _averaged(
    share: NDArray[np.uint16], known: NDArray[np.bool_], alike: list[NDArray[np.uint8]], rounds: int
) -> NDArray[np.uint16]:
    """Means over the 3x3 known pixels that show the same surface, so often: soft shadows that stop at edges."""
    weight = known.astype(np.uint8)
    count = weight.copy()
    for step, same in zip(_NEIGHBOURS, alike, strict=True):
        here, there = _pair(step)
        count[here] += weight[there] & same
        count[there] += weight[here] & same
    scale = 1 / np.maximum(count, 1).astype(np.float32)
    for _ in range(rounds):
        share = share * weight
        total = share.copy()
        for step, same in zip(_NEIGHBOURS, alike, strict=True):
            here, there = _pair(step)
            total[here] += share[there] * same
            total[there] += share[here] * same
        share = (total * scale + np.float32(0.5)).astype(np.uint16)
    return share


def _on_light(light: Light, ninth: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
    """`(K, 3)` points on the light: each pixel of a 3x3 block looks at its own ninth, so that their mean sees all."""
    centres = np.array([(k % 3, k // 3) for k in range(9)], np.float32) / 1.5 - np.float32(2 / 3)
    jitter = rng.random((len(ninth), 2), np.float32) * np.float32(2 * _JITTER) - np.float32(_JITTER)
    samples = np.empty((len(ninth), 3), np.float32)
    samples[:, :2] = (centres.take(ninth, axis=0) + jitter) * light.half[:2].astype(np.float32)
    samples[:, 2] = 0
    return samples + light.centre.astype(np.float32)
