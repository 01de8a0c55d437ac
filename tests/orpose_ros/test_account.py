"""Every story that player, node and recording can tell of a frame."""

from __future__ import annotations

import pytest

from orpose_ros.account import StatsRecord, account_of


def answered(stamp: int, received: int, dropped: int = 0) -> StatsRecord:
    return StatsRecord(stamp, True, received, dropped)


def dropped(stamp: int, received: int, dropped: int) -> StatsRecord:
    return StatsRecord(stamp, False, received, dropped)


def test_all_answered():
    account = account_of([1, 2, 3], [answered(1, 1), answered(2, 2), answered(3, 3)], [1, 2, 3])
    assert (account.sent, account.received, account.answered) == (3, 3, 3)
    assert (account.lost, account.dropped, account.unaccounted) == (0, 0, 0)
    assert account.contradictions == ()


def test_one_lost_one_dropped():
    account = account_of([1, 2, 3], [dropped(1, 2, 1), answered(3, 2, 1)], [3])
    assert (account.lost, account.received, account.dropped, account.answered) == (1, 2, 1, 1)
    assert account.sent == account.received + account.lost
    assert account.received == account.answered + account.dropped
    assert account.unaccounted == 0


def test_nothing_arrived():
    account = account_of([1, 2], [], [])
    assert (account.lost, account.unaccounted) == (2, 0)


@pytest.mark.parametrize(
    ("stats", "persons", "expected"),
    [
        ([answered(1, 1), answered(9, 2)], [1, 9], "never sent"),
        ([answered(1, 1), answered(2, 2)], [1], "no answer was recorded"),
        ([answered(1, 2, 1), dropped(2, 2, 1)], [1, 2], "does not say it answered"),
        ([answered(1, 1)], [1, 1], "more than one answer"),
        ([answered(1, 1), answered(1, 1)], [1], "more than one statistics"),
        ([answered(1, 2)], [1], "count of received frames"),
        ([answered(1, 1, 1)], [1], "count of dropped frames"),
    ],
)
def test_contradictions_are_unaccounted_for(stats, persons, expected):
    account = account_of([1, 2], stats, persons)
    assert account.unaccounted >= 1
    assert expected in " ".join(account.contradictions)
