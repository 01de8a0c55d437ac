"""Constant-velocity boxes against hand-computed places and a textbook Kalman filter."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.motion import BoxMotion


def box(x: float, y: float = 50.0, width: float = 40.0, height: float = 100.0) -> np.ndarray:
    return np.array([x - width / 2, y - height / 2, width, height])


def test_a_steady_walker_is_predicted_whatever_the_time_steps():
    motion = BoxMotion(box(0.0))
    time_s = 0.0
    for step_s in [0.1, 0.07, 0.2, 0.1, 0.033, 0.1, 0.15] * 3:
        time_s += step_s
        motion.predict(step_s)
        motion.correct(box(60.0 * time_s))
    motion.predict(0.5)
    assert motion.centre == pytest.approx([60.0 * (time_s + 0.5), 50.0], abs=2.0)
    assert motion.bbox_xywh[2:] == pytest.approx([40, 100], abs=0.1)


def test_one_step_is_that_of_the_textbook():
    motion = BoxMotion(box(0.0))
    motion.predict(0.2)
    motion.correct(box(10.0))
    # 100 px is the longer side: measured to 5 px, first speed unknown by 50 px/s, acceleration 100 px/s².
    covariance = np.diag([25.0, 2500.0])
    step = np.array([[1, 0.2], [0, 1]])
    covariance = step @ covariance @ step.T + 100.0**2 * np.array([[0.2**4 / 4, 0.2**3 / 2], [0.2**3 / 2, 0.2**2]])
    assert motion.centre[0] == pytest.approx(10.0 * covariance[0, 0] / (covariance[0, 0] + 25.0))


def test_a_size_that_nobody_sees_stays():
    motion = BoxMotion(box(0.0))
    for width in (45.0, 50.0, 55.0, 60.0):
        motion.predict(0.1)
        motion.correct(box(0.0, width=width))
    motion.keep_size()
    before = motion.bbox_xywh[2:]
    motion.predict(2.0)
    assert motion.bbox_xywh[2:] == pytest.approx(before)
