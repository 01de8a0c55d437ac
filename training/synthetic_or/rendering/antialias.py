"""Smooth silhouettes: further rays where neighbouring pixels show different things."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rendering.geometry import Hits
from training.synthetic_or.rooms.cameras import Camera

#: Where an edge pixel's further rays go, right and down from its middle (px): in rows and columns of their own.
_SPOTS = np.array([(-0.35, 0.3), (0.3, -0.35)])
#: Surfaces of one mesh whose distances differ by less (relative) look the same.
_SAME_DEPTH = 0.06
#: Steps right and down to the pixels whose colour a ray may take, the nearest first.
_NEIGHBOURS = sorted(((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)), key=lambda step: step[0] ** 2 + step[1] ** 2)


def edge_pixels(meshes: NDArray[np.int32], lengths: NDArray[np.float32]) -> NDArray[np.int64]:
    """Flat indices of the pixels of `(H, W)` images of what is seen and how far away that differ from a neighbour."""
    edge = np.zeros(meshes.shape, bool)
    for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        differs = (meshes[here] != meshes[there]) | ~_near(lengths[here], lengths[there])
        edge[here] |= differs
        edge[there] |= differs
    return np.flatnonzero(edge)


def smooth_edges(
    radiance: NDArray[np.float32], meshes: NDArray[np.int32], lengths: NDArray[np.float32], camera: Camera,
    look: Callable[[NDArray], tuple[Hits, NDArray]], shade: Callable[[NDArray, Hits], NDArray],
) -> None:  # fmt: skip
    """Averages each edge pixel of a picture with two further rays, in place.

    Most of these hit what their pixel or one next to it shows and take its colour; only the others are shaded.

    Args:
        radiance: `(H * W, 3)`.
        meshes, lengths: `(H * W,)` what each pixel shows, -1 for nothing, and how far away.
        camera: Whose picture it is.
        look: The hits of rays along directions `(K, 3)` of the camera frame, and the meshes that they hit.
        shade: Radiance `(K, 3)` of hits on those rays.
    """
    width, height = camera.image_size
    pixels = edge_pixels(meshes.reshape(height, width), lengths.reshape(height, width))
    pixels = pixels[_inside(pixels, width, height)]
    if not len(pixels):
        return
    middles = np.stack([pixels % width, pixels // width], axis=1) + 0.5
    directions = camera.lens.rays((middles[:, None] + _SPOTS).reshape(-1, 2))
    pixels = pixels.repeat(len(_SPOTS))
    sighted = np.flatnonzero(np.isfinite(directions[:, 2]))
    directions, pixels = directions[sighted].astype(np.float32), pixels[sighted]
    hits, found = look(directions)
    colours = np.zeros((len(pixels), 3), np.float32)
    source = _alike(pixels[hits.rays], found, hits.length, meshes, lengths, width)
    known = np.flatnonzero(source >= 0)
    colours[hits.rays[known]] = radiance.take(source[known], axis=0)
    new = np.flatnonzero(source < 0)
    if len(new):
        colours[hits.rays[new]] = shade(directions, hits[new])
    edge, place, count = np.unique(pixels, return_inverse=True, return_counts=True)
    for channel in range(3):
        total = radiance[edge, channel] + np.bincount(place, colours[:, channel])
        radiance[edge, channel] = total / (1 + count)


def _inside(pixels: NDArray, width: int, height: int) -> NDArray[np.bool_]:
    """Which pixels have neighbours on all sides."""
    column, row = pixels % width, pixels // width
    return np.asarray((column > 0) & (column < width - 1) & (row > 0) & (row < height - 1))


def _alike(
    pixels: NDArray, mesh: NDArray, length: NDArray, meshes: NDArray, lengths: NDArray, width: int
) -> NDArray[np.int64]:
    """For each ray through `pixels (K,)` the nearest pixel that shows the same surface, -1 where there is none."""
    source = np.full(len(pixels), -1, np.int64)
    open_ = np.arange(len(pixels))
    for right, down in _NEIGHBOURS:
        candidate = pixels[open_] + (down * width + right)
        same = (meshes.take(candidate) == mesh[open_]) & _near(lengths.take(candidate), length[open_])
        source[open_[same]] = candidate[same]
        open_ = open_[~same]
    return source


def _near(first: NDArray, second: NDArray) -> NDArray[np.bool_]:
    return np.asarray(np.abs(first - second) < _SAME_DEPTH * np.minimum(first, second) + 1e-6)
