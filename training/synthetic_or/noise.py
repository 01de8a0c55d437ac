"""Smooth, tileable 3D noise and its gradient, sampled quickly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

_SIZE = 48
_PADDED = _SIZE + 1
#: Steps in the flattened padded volume from a cell's low corner to its eight corners; z changes fastest.
_CORNERS = [(dx * _PADDED + dy) * _PADDED + dz for dx in (0, 1) for dy in (0, 1) for dz in (0, 1)]


class Noise:
    """Noise of unit variance that repeats every 48 cells, the same for every scene of a data set."""

    def __init__(self, seed: int = 11) -> None:
        raw = np.random.default_rng(seed).standard_normal((_SIZE,) * 3)
        noise = gaussian_filter(raw, 2.0, mode="wrap") + 0.35 * gaussian_filter(raw[::-1], 1.0, mode="wrap")
        noise = ((noise - noise.mean()) / noise.std()).astype(np.float32)
        slopes = [(np.roll(noise, -1, axis) - np.roll(noise, 1, axis)) * 0.5 for axis in range(3)]
        self._value = _padded(noise)
        self._slopes = [_padded(slope) for slope in slopes]

    def values(self, points: NDArray) -> NDArray[np.float32]:
        """`(N,)` noise at `points (3, N)`, in cells."""
        return _trilinear([self._value], points)[0]

    def gradients(self, points: NDArray) -> NDArray[np.float32]:
        """`(3, N)` gradient of the noise (per cell) at `points (3, N)`, in cells."""
        return np.stack(_trilinear(self._slopes, points))


def _padded(volume: NDArray) -> NDArray:
    """The flattened volume with its first layers repeated at the end, so that no index has to wrap."""
    return np.pad(volume, ((0, 1),) * 3, mode="wrap").ravel()


def _trilinear(volumes: list[NDArray], points: NDArray) -> list[NDArray]:
    base = np.floor(points)
    x, y, z = (points - base).astype(np.float32)
    i, j, k = base.astype(np.int32) % _SIZE
    low = (i * _PADDED + j) * _PADDED + k
    samples = []
    for volume in volumes:
        c = [volume.take(low + step) for step in _CORNERS]
        near = _mix(_mix(c[0], c[1], z), _mix(c[2], c[3], z), y)
        far = _mix(_mix(c[4], c[5], z), _mix(c[6], c[7], z), y)
        samples.append(_mix(near, far, x))
    return samples


def _mix(first: NDArray, second: NDArray, share: NDArray) -> NDArray:
    """`first` where share is 0, `second` where it is 1; overwrites `second`."""
    second -= first
    second *= share
    second += first
    return second
