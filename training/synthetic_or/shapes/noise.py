"""Smooth, tileable 3D noise and its gradient, sampled quickly."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

_SIZE = 48
_PADDED = _SIZE + 1
#: Points a call of cv2.remap takes at most: neither side of its map may reach 32768.
_CHUNK = 1 << 14


class Noise:
    """Noise of unit variance that repeats every 48 cells, the same for every scene of a data set."""

    def __init__(self, seed: int = 11) -> None:
        raw = np.random.default_rng(seed).standard_normal((_SIZE,) * 3)
        noise = gaussian_filter(raw, 2.0, mode="wrap") + 0.35 * gaussian_filter(raw[::-1], 1.0, mode="wrap")
        noise = ((noise - noise.mean()) / noise.std()).astype(np.float32)
        slopes = [(np.roll(noise, -1, axis) - np.roll(noise, 1, axis)) * 0.5 for axis in range(3)]
        # Channel pairs: each quantity in a layer and in the next one along x.
        self._values = _layers([noise, np.roll(noise, -1, 0)])
        self._all = [_layers([np.roll(volume, -step, 0) for volume in (noise, *slopes)]) for step in (0, 1)]

    def values(self, points: NDArray) -> NDArray[np.float32]:
        """`(N,)` noise at `points (3, N)`, in cells."""
        share, rows, columns = _places(points)
        pair = _sampled(self._values, rows, columns)
        return pair[:, 0] + share * (pair[:, 1] - pair[:, 0])

    def values_and_gradients(self, points: NDArray) -> NDArray[np.float32]:
        """`(4, N)` noise and its gradient (per cell) at `points (3, N)`, in cells."""
        share, rows, columns = _places(points)
        near, far = (_sampled(layers, rows, columns) for layers in self._all)
        far -= near
        far *= share[:, None]
        far += near
        return np.ascontiguousarray(far.T)

    def gradients(self, points: NDArray) -> NDArray[np.float32]:
        """`(3, N)` gradient of the noise (per cell) at `points (3, N)`, in cells."""
        return self.values_and_gradients(points)[1:]


def _layers(volumes: list[NDArray]) -> NDArray[np.float32]:
    """`(48 * 49, 49, C)`: the layers along x one below the other, rows and columns repeated at the end, so that
    bilinear sampling never has to wrap."""
    padded = np.stack([np.pad(volume, ((0, 0), (0, 1), (0, 1)), mode="wrap") for volume in volumes], axis=-1)
    return np.ascontiguousarray(padded.reshape(_SIZE * _PADDED, _PADDED, len(volumes)), np.float32)


def _places(points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """How far each point lies between its layer and the next one, and its row and column in the layers' picture."""
    x, y, z = np.asarray(points, np.float32) * np.float32(1 / _SIZE)
    x, y, z = (_SIZE * (axis - np.floor(axis)) for axis in (x, y, z))
    layer = np.minimum(np.floor(x), _SIZE - 1)
    return x - layer, layer * _PADDED + np.minimum(y, _SIZE), z


def _sampled(picture: NDArray, rows: NDArray, columns: NDArray) -> NDArray:
    """`(N, C)` bilinear samples."""
    parts = [np.zeros((0, picture.shape[2]), np.float32)]
    for start in range(0, len(rows), _CHUNK):
        chunk = np.s_[None, start : start + _CHUNK]
        parts.append(cv2.remap(picture, columns[chunk], rows[chunk], cv2.INTER_LINEAR)[0])
    return np.concatenate(parts)
