"""Metrics of a replay in which frames were dropped, and which of its frames are shown as the worst."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.errors import InputError
from orpose_models.runtime.types import FrameResult, Person
from orpose_ros.accuracy import Labels, labels_of, measure, qualities, result_entries
from orpose_ros.pictures import worst_frames
from orpose_ros.replayed import ReplayedFrame

BOX = (100.0, 100.0, 50.0, 80.0)


def frame(index: int, persons: int | None, time_s: float | None = None) -> ReplayedFrame:
    """A frame with so many persons in it, side by side; None: dropped."""
    boxes = [np.array((BOX[0] + 100 * number, *BOX[1:]), np.float32) for number in range(persons or 0)]
    found = [Person(0.9, box, np.zeros((17, 3), np.float32), np.zeros((17, 4), np.float32)) for box in boxes]
    result = None if persons is None else FrameResult(tuple(found), (640, 480))
    latency_ms = None if persons is None else 10.0 * index
    return ReplayedFrame(index, 0, index, float(index) if time_s is None else time_s, result, latency_ms, 1.0, {}, True)


@pytest.fixture
def labels() -> Labels:
    """One person in each of four frames; the fifth frame of the bag is not labelled."""
    images = tuple(LabelledImage(10 + index, f"{index}.png", 640, 480) for index in range(4))
    people = tuple(PersonLabel(index + 1, 10 + index, np.array(BOX)) for index in range(4))
    return labels_of(
        Path("labels.json"), AnnotationSet(images, people), {index: 10 + index for index in range(4)}, (640, 480)
    )


def test_dropped_frames_count_as_missed_only_among_all_that_were_sent(labels):
    frames = [frame(0, 1), frame(1, None), frame(2, 1), frame(3, 1), frame(4, 3)]
    entries = result_entries(frames, lambda index, _: f"{index}.png", labels)
    assert [entry["image_id"] for entry in entries] == [10, 12, 13], "the unlabelled frame is left out"
    found = measure(frames, labels, entries)
    assert (found["answered"]["images"], found["sent"]["images"]) == (3, 4)
    assert found["answered"]["coco-bbox"]["AP"] == pytest.approx(1)
    assert found["sent"]["coco-bbox"]["AP"] == pytest.approx(76 / 101), "recalls up to 3 / 4"
    assert (
        "3D" in found["answered"]["mpjpe"]["not_measured"] or "keypoints" in found["answered"]["mpjpe"]["not_measured"]
    )


def test_nothing_answered(labels):
    found = measure([frame(0, None)], labels, [])
    assert found["answered"]["coco-bbox"] == {"not_measured": "no labelled frame was answered"}


def test_worst_frames_are_the_least_right_and_of_different_moments(labels):
    frames = [frame(0, 1), frame(1, 3), frame(2, None), frame(3, 0, time_s=2.2), frame(4, 5)]
    found = qualities(frames, labels)
    assert {index: round(quality.quality, 3) for index, quality in found.items()} == {0: 1, 1: 0.333, 2: 0, 3: 0}
    assert worst_frames(frames, found) == [2, 1], "0.2 s after the worst one is the same moment"


def test_without_labels_the_slowest_answers():
    assert worst_frames([frame(0, 1), frame(1, None), frame(2, 1), frame(3, 1)], {}) == [3, 2, 0]


@pytest.mark.parametrize(
    ("image_of_frame", "frame_size", "expected"),
    [({}, (640, 480), "none of the bag's frames"), ({0: 1}, (320, 240), "image 1 is 640x480, the frames are 320x240")],
)
def test_labels_of_other_frames(image_of_frame, frame_size, expected):
    annotations = AnnotationSet((LabelledImage(1, "a.png", 640, 480),), ())
    with pytest.raises(InputError, match=expected):
        labels_of(Path("labels.json"), annotations, image_of_frame, frame_size)
