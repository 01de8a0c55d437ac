"""Ids in the room: kept while people walk past each other and through gaps, new for whoever comes."""

from __future__ import annotations

import numpy as np

from orpose_models.multiview.fuse import FusedPerson
from orpose_models.multiview.room_tracks import RoomTracker

MS = 1_000_000


def at(x: float, y: float) -> FusedPerson:
    joints = np.column_stack([np.tile((x, y, 1.0), (17, 1)), np.ones(17)])
    return FusedPerson(joints, 0.9, (), {})


def ids(tracker: RoomTracker, time_ms: int, *places: tuple[float, float]) -> list[int]:
    return [person.track_id for person in tracker.update([at(*place) for place in places], time_ms * MS)]


def test_ids_are_kept_when_the_order_changes():
    tracker = RoomTracker()
    assert ids(tracker, 0, (0, 0), (1, 0)) == [1, 2]
    assert ids(tracker, 100, (1.05, 0), (0.05, 0)) == [2, 1]


def test_people_who_walk_past_each_other_keep_theirs():
    """0.5 m apart at their nearest, 1 m/s in opposite directions."""
    tracker, rng = RoomTracker(), np.random.default_rng(0)
    for step in range(41):
        x = -2 + step * 0.1
        noise = rng.normal(0, 0.03, (2, 2))
        found = ids(tracker, step * 100, (x + noise[0, 0], noise[0, 1]), (-x + noise[1, 0], 0.5 + noise[1, 1]))
        assert found == [1, 2]


def test_a_gap_is_bridged_and_a_long_one_is_not():
    tracker = RoomTracker()
    for step in range(5):
        ids(tracker, step * 100, (step * 0.1, 0))
    assert ids(tracker, 1400, (1.4, 0)) == [1]
    assert ids(tracker, 4000, (1.4, 0)) == [2]


def test_who_comes_gets_a_new_id_and_is_confirmed_later():
    tracker = RoomTracker()
    ids(tracker, 0, (0, 0))
    assert ids(tracker, 100, (0, 0), (3, 3)) == [1, 2]
    assert not tracker.state(2).confirmed
    ids(tracker, 200, (0, 0), (3, 3))
    ids(tracker, 300, (0, 0), (3, 3))
    assert tracker.state(2).confirmed


def test_a_recording_that_starts_again_gets_new_ids():
    tracker = RoomTracker()
    ids(tracker, 1000, (0, 0))
    assert ids(tracker, 0, (0, 0)) == [2]


def test_nobody():
    tracker = RoomTracker()
    assert ids(tracker, 0) == []
