"""Identities: who keeps them, through what, and who does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpose_models.runtime.types import Person, TrackState
from orpose_models.tracking import Tracker, TrackingConfig, box_ious

THRESHOLD = 0.5
STEP_S = 0.1


def person(x: float, y: float = 100.0, score: float = 0.9, width: float = 40.0, pose: int = 0) -> Person:
    """Somebody whose box begins at x, y; the pose says where the joints are in it."""
    joints = np.random.default_rng(pose).uniform(0, 1, (17, 2)) * (width, 100) + (x, y)
    return Person(
        score=score,
        bbox_xywh=np.array([x, y, width, 100], np.float32),
        keypoints=np.column_stack([joints, np.full(17, 0.8)]).astype(np.float32),
        keypoints_3d=np.zeros((17, 4), np.float32),
    )


class Frames:
    """Feeds a tracker frame by frame."""

    def __init__(self, **config: float | bool) -> None:
        self.tracker = Tracker(TrackingConfig(**config))
        self.time_s = 0.0
        self.lost: list[Person] = []

    def see(self, *people: Person, after_s: float = STEP_S) -> list[Person]:
        self.time_s += after_s
        found, self.lost = self.tracker.update(people, round(self.time_s * 1e9), THRESHOLD)
        return found

    def ids(self, *people: Person, after_s: float = STEP_S) -> list[int]:
        return [one.track_id for one in self.see(*people, after_s=after_s)]


def test_ids_follow_people_and_not_the_order_of_detections():
    frames = Frames()
    assert frames.ids(person(0), person(200)) == [1, 2]
    assert frames.ids(person(203), person(3)) == [2, 1]


def test_two_who_walk_through_each_other_keep_their_ids():
    frames = Frames()
    for step in range(30):
        a, b = person(10 * step, pose=1), person(290 - 10 * step, pose=2)
        assert frames.ids(a, b) == [1, 2]


def test_joints_tell_two_people_in_one_box_apart():
    frames, boxes_only = Frames(), Frames(track_oks_weight=0.0)
    for one in (frames, boxes_only):
        one.see(person(100, pose=1), person(104, pose=2))
    # They change places: the boxes say that nobody moved.
    assert frames.ids(person(104, pose=1), person(100, pose=2)) == [1, 2]
    assert boxes_only.ids(person(104, pose=1), person(100, pose=2)) == [2, 1]


def test_a_track_is_confirmed_when_it_was_seen_often_enough():
    frames = Frames(track_confirm=3)
    states = [frames.see(person(0))[0].track_state for _ in range(4)]
    assert states == [TrackState.TENTATIVE] * 2 + [TrackState.CONFIRMED] * 2


def test_furniture_that_is_weakly_taken_for_a_person_stays_tentative():
    frames = Frames(track_confirm=2, track_confirm_score=0.7)
    assert [frames.see(person(0, score=0.65))[0].track_state for _ in range(9)] == [TrackState.TENTATIVE] * 9
    assert frames.see(person(0, score=0.75))[0].track_state == TrackState.CONFIRMED
    assert frames.see(person(0, score=0.3))[0].track_state == TrackState.CONFIRMED, "once is enough"


def test_who_is_tentative_for_weak_scores_alone_is_followed_all_the_same_and_never_lost():
    frames = Frames(track_confirm=2, track_confirm_score=0.7)
    assert [frames.ids(person(0, score=score)) for score in (0.6, 0.6, 0.3, 0.6)] == [[1]] * 4
    assert frames.see() == frames.lost == []
    assert frames.ids(person(0, score=0.6)) == [1]


def test_a_weak_detection_continues_a_track_but_starts_none():
    frames = Frames(track_confirm=1)
    assert frames.ids(person(0), person(200, score=0.3)) == [1, -1]
    assert frames.ids(person(2, score=0.3), person(200, score=0.3)) == [1, -1]
    assert frames.ids(person(4, score=0.1)) == [-1], "below track_low_score"


def test_without_the_second_stage_a_weak_detection_is_nobody():
    frames = Frames(track_confirm=1, track_low_score=THRESHOLD)
    frames.see(person(0))
    assert frames.ids(person(2, score=0.3)) == [-1]


def test_the_same_id_after_an_occlusion_that_is_not_too_long():
    frames = Frames(track_memory_s=1.0)
    for step in range(10):
        frames.see(person(5 * step))
    for _ in range(8):
        frames.see()
    assert frames.ids(person(5 * 18)) == [1], "met again where a steady walk leads"
    for _ in range(12):
        frames.see()
    assert frames.ids(person(5 * 30)) == [2]


def test_who_is_lost_is_expected_further_along_the_way():
    frames = Frames()
    for step in range(10):
        frames.see(person(5 * step, score=0.8))
    assert frames.lost == []
    for _ in range(3):
        frames.see()
    (lost,) = frames.lost
    assert (lost.track_id, lost.track_state, lost.score) == (1, TrackState.LOST, 0.8)
    assert lost.bbox_xywh == pytest.approx([60, 100, 40, 100], abs=2)
    np.testing.assert_allclose(lost.keypoints[:, :2], person(60).keypoints[:, :2], atol=2)


@pytest.mark.parametrize("jump_s", [5.0, -5.0])
def test_a_long_gap_or_a_clock_set_back_ends_all_tracks_and_ids_are_not_used_again(jump_s):
    frames = Frames(track_memory_s=1.0)
    frames.see(person(0), after_s=100.0)
    assert frames.ids(person(0), after_s=jump_s) == [2]
    assert frames.ids(person(0)) == [2]


def test_frames_farther_apart_than_the_memory_are_no_gap():
    """At one frame in 0.5 s, whoever is seen keeps the identity; whoever is not seen once is forgotten."""
    frames = Frames(track_memory_s=0.0, track_confirm=1)
    assert [frames.ids(person(0), after_s=0.5) for _ in range(3)] == [[1]] * 3
    frames.see(after_s=0.5)
    assert frames.ids(person(0), after_s=0.5) == [2]


def test_a_doubled_and_an_out_of_order_stamp_change_nobody():
    frames = Frames(track_confirm=1)
    steps = [0.1, 0.1, 0.0, -0.1, 0.2, 0.1]
    assert [frames.ids(person(0), after_s=step) for step in steps] == [[1]] * 6


def test_who_walks_behind_somebody_comes_out_with_the_same_id():
    frames = Frames()
    for step in range(31):
        walker = person(10 * step, pose=1)
        hidden = 120 < 10 * step < 180
        ids = frames.ids(person(150, pose=2), *(() if hidden else (walker,)))
        assert ids == ([1] if hidden else [1, 2])


def test_an_empty_room():
    frames = Frames()
    assert frames.see() == []
    assert frames.lost == []


def test_raw_values_stay():
    frames = Frames()
    frames.see(person(0))
    moved = person(7)
    (found,) = frames.see(moved)
    assert found.keypoints is moved.keypoints
    assert (found.score, found.bbox_xywh is moved.bbox_xywh) == (0.9, True)


def test_overlap_by_hand():
    ious = box_ious(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 5, 5]]))
    np.testing.assert_allclose(ious, [[50 / 150, 1, 0]])


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0.1, 0.3, 0.6, 0.9])), max_size=5),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.sampled_from([0.0, 0.1, 0.5, -0.1, 10.0, -10.0]), min_size=8, max_size=8),
)
def test_whoever_comes_and_whatever_the_clock_does(frames_seen, steps):
    frames = Frames()
    for people, step_s in zip(frames_seen, steps, strict=False):
        found = frames.see(*(person(x, score=score) for x, score in people), after_s=step_s)
        ids = [one.track_id for one in (*found, *frames.lost) if one.track_id >= 0]
        assert len(ids) == len(set(ids)), "nobody is two people"
        assert all(one.track_id > 0 for one in found if one.score >= THRESHOLD)
        assert all(one.track_id == -1 for one in found if one.score < 0.2)
