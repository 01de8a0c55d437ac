"""The protocol `multiview`: perfect results have no error, a known offset is measured, misses are counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, Camera, LabelledImage, PersonLabel
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.multiview import multiview
from orpose_models.evaluate.protocols import joints_of, metrics_of, statistic_of
from orpose_models.evaluate.report import Wanted, measure, write_plots
from orpose_models.runtime.results import entries_from_persons
from orpose_models.runtime.types import Person
from orpose_models.skeleton import h36m17_from_coco17


def camera(name: str, position, axes) -> Camera:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.array(axes).T, position
    return Camera(name, "plumb_bob", (640, 480), 500, 500, 320, 240, (), pose)


#: Both 3 m from the origin: one looks along x, the other along y.
CAMERAS = {
    "a": camera("a", (-3, 0, 0), [[0, -1, 0], [0, 0, -1], [1, 0, 0]]),
    "b": camera("b", (0, -3, 0), [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
}
JOINTS = np.random.default_rng(0).uniform((-0.2, -0.2, -0.8), (0.2, 0.2, 0.8), (17, 3))


def in_camera(name: str) -> np.ndarray:
    pose = CAMERAS[name].room_from_camera
    return (JOINTS - pose[:3, 3]) @ pose[:3, :3]


def label(index: int, name: str) -> PersonLabel:
    keypoints = np.column_stack([CAMERAS[name].lens.project(in_camera(name)), np.full(17, 2)])
    low, high = keypoints[:, :2].min(axis=0), keypoints[:, :2].max(axis=0)
    absolute = np.column_stack([h36m17_from_coco17(in_camera(name)) * 1000, np.full(17, 2)])
    return PersonLabel(
        index, index, np.concatenate([low, high - low]), keypoints=keypoints, keypoints_3d=absolute, person_id=7
    )


LABELS = AnnotationSet(
    images=tuple(
        LabelledImage(i, f"{n}.png", 640, 480, camera_id=n, sequence="s", frame_index=0) for i, n in enumerate("ab")
    ),
    persons=(label(0, "a"), label(1, "b")),
    cameras=CAMERAS,
)


def results(names: str = "ab", scale: float = 1.0, score: float = 0.9) -> list[dict]:
    entries = []
    for person in LABELS.persons:
        if LABELS.images[person.image_id].camera_id not in names:
            continue
        lifted = (person.keypoints_3d[:, :3] - person.keypoints_3d[0, :3]) * scale
        found = Person(
            score,
            person.bbox.astype(np.float32),
            np.column_stack([person.keypoints[:, :2], np.full(17, 0.9)]).astype(np.float32),
            np.column_stack([lifted, np.full(17, 0.9)]).astype(np.float32),
        )
        entries += entries_from_persons(person.image_id, "x.png", [found])
    return entries


def test_perfect_results_have_hardly_an_error():
    metrics = multiview(LABELS, results())
    assert metrics["fused_mm"] < 12  # means of pixels stand for projected means
    assert metrics["room_1_mm"] < 12
    assert (metrics["found_1"], metrics["found_2"], metrics["missed_1"], metrics["missed_2"]) == (2, 1, 0, 0)
    assert (metrics["mixed"], metrics["split"]) == (0, 0)


def test_a_wrong_size_shows_in_single_views_only():
    """10 % too large is 10 % of 3 m too far away for one camera."""
    metrics = multiview(LABELS, results(scale=1.1))
    assert metrics["room_1_mm"] == pytest.approx(300, rel=0.15)
    assert metrics["room_2_mm"] < 60
    assert metrics["relative_1_mm"] < 80


def test_who_is_found_by_one_camera_counts_with_that_cameras_error():
    metrics = multiview(LABELS, results(names="a"))
    assert (metrics["found_1"], metrics["missed_1"], metrics["found_2"]) == (1, 1, 1)


def test_low_scores_are_nobody():
    metrics = multiview(LABELS, results(score=0.4))
    assert (metrics["missed_2"], metrics["fused_mm"]) == (1, -1)


def test_it_is_a_protocol_of_evaluate():
    assert metrics_of("multiview", LABELS, results()) == multiview(LABELS, results())
    assert joints_of("multiview", LABELS, results())["left_wrist"]["room_2_mm"] < 20
    statistic = statistic_of("multiview", LABELS, results(scale=1.1))
    assert statistic(np.ones(2))[0] == pytest.approx(multiview(LABELS, results(scale=1.1))["fused_mm"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (AnnotationSet(LABELS.images, LABELS.persons), "no cameras"),
        (AnnotationSet(LABELS.images[:1], LABELS.persons[:1], cameras=CAMERAS), "no moment has two images"),
        (AnnotationSet(LABELS.images, LABELS.persons[:1], cameras=CAMERAS), "nobody"),
        (replace(LABELS, cameras={"a": CAMERAS["a"]}), "image 1: camera_id: 'b' is none of the label file's cameras"),
        (
            replace(LABELS, images=(LABELS.images[0], replace(LABELS.images[1], frame_index=None))),
            r"image 1 \(b.png\): frame_index and stamp_ns: missing",
        ),
    ],
)
def test_what_is_missing_is_named(labels, message):
    with pytest.raises(AnnotationError, match=message):
        multiview(labels, [])


def test_moments_are_told_apart_by_stamps_where_there_is_no_frame_index():
    images = [replace(image, frame_index=None, stamp_ns=10**9) for image in LABELS.images]
    later = [replace(image, image_id=image.image_id + 2, stamp_ns=2 * 10**9) for image in images]
    moved = [replace(person, annotation_id=2 + i, image_id=2 + i) for i, person in enumerate(LABELS.persons)]
    metrics = multiview(replace(LABELS, images=(*images, *later), persons=(*LABELS.persons, *moved)), results())
    assert (metrics["found_2"], metrics["missed_2"]) == (1, 1)


def test_without_a_labelled_pelvis_there_is_no_error_relative_to_it():
    known = np.where(np.arange(17) > 0, 2.0, 0.0)  # joint 0 is the pelvis
    persons = tuple(
        replace(person, keypoints_3d=np.column_stack([person.keypoints_3d[:, :3], known])) for person in LABELS.persons
    )
    labels = replace(LABELS, persons=persons)
    metrics = multiview(labels, results())
    assert metrics["relative_2_mm"] == -1
    assert 0 < metrics["room_2_mm"] < 12


def test_it_can_be_plotted(tmp_path: Path):
    files = {"1x": results(), "12x": results(scale=1.1)}
    runs = measure("multiview", LABELS, files, Wanted())
    written = write_plots(tmp_path, "multiview", LABELS, files, runs, Wanted())
    assert [path.name for path in written] == ["results.png", "joints.png", "bones.png"]
    assert cv2.imread(str(written[1])).std() > 5  # something is drawn
