"""Counting, and stamps that never arrived."""

from __future__ import annotations

import pytest

from orpose_ros.counts import BAD_IMAGE, NEWER_FRAME, FrameCounts, StampCadence

MS = 1_000_000


def missing_in(stamps_ms: list[float]) -> int:
    cadence = StampCadence()
    for stamp in stamps_ms:
        cadence.observe(round(stamp * MS))
    return cadence.missing


def test_totals():
    counts = FrameCounts()
    for _ in range(3):
        counts.count_received()
    counts.count_answered()
    counts.count_dropped(NEWER_FRAME)
    counts.count_dropped(BAD_IMAGE, "0x0")
    totals = counts.totals()
    assert (totals.received, totals.answered, totals.dropped) == (3, 1, 2)
    assert totals.dropped_by_reason == {NEWER_FRAME: 1, BAD_IMAGE: 1}
    assert totals.last_problem == "0x0"


STEADY = [100.0 * i for i in range(20)]


@pytest.mark.parametrize(
    ("stamps_ms", "expected"),
    [
        (STEADY, 0),
        (STEADY[:12] + STEADY[13:], 1),
        (STEADY[:12] + STEADY[15:], 3),
        ([100.0 * i + (10 if i % 2 else -10) for i in range(20)], 0),  # jitter of a fifth
        (STEADY + [stamp + 50 for stamp in STEADY], 0),  # starts again
        ([0.0, 100.0, 900.0], 0),  # too little is known of its rhythm
        ([5.0] * 30, 0),  # a camera without a clock
        ([], 0),
        (STEADY + [stamp + 12_000 for stamp in STEADY], 0),  # a driver started again
        (STEADY + [2000 + 200.0 * i for i in range(1, 60)], 0),  # half the rate, as in the dark
        (STEADY + [2000 + 200.0 * i for i in range(1, 6)] + [3100.0], 6),  # so only for a while
        ([100.0 * i for i in range(60) if i < 12 or i % 4 in (0, 1)], 22),  # two of four are lost
    ],
)
def test_missing_stamps(stamps_ms, expected):
    assert missing_in(stamps_ms) == expected


def test_a_long_gap_is_a_pause_and_at_a_low_rate_still_a_loss():
    cadence = StampCadence()
    for second in [*range(20), 22, 23, 40, 41]:
        cadence.observe(second * 1000 * MS)
    assert (cadence.missing, cadence.pauses, cadence.last_pause_s) == (2, 1, 17.0)
