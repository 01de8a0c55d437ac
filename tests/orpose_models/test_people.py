"""Frames in, people over time out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from orpose_models.people import People, PeopleConfig
from orpose_models.runtime.types import FrameResult, Person, TrackState

STEP_NS = 100_000_000


def frame(*candidates: Person) -> FrameResult:
    persons = tuple(person for person in candidates if person.score >= 0.5)
    return FrameResult(persons=persons, image_size=(640, 480), candidates=candidates)


def trembling(seed: int, x: float = 0.0, score: float = 0.9) -> Person:
    random = np.random.default_rng(seed)
    joints = np.linspace((x, 100), (x + 40, 200), 17) + random.normal(0, 2, (17, 2))
    joints_3d = np.linspace((0, 0, 0), (500, 900, 200), 17) + random.normal(0, 30, (17, 3))
    return Person(
        score=score,
        bbox_xywh=np.array([x, 100, 40, 100], np.float32),
        keypoints=np.column_stack([joints, np.full(17, 0.4)]).astype(np.float32),
        keypoints_3d=np.column_stack([joints_3d, np.full(17, 0.3)]).astype(np.float32),
    )


def run(config: PeopleConfig, frames: list[FrameResult]) -> list[FrameResult]:
    people = People(config)
    return [people.update(one, index * STEP_NS, 0.5) for index, one in enumerate(frames)]


def test_joints_tremble_less_and_scores_stay():
    frames = [frame(trembling(seed)) for seed in range(40)]
    raw, smooth = (run(PeopleConfig(smoothing=smoothing), frames) for smoothing in (False, True))
    for name, columns in (("keypoints", 2), ("keypoints_3d", 3)):
        before, after = (np.stack([getattr(r.persons[0], name) for r in results]) for results in (raw, smooth))
        assert (
            np.abs(np.diff(after[5:, :, :columns], axis=0)).mean()
            < 0.5 * np.abs(np.diff(before[5:, :, :columns], axis=0)).mean()
        )
        np.testing.assert_array_equal(before[..., columns], after[..., columns])
    assert [result.persons[0].score for result in smooth] == [0.9] * 40


def test_a_weak_candidate_that_continues_a_track_is_a_person_and_one_that_does_not_is_left_as_it_was():
    stranger = trembling(9, x=300, score=0.3)
    frames = [frame(trembling(i)) for i in range(4)] + [frame(trembling(5, score=0.3), stranger)]
    last = run(PeopleConfig(), frames)[-1]
    assert [(p.track_id, p.score) for p in last.persons] == [(1, 0.3)]
    assert last.candidates[1] is stranger
    assert last.persons[0] is last.candidates[0]


def test_lost_people_are_reported_only_when_asked_for():
    frames = [frame(trembling(i)) for i in range(4)] + [frame()]
    assert run(PeopleConfig(), frames)[-1].persons == ()
    (lost,) = run(PeopleConfig(report_lost=True), frames)[-1].persons
    assert (lost.track_id, lost.track_state) == (1, TrackState.LOST)


def test_smoothing_begins_anew_after_a_gap():
    people = People(PeopleConfig(smoothing_gap_s=0.5))
    for index in range(5):
        people.update(frame(trembling(index)), index * STEP_NS, 0.5)
    late = replace(trembling(77), score=0.8)
    (found,) = people.update(frame(late), 5 * STEP_NS + 10**9, 0.5).persons
    assert found.track_id == 1
    np.testing.assert_array_equal(found.keypoints, late.keypoints)


def test_without_tracking_people_are_chosen_and_placed_only():
    people = People(PeopleConfig(), tracking=False)
    frames = [frame(trembling(seed), trembling(seed, x=300, score=0.3)) for seed in range(3)]
    for index, one in enumerate(frames):
        found = people.update(one, index * STEP_NS, 0.5, lambda person: replace(person, score=person.score + 0.01))
        assert [(p.score, p.track_id, p.track_state) for p in found.persons] == [(0.91, -1, TrackState.NONE)]
        np.testing.assert_array_equal(found.persons[0].keypoints, one.persons[0].keypoints)
        assert found.candidates[1] is one.candidates[1], "only people are placed"


def test_places_are_found_with_raw_joints_and_smoothed_afterwards():
    seen = []

    def place(person: Person) -> Person:
        seen.append(person.keypoints)
        metric = np.column_stack([person.keypoints_3d[:, :3] / 1000 + 3, np.full(17, 0.3)]).astype(np.float32)
        metric[5] = np.nan
        return replace(person, keypoints_3d_metric=metric)

    people, frames = People(PeopleConfig()), [frame(trembling(seed)) for seed in range(40)]
    found = [people.update(one, index * STEP_NS, 0.5, place).persons[0] for index, one in enumerate(frames)]
    for raw, one in zip(seen, frames, strict=True):
        np.testing.assert_array_equal(raw, one.persons[0].keypoints)
    metric = np.stack([person.keypoints_3d_metric for person in found])
    assert np.isnan(metric[:, 5, :3]).all()
    others = np.delete(metric[..., :3], 5, axis=1)
    relative = np.delete(np.stack([person.keypoints_3d[:, :3] for person in found]), 5, axis=1)
    np.testing.assert_allclose(others, relative / 1000 + 3, atol=1e-4)
