"""One-Euro: against the published recursion, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.smoothing import OneEuro, SmoothingConfig

STEP_NS = 100_000_000
ONE = np.ones(1)


def run(values, score: float = 0.5, step_ns: int = STEP_NS, **config: float) -> np.ndarray:
    """One number over time."""
    one = OneEuro(SmoothingConfig(**config))
    scores = np.full((1, 1), score)
    smooth = [one.smooth(np.array([[value]]), scores, ONE, index * step_ns) for index, value in enumerate(values)]
    return np.array(smooth).reshape(-1)


def test_two_steps_by_hand():
    # Cut-off 1 Hz + 2 x |smoothed speed|; the share of a low pass is 1 / (1 + 1 / (2 pi cut-off step)).
    def share(cutoff_hz: float) -> float:
        return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * 0.1))

    speed = share(1.0) * (1.0 - 0.0) / 0.1
    first = share(1.0 + 2 * speed) * 1.0
    speed += share(1.0) * ((1.0 - first) / 0.1 - speed)
    second = first + share(1.0 + 2 * abs(speed)) * (1.0 - first)
    smooth = run([0.0, 1.0, 1.0], smoothing_cutoff_hz=1.0, smoothing_speed_gain=2.0)
    assert smooth == pytest.approx([0.0, first, second])


def test_a_trembling_joint_at_rest_trembles_less_and_a_sure_one_is_left_nearly_alone():
    noise = np.random.default_rng(0).normal(0, 0.01, 400)
    unsure, sure = run(noise, score=0.0), run(noise, score=1.0)
    assert np.std(np.diff(unsure)) < 0.2 * np.std(np.diff(noise))
    assert np.std(np.diff(unsure)) < 0.5 * np.std(np.diff(sure)) < 0.5 * np.std(np.diff(noise))


def test_a_fast_joint_lags_less_than_without_the_speed_gain():
    path = np.arange(40) * 0.1  # one body height a second
    assert path[-1] - run(path)[-1] < 0.3 * (path[-1] - run(path, smoothing_speed_gain=0.0)[-1])


def test_speeds_are_measured_by_the_body_and_not_by_pixels():
    path = np.random.default_rng(1).normal(0, 0.3, 50).cumsum()
    one = OneEuro(SmoothingConfig())
    scores, height = np.full((1, 1), 0.5), np.array([240.0])
    in_px = [one.smooth(np.array([[240 * v]]), scores, height, i * STEP_NS)[0, 0] for i, v in enumerate(path)]
    np.testing.assert_allclose(np.array(in_px) / 240, run(path))


@pytest.mark.parametrize("step_ns", [10**9, 0, -STEP_NS])
def test_it_begins_anew_after_a_gap_and_when_time_stands_still_or_goes_back(step_ns):
    one = OneEuro(SmoothingConfig(smoothing_gap_s=0.5))
    scores = np.full((1, 1), 0.5)
    for index in range(5):
        one.smooth(np.zeros((1, 1)), scores, ONE, index * STEP_NS)
    assert one.smooth(np.ones((1, 1)), scores, ONE, 4 * STEP_NS + step_ns)[0, 0] == 1.0
    assert 1.0 < one.smooth(np.full((1, 1), 2.0), scores, ONE, 5 * STEP_NS + step_ns)[0, 0] < 2.0


def test_the_real_time_step_counts():
    assert run([0.0, 1.0], step_ns=2 * STEP_NS)[1] > run([0.0, 1.0])[1]


def test_an_unknown_joint_stays_unknown_and_begins_anew():
    values = [0.0, np.nan, 1.0, 2.0]
    smooth = run(values)
    assert np.isnan(smooth[1])
    assert smooth[2] == 1.0
    assert 1.0 < smooth[3] < 2.0
