"""Which images are let through; times in ms."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from orpose_ros.rate_limit import RateLimit

MS = 1_000_000


def accepted(limit: RateLimit, arrivals: Sequence[tuple[str, float, float]], max_fps: float) -> list[tuple[str, float]]:
    """`arrivals`: (camera, stamp, time of arrival). Returns camera and stamp of what is let through."""
    return [
        (camera, stamp)
        for camera, stamp, arrived in sorted(arrivals, key=lambda each: each[2])
        if limit.accepts(camera, round(stamp * MS), arrived / 1e3, max_fps)
    ]


@pytest.mark.parametrize(("sent", "max_fps", "expected"), [(30, 10, 10), (30, 20, 20), (25, 30, 25), (30, 0, 30)])
def test_images_a_second(sent, max_fps, expected):
    """With arrivals that scatter, as they do."""
    rng = random.Random(0)
    stamps = [1000 * index / sent for index in range(20 * sent)]
    kept = accepted(RateLimit(), [("a", stamp, stamp + rng.uniform(0, 4)) for stamp in stamps], max_fps)
    assert len(kept) / 20 == pytest.approx(expected, abs=0.2)


def test_after_a_pause_there_is_no_burst():
    stamps = [*range(0, 1000, 50), *range(5000, 6000, 50)]
    kept = [stamp for _, stamp in accepted(RateLimit(), [("a", s, s) for s in stamps], 5)]
    assert kept == [0, 200, 400, 600, 800, 5000, 5200, 5400, 5600, 5800]


@pytest.mark.parametrize("phase", [0, 10, 40])
@pytest.mark.parametrize("frame_ms", [100, 200 / 3, 50, 67])
def test_fused_cameras_keep_images_of_the_same_moments(phase, frame_ms):
    """Of cameras that expose a little after each other, too: then one in eight is lost at rates that do not divide."""
    rng = random.Random(0)
    stamps = [frame_ms * index for index in range(int(20_000 / frame_ms))]
    exposed = [(name, stamp + (phase if name == "b" else 0)) for stamp in stamps for name in "ab"]
    kept = accepted(RateLimit(50 * MS), [(name, s, s + rng.uniform(0, 5)) for name, s in exposed], 5)
    of = {name: [stamp for camera, stamp in kept if camera == name] for name in "ab"}
    assert len(of["a"]) == pytest.approx(100, abs=2)
    assert len(of["b"]) == pytest.approx(100, abs=2)
    together = sum(any(abs(first - second) <= 50 for second in of["b"]) for first in of["a"])
    assert together > (85 if frame_ms == 67 and phase else 95)


def test_clocks_that_disagree_starve_nobody():
    arrivals = [(name, t + (60_000 if name == "b" else 0), t) for t in range(0, 10_000, 50) for name in "ab"]
    kept = [name for name, _ in accepted(RateLimit(50 * MS), arrivals, 10)]
    assert kept.count("a") == pytest.approx(100, abs=2)
    assert kept.count("b") == pytest.approx(100, abs=2)


def test_a_camera_without_a_clock_is_limited_too():
    assert len(accepted(RateLimit(), [("a", 0, t) for t in range(0, 1000, 50)], 10)) == 10
