"""One-Euro smoothing of joints on real time steps, weaker where the network is sure. Scores stay as they are.

A low pass whose cut-off rises with speed: joints at rest stop trembling, fast ones hardly lag.
(Casiez, Roussel, Vogel: 1€ Filter, CHI 2012.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from orpose_models.settings import Settings
from orpose_models.units import NANOSECONDS_PER_SECOND

#: Cut-off of the speed itself, Hz.
_SPEED_CUTOFF_HZ = 1.0
#: How much higher the cut-off is for a joint of score 1 than for one of score 0.
_SURE_OVER_UNSURE = 16.0


class SmoothingConfig(Settings):
    """How much joints are smoothed."""

    smoothing: bool = Field(
        default=True, description="smooth the joints of tracked people over time, less where scores are high"
    )
    smoothing_cutoff_hz: float = Field(
        default=0.5, ge=0.01, le=100.0, description="cut-off, Hz, of a joint at rest with score 0.5; lower: smoother"
    )
    smoothing_speed_gain: float = Field(
        default=2.0,
        ge=0.0,
        le=1000.0,
        description="how much the cut-off, Hz, rises with a joint's speed, body heights a second; higher: less lag",
    )
    smoothing_gap_s: float = Field(
        default=0.5, ge=0.0, le=60.0, description="time, s, unseen after which smoothing begins anew"
    )


@dataclass(eq=False)
class OneEuro:
    """What the filter remembers of one person's joints: `(J, D)` numbers, each smoothed by itself."""

    stamp_ns: int | None = None
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    speeds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


def smooth(
    config: SmoothingConfig,
    filters: Sequence[OneEuro],
    values: NDArray[np.floating],
    scores: NDArray[np.floating],
    body_height: NDArray[np.floating],
    stamp_ns: int,
) -> NDArray[np.float64]:
    """The values of several people smoothed; anew after a gap, when time does not advance, and for what was NaN.

    Args:
        config: How much.
        filters: One of each of the N people; they remember this frame.
        values: `(N, J, D)` in any units; NaN where unknown.
        scores: `(N, J, D)` in [0, 1].
        body_height: `(N, D)` the person's height in the unit of each column: speeds are measured by it.
        stamp_ns: The frame's, ns.
    """
    values = values.astype(np.float64)
    steps_s = [0.0 if one.stamp_ns is None else (stamp_ns - one.stamp_ns) / NANOSECONDS_PER_SECOND for one in filters]
    goes_on = [0.0 < step_s <= config.smoothing_gap_s for step_s in steps_s]
    old = np.stack([one.values if on else v for one, on, v in zip(filters, goes_on, values, strict=True)])
    speeds = np.stack(
        [one.speeds if on else np.zeros(v.shape) for one, on, v in zip(filters, goes_on, values, strict=True)]
    )
    step_s = np.where(goes_on, steps_s, 1.0)[:, None, None]  # whatever, where nothing goes on: there is no difference
    is_new = np.isnan(old) | np.isnan(values)
    difference = np.where(is_new, 0.0, values - old)
    speeds = speeds + _share(_SPEED_CUTOFF_HZ, step_s) * (difference / step_s - speeds)
    cutoff_hz = config.smoothing_cutoff_hz + config.smoothing_speed_gain * np.abs(speeds) / body_height[:, None]
    share = _share(cutoff_hz * _SURE_OVER_UNSURE ** (np.clip(np.nan_to_num(scores), 0.0, 1.0) - 0.5), step_s)
    smoothed = np.where(is_new, values, old + share * difference)
    for one, *remembered in zip(filters, smoothed, speeds, strict=True):
        one.stamp_ns, (one.values, one.speeds) = stamp_ns, remembered
    return smoothed


def _share(cutoff_hz: NDArray[np.float64] | float, step_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the new value that a low pass takes in a step."""
    turned = 2 * np.pi * step_s * np.asarray(cutoff_hz)
    return np.asarray(turned / (turned + 1), np.float64)
