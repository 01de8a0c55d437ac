"""Peaks of Gaussian heatmaps, refined as the published codes do."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Refinement = Literal["none", "quarter", "dark"]

#: DARK works on the logarithm of what is within this range.
_DARK_RANGE = (1e-3, 50.0)
#: Standard deviation, cells, of the smoothing before.
_DARK_SIGMA = 0.8


def decode_heatmaps(
    heatmaps: NDArray[np.float32], refine: Refinement, dark_kernel: int = 11
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Cells `(N, J, 2)` x, y (middle of the first one: 0) and heights `(N, J)` of the peaks of `(N, J, h, w)` maps.

    Args:
        heatmaps: About 1 at a sure joint.
        refine: quarter: a quarter cell towards the higher neighbour (HRNet); dark: the top of a Gaussian through the
            smoothed peak and its neighbours (Zhang 2020).
        dark_kernel: Width of the smoothing window, cells, odd.
    """
    height, width = heatmaps.shape[-2:]
    flat = heatmaps.reshape(*heatmaps.shape[:2], height * width)
    index = flat.argmax(axis=-1)
    peaks = flat.max(axis=-1)
    cells = np.stack([index % width, index // width], axis=-1) * (peaks > 0)[..., None]
    if refine == "quarter":
        return cells + 0.25 * _slope_signs(heatmaps, cells), peaks
    if refine == "dark":
        return cells + _dark_offsets(heatmaps, cells, dark_kernel), peaks
    return cells.astype(np.float64), peaks


def _slope_signs(heatmaps: NDArray[np.float32], cells: NDArray) -> NDArray[np.float64]:
    """-1, 0 or 1 along x and y; 0 at the border, which the published code draws at the first two cells."""
    height, width = heatmaps.shape[-2:]
    x, y = cells[..., 0], cells[..., 1]
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    at = _reader(heatmaps, np.where(inside, x, 1), np.where(inside, y, 1))
    slopes = np.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], axis=-1)
    return np.sign(slopes) * inside[..., None]


def _dark_offsets(heatmaps: NDArray[np.float32], cells: NDArray, kernel: int) -> NDArray[np.float64]:
    """One Newton step of the log heatmap, from second-order differences; cells beyond the border repeat it."""
    smooth = np.empty_like(heatmaps, np.float64)
    for person, maps in enumerate(heatmaps):
        for joint, one in enumerate(maps):
            smooth[person, joint] = cv2.GaussianBlur(
                one.astype(np.float64), (kernel, kernel), _DARK_SIGMA, borderType=cv2.BORDER_REFLECT
            )
    logs = np.pad(np.log(smooth.clip(*_DARK_RANGE)), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    at = _reader(logs, cells[..., 0] + 1, cells[..., 1] + 1)
    middle = at(0, 0)
    dx, dy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    dxx, dyy = at(1, 0) - 2 * middle + at(-1, 0), at(0, 1) - 2 * middle + at(0, -1)
    dxy = (at(1, 1) - at(1, 0) - at(0, 1) + 2 * middle - at(-1, 0) - at(0, -1) + at(-1, -1)) / 2
    hessian = np.stack([np.stack([dxx, dxy], -1), np.stack([dxy, dyy], -1)], -2)
    hessian = hessian + np.finfo(np.float32).eps * np.eye(2)
    return -np.linalg.solve(hessian, np.stack([dx, dy], -1)[..., None])[..., 0]


def _reader(maps: NDArray, x: NDArray, y: NDArray):
    """`at(i, j)` reads every map `(N, J, h, w)` at its own cell plus (i, j)."""
    n, j = np.ogrid[: maps.shape[0], : maps.shape[1]]
    return lambda right, down: maps[n, j, y + down, x + right].astype(np.float64)
