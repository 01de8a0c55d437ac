"""Constant-velocity motion of boxes: Kalman filters over centre and size, on real time steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: How far a measured centre and a measured size scatter, and how hard people accelerate, in longer sides of the box.
#: Sizes scatter more: a box shows what is visible, and hands and things before people come and go.
_CENTRE_SD, _SIZE_SD, _ACCELERATION_SD = 0.05, 0.1, 1.0
#: What is not known of a new box: its speed, in longer sides a second.
_FIRST_SPEED_SD = 0.5


class BoxMotion:
    """One box as centre x, centre y, width, height, each a position and a velocity (px, px/s) of its own filter."""

    def __init__(self, bbox_xywh: NDArray[np.floating]) -> None:
        """Starts at a box `(4,)` left, top, width, height, at rest."""
        measured = _centred(bbox_xywh)
        self._state = np.stack([measured, np.zeros(4)], axis=1)
        self._covariance = np.zeros((4, 2, 2))
        self._covariance[:, 0, 0] = _measurement_variance(measured)
        self._covariance[:, 1, 1] = (_FIRST_SPEED_SD * _longer_side(measured)) ** 2

    @property
    def bbox_xywh(self) -> NDArray[np.float64]:
        """`(4,)` left, top, width, height, px."""
        centre, size = self._state[:2, 0], np.maximum(self._state[2:, 0], 1.0)
        return np.concatenate([centre - size / 2, size])

    @property
    def centre(self) -> NDArray[np.float64]:
        """`(2,)` px."""
        return self._state[:2, 0].copy()

    def predict(self, duration_s: float) -> None:
        """Moves on by a time of at least 0."""
        step = np.array([[1.0, duration_s], [0.0, 1.0]])
        noise = np.array([[duration_s**4 / 4, duration_s**3 / 2], [duration_s**3 / 2, duration_s**2]])
        acceleration = _ACCELERATION_SD * _longer_side(self._state[:, 0])
        self._state = self._state @ step.T
        self._covariance = step @ self._covariance @ step.T + noise * acceleration**2

    def correct(self, bbox_xywh: NDArray[np.floating]) -> None:
        """Takes a measured box into account."""
        measured = _centred(bbox_xywh)
        gain = self._covariance[:, :, 0] / (self._covariance[:, 0, 0] + _measurement_variance(measured))[:, None]
        self._state = self._state + gain * (measured - self._state[:, 0])[:, None]
        self._covariance = self._covariance - gain[:, :, None] * self._covariance[:, :1, :]

    def keep_size(self) -> None:
        """Stops growing and shrinking: what a box does that nobody sees."""
        self._state[2:, 1] = 0.0


def _centred(bbox_xywh: NDArray[np.floating]) -> NDArray[np.float64]:
    box = np.asarray(bbox_xywh, np.float64)
    return np.concatenate([box[:2] + box[2:] / 2, box[2:]])


def _longer_side(centred: NDArray[np.float64]) -> float:
    return float(max(centred[2], centred[3], 1.0))


def _measurement_variance(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.square(_longer_side(centred) * np.array([_CENTRE_SD, _CENTRE_SD, _SIZE_SD, _SIZE_SD]))
