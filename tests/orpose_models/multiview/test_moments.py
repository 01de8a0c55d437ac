"""Which items of several cameras become one moment; times in ms."""

from __future__ import annotations

import pytest

from orpose_models.multiview.moments import Moments

MS = 1_000_000


def moments_of(arrivals, tolerance_ms=20, cameras="ab"):
    """`arrivals`: (camera, stamp ms, arrival ms). Returns the moments as camera -> stamp in ms, and the collector."""
    moments = Moments(cameras, tolerance_ms * MS, patience_s=1.0)
    found = []
    for camera, stamp_ms, arrived_ms in arrivals:
        for moment in moments.add(camera, stamp_ms * MS, camera, arrived_ms / 1000):
            assert all(entry.item == name for name, entry in moment.items())
            found.append({name: entry.stamp_ns // MS for name, entry in moment.items()})
    return found, moments


def test_near_stamps_are_one_moment_at_once():
    found, moments = moments_of([("a", 0, 0), ("b", 5, 10), ("b", 105, 100), ("a", 100, 110)])
    assert found[-1] == {"a": 100, "b": 105}
    assert found == [{"a": 0, "b": 5}, {"a": 100, "b": 105}]
    assert moments.complete == 2


@pytest.mark.parametrize("order", ["abab", "baab", "abba"])
def test_the_order_of_arrival_does_not_matter(order):
    stamps = {"a": iter((0, 100, 200)), "b": iter((5, 105, 205))}
    arrivals = [(name, next(stamps[name]), 10 * index) for index, name in enumerate("ab" + order)]
    assert moments_of(arrivals)[0][-2:] == [{"a": 100, "b": 105}, {"a": 200, "b": 205}]


def test_a_camera_of_twice_the_rate_loses_every_other_item():
    arrivals = [(name, t, t) for t in range(0, 400, 50) for name in "ab" if name == "b" or t % 100 == 0]
    found, moments = moments_of(arrivals)
    assert found == [{"a": t, "b": t} for t in (0, 100, 200, 300)]
    assert moments.dropped == {"a": 0, "b": 3}  # the last one may still find a partner


def test_the_nearest_of_several_is_taken():
    found, _ = moments_of([("a", 0, 0), ("b", 0, 1), ("b", 85, 85), ("b", 98, 98), ("a", 100, 100)], tolerance_ms=40)
    assert found[-1] == {"a": 100, "b": 98}


def test_nothing_is_fused_when_clocks_disagree():
    """b is 3 s behind, longer than items wait: every item is dropped and counted, none goes out alone."""
    arrivals = [(n, t - 3000 * (n == "b"), t) for t in range(5000, 8000, 100) for n in "ab"]
    found, moments = moments_of(arrivals)
    assert found == []
    assert moments.dropped["a"] > 5 and moments.dropped["b"] > 5


def test_a_silent_camera_is_waited_for_no_longer_than_the_patience():
    arrivals = [("b", 0, 0), *(("a", t, t) for t in range(0, 3000, 100))]
    found, _ = moments_of(arrivals)
    assert found[0] == {"a": 0, "b": 0}
    assert {"a": 2000} in found and {"a": 2900} in found


def test_a_camera_that_never_delivers_is_not_waited_for():
    found, _ = moments_of([("a", t, t) for t in range(0, 3000, 100)])
    assert found[-1] == {"a": 2900}


def test_three_cameras():
    arrivals = [(n, t + 3 * i, t + i) for t in range(0, 300, 100) for i, n in enumerate("abc")]
    assert moments_of(arrivals, cameras="abc")[0] == [{"a": t, "b": t + 3, "c": t + 6} for t in (0, 100, 200)]


def test_a_recording_that_starts_again_is_followed():
    arrivals = [(n, t, t) for t in (1000, 1100) for n in "ab"] + [(n, t, t + 2000) for t in (0, 100, 200) for n in "ab"]
    found, _ = moments_of(arrivals)
    assert {"a": 100, "b": 100} in found and {"a": 200, "b": 200} in found


def test_stamps_that_come_twice_or_late_are_dropped():
    found, moments = moments_of([(n, t, i) for i, t in enumerate((0, 0, 100, 50, 100, 200)) for n in "ab"])
    assert found == [{"a": t, "b": t} for t in (0, 100, 200)]
    assert moments.dropped == {"a": 3, "b": 3}


def test_cameras_that_deliver_seldom_but_in_turn_are_waited_for():
    """A network that takes 600 ms an image: between two answers of a camera lies more than the patience."""
    arrivals = [
        (name, 1800 * turn, 1800 * turn + 600 * (index + 1)) for turn in range(5) for index, name in enumerate("abc")
    ]
    found, _ = moments_of(arrivals, cameras="abc")
    assert found == [dict.fromkeys("abc", 1800 * turn) for turn in range(5)]
