"""One-Euro: against the published recursion, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.smoothing import OneEuro, SmoothingConfig, smooth

STEP_NS = 100_000_000


class Number:
    """One person with one joint of one number, 1 high unless said otherwise."""

    def __init__(self, height: float = 1.0, **config: float) -> None:
        self.config, self.filter, self.height = SmoothingConfig(**config), OneEuro(), np.array([[height]])

    def __call__(self, value: float, stamp_ns: int, score: float = 0.5) -> float:
        values, scores = np.full((1, 1, 1), value), np.full((1, 1, 1), score)
        return float(smooth(self.config, [self.filter], values, scores, self.height, stamp_ns)[0, 0, 0])


def run(values, score: float = 0.5, step_ns: int = STEP_NS, **config: float) -> np.ndarray:
    """One number over time."""
    one = Number(**config)
    return np.array([one(value, index * step_ns, score) for index, value in enumerate(values)])


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
    one = Number(height=240.0)
    in_px = [one(240 * value, index * STEP_NS) for index, value in enumerate(path)]
    np.testing.assert_allclose(np.array(in_px) / 240, run(path))


@pytest.mark.parametrize("step_ns", [10**9, 0, -STEP_NS])
def test_it_begins_anew_after_a_gap_and_when_time_stands_still_or_goes_back(step_ns):
    one = Number(smoothing_gap_s=0.5)
    for index in range(5):
        one(0.0, index * STEP_NS)
    assert one(1.0, 4 * STEP_NS + step_ns) == 1.0
    assert 1.0 < one(2.0, 5 * STEP_NS + step_ns) < 2.0


def test_people_do_not_touch_each_other_and_somebody_new_begins_at_once():
    """Two people together are as each alone; the second comes three frames later and misses one."""
    config, (first, second), numbers = SmoothingConfig(), (OneEuro(), OneEuro()), (Number(), Number(height=2.0))
    values = np.random.default_rng(2).normal(size=(8, 2))
    for index, pair in enumerate(values):
        here = [0] if index < 3 or index == 5 else [0, 1]
        filters, heights = [(first, second)[i] for i in here], np.array([[(1.0, 2.0)[i]] for i in here])
        together = smooth(
            config, filters, pair[here, None, None], np.full((len(here), 1, 1), 0.5), heights, index * STEP_NS
        )
        alone = [numbers[i](pair[i], index * STEP_NS) for i in here]
        np.testing.assert_allclose(together[:, 0, 0], alone)


def test_the_real_time_step_counts():
    assert run([0.0, 1.0], step_ns=2 * STEP_NS)[1] > run([0.0, 1.0])[1]


def test_an_unknown_joint_stays_unknown_and_begins_anew():
    values = [0.0, np.nan, 1.0, 2.0]
    smooth = run(values)
    assert np.isnan(smooth[1])
    assert smooth[2] == 1.0
    assert 1.0 < smooth[3] < 2.0
