"""How cloth falls: pleats of irregular width that grow towards the hem, creases of unfolded packs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator


def pleats(around: NDArray, down: NDArray, width: float, rng: Rng, period: float = 2 * np.pi) -> NDArray:
    """`(D, A)` in about [-0.5, 1]: how far hanging cloth stands out, ridges round and valleys narrow.

    Few folds start at the top, more join further down; each has its own width, strength and slant.

    Args:
        around: `(A,)` position along the edge the cloth hangs from, periodic with `period`.
        down: `(D,)` share of the way from that edge (0) to the hem (1).
        width: Mean distance between folds at the hem, in units of `around`.
        rng: Draws the folds.
        period: Length of the edge.
    """
    count = max(3, round(period / width))
    centres = (np.arange(count) + rng.uniform(-0.48, 0.48, count)) * (period / count)
    widths = width * rng.uniform(0.22, 0.6, count)
    strength = rng.uniform(0.3, 1.0, count) ** 1.5
    start = rng.uniform(-0.5, 0.4, count)
    slant = rng.normal(0, 0.25, count) * width
    grown = np.clip((down[:, None] - start) / (1.0 - start), 0, 1) ** 1.3 * strength
    offset = around[None, :, None] - (centres + slant * down[:, None])[:, None, :]
    offset -= period * np.round(offset / period)
    bumps = np.exp(-((offset / widths) ** 2))
    return np.einsum("dac,dc->da", bumps, grown) - 0.35 * down[:, None]


def creases(along: NDArray, rng: Rng) -> NDArray:
    """In [0, 1]: the panels between the fold lines of a cloth that came folded in a pack, `along` in metres."""
    panel = rng.uniform(0.22, 0.34)
    return np.abs(2.0 * np.mod(along / panel + rng.uniform(), 1.0) - 1.0)
