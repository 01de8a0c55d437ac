"""Overlap of boxes, as the protocols define it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def joints_box(joints: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """`(4,)` x1, y1, x2, y2 around the joints `(J, 2+)` that are not at (0, 0); None if there are none."""
    labelled = joints[(joints[:, :2] != 0).any(axis=1), :2]
    if len(labelled) == 0:
        return None
    return np.concatenate([labelled.min(axis=0), labelled.max(axis=0)]).astype(np.float64)


def covered_share(box: NDArray[np.floating], by: NDArray[np.floating]) -> float:
    """Share of `box` (x1, y1, x2, y2) that `by` covers; sizes + 1 px, as MVOR's published code counts them."""
    sides = np.minimum(box[2:], by[2:]) - np.maximum(box[:2], by[:2]) + 1
    if (sides <= 0).any():
        return 0.0
    return float(sides.prod() / (box[2:] - box[:2] + 1).prod())
