"""One-Euro smoothing of joints on real time steps, weaker where the network is sure. Scores stay as they are.

A low pass whose cut-off rises with speed: joints at rest stop trembling, fast ones hardly lag.
(Casiez, Roussel, Vogel: 1€ Filter, CHI 2012.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from orpose_models.settings import Settings

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


class OneEuro:
    """The filter of one person's joints: `(J, D)` numbers, each smoothed by itself."""

    def __init__(self, config: SmoothingConfig) -> None:
        self.config = config
        self._stamp_ns: int | None = None
        self._values = self._speeds = np.zeros(0)

    def smooth(
        self,
        values: NDArray[np.floating],
        scores: NDArray[np.floating],
        body_height: NDArray[np.floating],
        stamp_ns: int,
    ) -> NDArray[np.float64]:
        """The values smoothed; anew after a gap, when time does not advance, and for values that were NaN.

        Args:
            values: `(J, D)` in any units; NaN where unknown.
            scores: `(J, D)` in [0, 1].
            body_height: `(D,)` the person's height in the unit of each column: speeds are measured by it.
            stamp_ns: The frame's, ns.
        """
        step_s = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) / 1e9
        self._stamp_ns = stamp_ns
        if not 0.0 < step_s <= self.config.smoothing_gap_s:
            self._values, self._speeds = values.astype(np.float64), np.zeros(values.shape)
            return self._values
        is_new = np.isnan(self._values) | np.isnan(values)
        speeds = np.where(is_new, 0.0, (values - self._values) / step_s)
        self._speeds = self._speeds + _share(_SPEED_CUTOFF_HZ, step_s) * (speeds - self._speeds)
        cutoff_hz = (
            self.config.smoothing_cutoff_hz + self.config.smoothing_speed_gain * np.abs(self._speeds) / body_height
        )
        share = _share(cutoff_hz * _SURE_OVER_UNSURE ** (np.clip(np.nan_to_num(scores), 0.0, 1.0) - 0.5), step_s)
        self._values = np.where(is_new, values, self._values + share * (values - self._values))
        return self._values


def _share(cutoff_hz: NDArray[np.float64] | float, step_s: float) -> NDArray[np.float64]:
    """The share of the new value that a low pass takes in a step."""
    turned = 2 * np.pi * step_s * np.asarray(cutoff_hz)
    return np.asarray(turned / (turned + 1), np.float64)
