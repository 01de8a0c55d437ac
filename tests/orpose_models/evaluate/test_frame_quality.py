"""Quality of single frames, against hand-computed numbers."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.annotations import PersonLabel
from orpose_models.evaluate.frame_quality import FrameQuality, frame_quality
from orpose_models.runtime.types import Person


def person(left: float, score: float = 0.9, width: float = 10) -> Person:
    box = np.array([left, 0, width, 10], np.float32)
    return Person(score, box, np.zeros((17, 3), np.float32), np.zeros((17, 4), np.float32))


def label(left: float, *, is_crowd: bool = False, width: float = 10) -> PersonLabel:
    return PersonLabel(1, 1, np.array([left, 0, width, 10], float), is_crowd=is_crowd)


@pytest.mark.parametrize(
    ("labels", "persons", "expected", "quality"),
    [
        ([], [], FrameQuality(0, 0, 0, None), 1),
        ([label(0)], [], FrameQuality(1, 1, 0, None), 0),
        ([], [person(0)], FrameQuality(0, 0, 1, None), 0),
        ([label(0), label(50)], [person(0)], FrameQuality(2, 1, 0, 1.0), 0.5),
        ([label(0)], [person(0), person(50)], FrameQuality(1, 0, 1, 1.0), 0.5),
        ([label(0)], [person(0, 0.5), person(0, 0.9)], FrameQuality(1, 0, 1, 1.0), 0.5),
        ([label(0)], [person(0, width=8)], FrameQuality(1, 0, 0, 0.8), 0.8),
        ([label(0, is_crowd=True, width=100)], [person(20)], FrameQuality(0, 0, 0, None), 1),
    ],
    ids=["nobody", "missed", "invented", "one of two", "one too many", "twice", "not quite", "on a crowd"],
)
def test_frames(labels, persons, expected, quality):
    found = frame_quality(labels, persons)
    assert (found.labelled, found.missed, found.invented) == (expected.labelled, expected.missed, expected.invented)
    assert found.similarity == pytest.approx(expected.similarity, abs=1e-6)
    assert found.quality == pytest.approx(quality, abs=1e-6)


def test_joints_count_where_they_are_labelled():
    keypoints = np.column_stack([np.linspace(0, 10, 17), np.linspace(0, 10, 17), np.full(17, 2)])
    wanted = PersonLabel(1, 1, np.array([0.0, 0, 10, 10]), keypoints)
    right, wrong = person(0), person(0)
    right.keypoints[:, :2] = keypoints[:, :2]
    wrong.keypoints[:, :2] = 1000
    assert frame_quality([wanted], [right]).similarity == pytest.approx(1)
    assert frame_quality([wanted], [wrong]).similarity == pytest.approx(0)
