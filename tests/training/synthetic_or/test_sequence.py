"""Sequences: who is who over time, how fast people move, where walkers walk."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, read_annotations

LEGS = [2, 3, 5, 6]  # Human3.6M knees and ankles


@pytest.fixture(scope="module")
def labels(sequence) -> AnnotationSet:
    return read_annotations(sequence / "annotations.json")


@pytest.fixture(scope="module")
def tracks(labels) -> dict[int, dict[int, np.ndarray]]:
    """track_id -> frame -> `(17, 3)` mm in the camera frame (the camera stands still)."""
    frame_of = {image.image_id: image.frame_index for image in labels.images}
    found: dict[int, dict[int, np.ndarray]] = {}
    for person in labels.persons:
        found.setdefault(person.track_id, {})[frame_of[person.image_id]] = person.keypoints_3d[:, :3]
    return found


def test_frames_carry_index_stamp_and_topic(labels):
    assert [image.frame_index for image in labels.images] == list(range(15))
    assert {image.topic for image in labels.images} == {"/camera/image_raw/compressed"}
    assert labels.images[0].stamp_ns == 1_704_067_200 * 10**9
    assert np.diff([image.stamp_ns for image in labels.images]).tolist() == [100_000_000] * 14


def test_tracks_keep_person_role_and_outfit(labels):
    for track_id in {person.track_id for person in labels.persons}:
        people = [person for person in labels.persons if person.track_id == track_id]
        assert len({(p.person_id, p.instance_id, p.role, p.outfit) for p in people}) == 1
        assert len({p.image_id for p in people}) == len(people)


def test_people_move_but_never_jump(tracks):
    """At 10 frames/s: 12 cm a frame is an arm at 1.2 m/s; a walker's swinging foot may be twice as fast."""
    fastest = []
    for frames in tracks.values():
        steps = [np.linalg.norm(frames[f + 1] - frames[f], axis=1) for f in frames if f + 1 in frames]
        moved = np.stack(steps)  # (frames, 17) mm
        walks = moved[:, 0].max() > 30
        assert np.delete(moved, LEGS, axis=1).max() < (180 if walks else 120)
        assert moved[:, LEGS].max() < (250 if walks else 120)
        fastest.append(moved.max())
    assert max(fastest) > 50


def test_bones_keep_their_length(tracks):
    for frames in tracks.values():
        thigh = [np.linalg.norm(joints[1] - joints[2]) for joints in frames.values()]
        assert np.ptp(thigh) < 0.06 * np.mean(thigh)  # joints come from the skin, which stretches a little
