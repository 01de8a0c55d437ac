"""The calibration of joint scores: isotonic regression by hand-computed cases, and what a score of 0.5 then means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orpose_models.annotations import PersonLabel
from orpose_models.network.decode import ScoreCalibration
from orpose_models.network.student import build_student
from training.distill.calibrate import calibrate, fit_knots, isotonic, joint_outcomes
from training.distill.validate import Prediction


@pytest.mark.parametrize(
    ("values", "weights", "expected"),
    [
        ([0.1, 0.2, 0.3], [1, 1, 1], [0.1, 0.2, 0.3]),
        ([0.3, 0.1], [1, 1], [0.2, 0.2]),
        ([0.3, 0.1], [3, 1], [0.25, 0.25]),
        ([0.0, 0.6, 0.3, 0.3, 1.0], [1, 1, 1, 1, 1], [0.0, 0.4, 0.4, 0.4, 1.0]),
        ([3.0, 2.0, 1.0], [1, 1, 1], [2.0, 2.0, 2.0]),
    ],
)
def test_isotonic(values: list[float], weights: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(isotonic(np.array(values), np.array(weights)), expected)


def test_half_of_the_joints_with_score_one_half_are_right() -> None:
    rng = np.random.default_rng(0)
    peaks = rng.beta(0.5, 4.0, 20_000)
    right = rng.random(20_000) < np.sqrt(peaks)  # a network that is too modest
    knots, scores = fit_knots(peaks, right)
    calibration = ScoreCalibration()
    calibration.set(torch.from_numpy(knots), torch.from_numpy(scores))
    calibrated = calibration(torch.from_numpy(peaks).float()).numpy()
    near_half = np.abs(calibrated - 0.5) < 0.1
    assert near_half.sum() > 500
    assert right[near_half].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("peaks", [np.zeros(400), np.ones(400), np.repeat([0.25, 0.75], 200)])
def test_equal_peaks_still_give_a_valid_map(peaks: np.ndarray) -> None:
    knots, scores = fit_knots(peaks, np.arange(400) % 2)
    ScoreCalibration().set(torch.from_numpy(knots), torch.from_numpy(scores))


def test_too_few_joints_leave_the_calibration_as_it_was() -> None:
    student = build_student("lite").eval()
    knots = torch.linspace(0, 1, ScoreCalibration.KNOTS)
    student.set_score_calibration(knots, knots.sqrt())
    assert calibrate(student, [], (96, 64), [1.0]) == 0
    assert torch.equal(student.heads.calibration.scores, knots.sqrt())


def test_joint_outcomes() -> None:
    label = np.zeros((17, 3))
    label[:4] = [[10, 10, 2], [110, 10, 1], [10, 60, 2], [210, 10, 0]]  # the fourth lies outside of a 200 px image
    person = PersonLabel(1, 0, np.array([0.0, 0, 120, 80]), label)
    found = np.zeros((1, 17, 3), np.float32)
    # extent 101 px, so 20.2 px are allowed: 20 px off is right, 21 px off is wrong; outside is wrong
    found[0, :4] = [[30, 10, 0.9], [131, 10, 0.8], [10, 60, 0.7], [199, 10, 0.6]]
    boxes = np.array([[0, 0, 120, 80]], np.float32)
    outcomes = joint_outcomes(Prediction(boxes, np.ones(1, np.float32), found), [person], (200, 100))
    np.testing.assert_allclose(outcomes, [[0.9, 1], [0.8, 0], [0.7, 1], [0.6, 0]], atol=1e-6)


def test_unmatched_detections_say_nothing() -> None:
    person = PersonLabel(1, 0, np.array([0.0, 0, 120, 80]), np.full((17, 3), 2.0))
    prediction = Prediction(np.array([[500, 500, 600, 600]], np.float32), np.ones(1), np.ones((1, 17, 3)))
    assert joint_outcomes(prediction, [person], (640, 480)).shape == (0, 2)
