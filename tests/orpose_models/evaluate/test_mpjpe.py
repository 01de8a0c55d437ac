"""MPJPE of both protocols on cases small enough to compute by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.mpjpe import mpjpe, oks, per_joint, person_errors
from orpose_models.evaluate.results import Result
from orpose_models.evaluate.seen import with_joints
from orpose_models.other_labels import MVOR_PLUS_ALL, MVOR_PLUS_TRUE
from orpose_models.skeleton import H36M17, MVOR10, mvor10_from_h36m17

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(100, 200, (17, 2))
BODY_MM = RNG.uniform(-500, 500, (17, 3))
BODY_MM[H36M17.root] = BODY_MM[[H36M17.index("left_hip"), H36M17.index("right_hip")]].mean(axis=0)
PELVIS_MM = np.array([100.0, 200, 3000])
LEFT_WRIST, RIGHT_HIP = H36M17.index("left_wrist"), H36M17.index("right_hip")


def person(**changes: Any) -> PersonLabel:
    joints = np.column_stack([BODY_MM + PELVIS_MM, np.full(17, 2.0)])
    fields: dict[str, Any] = {
        "annotation_id": 1,
        "image_id": 1,
        "bbox": np.array([100.0, 100, 100, 100]),
        "keypoints": np.column_stack([POINTS, np.full(17, 2)]),
        "keypoints_3d": joints,
    }
    return PersonLabel(**{**fields, **changes})


def result(image_id: int = 1, points: np.ndarray = POINTS, error_mm: float = 0.0) -> Result:
    joints = BODY_MM - BODY_MM[H36M17.root]
    joints[LEFT_WRIST, 2] += error_mm
    return {
        "image_id": image_id,
        "keypoints": np.column_stack([points, np.ones(17)]).ravel().tolist(),
        "keypoints_3d": np.column_stack([joints, np.ones(17)]).ravel().tolist(),
    }


def metrics(*persons: PersonLabel, results: list[Result]) -> dict[str, float]:
    images = tuple(LabelledImage(i, f"{i}.png", 640, 480) for i in (1, 2))
    return mpjpe(AnnotationSet(images, persons), results)


def test_root_relative_error_is_the_mean_over_eight_joints() -> None:
    got = metrics(person(), results=[result(error_mm=80)])
    assert got["mpjpe_mm"] == pytest.approx(80 / 8)
    assert got["published_mm"] == pytest.approx(80 / 8)
    assert (got["found"], got["missed"], got["without_root"], got["published_people"]) == (1, 0, 0, 1)


def test_an_invisible_joint_is_left_out_but_counts_as_zero_error_as_published() -> None:
    joints = person().keypoints_3d
    assert joints is not None
    hidden = joints.copy()
    hidden[H36M17.index("right_wrist"), 3] = 0
    got = metrics(person(keypoints_3d=hidden), results=[result(error_mm=80)])
    assert got["mpjpe_mm"] == pytest.approx(80 / 7)
    assert got["published_mm"] == pytest.approx(80 / 8)


def test_an_image_without_detections_is_a_miss_but_skipped_as_published() -> None:
    got = metrics(person(), person(image_id=2), results=[result(error_mm=16)])
    assert (got["found"], got["missed"], got["published_people"]) == (1, 1, 1)
    assert got["mpjpe_mm"] == pytest.approx(2)


def test_somebody_else_is_a_miss_but_counts_as_published() -> None:
    got = metrics(person(), results=[result(points=POINTS + 300, error_mm=80)])
    assert (got["found"], got["missed"], got["mpjpe_mm"]) == (0, 1, -1)
    assert got["published_mm"] == pytest.approx(10)


def test_the_most_similar_detection_is_taken() -> None:
    near, far = result(points=POINTS + 1, error_mm=8), result(points=POINTS + 5, error_mm=800)
    assert metrics(person(), results=[far, near])["mpjpe_mm"] == pytest.approx(1)


def test_without_hips_there_is_no_root() -> None:
    joints = person().keypoints_3d
    assert joints is not None
    hidden = joints.copy()
    hidden[RIGHT_HIP, 3] = 0
    got = metrics(person(keypoints_3d=hidden), results=[result()])
    assert (got["without_root"], got["found"]) == (1, 0)


def test_mvor_plus_keys_are_metres_and_ignore_unknown_people() -> None:
    ten = mvor10_from_h36m17(np.column_stack([BODY_MM / 1000, np.full(17, 2)])).ravel().tolist()
    labelled = person(keypoints_3d=None, extra={MVOR_PLUS_TRUE: ten}, person_id=-1)
    got = metrics(labelled, results=[result(error_mm=40)])
    assert got["mpjpe_mm"] == pytest.approx(5)
    assert got["published_people"] == 0


def test_labels_without_3d() -> None:
    with pytest.raises(AnnotationError, match="no label has"):
        metrics(person(keypoints_3d=None), results=[result()])


def test_oks_equals_cocos_definition() -> None:
    # one visible joint, the nose (sigma 0.026), 3 px off in a 100 x 100 px box
    keypoints = np.zeros((17, 3))
    keypoints[0] = (50, 50, 2)
    label = person(keypoints=keypoints)
    expected = np.exp(-9 / (2 * (2 * 0.026) ** 2 * 100 * 100))
    assert oks(label, keypoints[:, :2] + (3, 0)) == pytest.approx(expected)


def test_a_label_without_2d_joints_is_like_what_lies_within_its_box_enlarged_threefold() -> None:
    label = person(keypoints=np.zeros((17, 3)))  # box from 100 to 200 px, enlarged: 0 to 300
    assert oks(label, np.full((17, 2), 290.0)) == pytest.approx(1)
    assert oks(label, np.full((17, 2), 900.0)) < 0.01


def test_the_public_evaluation_takes_mvor_plus_joints_that_this_view_does_not_see() -> None:
    ten = mvor10_from_h36m17(np.column_stack([BODY_MM / 1000, np.full(17, 2)]))
    seen = ten.copy()
    seen[MVOR10.index("left_wrist")] = 0
    extra = {MVOR_PLUS_TRUE: seen.ravel().tolist(), MVOR_PLUS_ALL: ten.ravel().tolist()}
    got = metrics(person(keypoints_3d=None, extra=extra, person_id=3), results=[result(error_mm=80)])
    assert got["published_mm"] == pytest.approx(10)
    assert got["mpjpe_mm"] == pytest.approx(0)  # the wrist, the only wrong joint, is not labelled in this view


def test_somebody_with_an_id_but_no_joint_is_zero_error_as_published() -> None:
    nothing = person(keypoints_3d=None, extra={MVOR_PLUS_TRUE: [0.0] * 40}, person_id=3)
    got = metrics(nothing, person(), results=[result(error_mm=80)])
    assert (got["published_people"], got["published_mm"]) == (2, pytest.approx(5))
    assert (got["found"], got["without_root"]) == (1, 1)


def test_a_box_ends_at_the_edge_of_its_image() -> None:
    # the box within the image is 100 x 100 px, the whole one 1000 x 1000 px: only there are 60 px alike enough
    outside = person(bbox=np.array([-900.0, -900, 1000, 1000]), keypoints=np.column_stack([POINTS, np.full(17, 2)]))
    assert oks(outside, POINTS + 60) > 0.1
    assert metrics(outside, results=[result(points=POINTS + 60)])["missed"] == 1


def test_per_joint() -> None:
    joints = person().keypoints_3d
    assert joints is not None
    hidden = joints.copy()
    hidden[LEFT_WRIST, 3] = 0
    images = (LabelledImage(1, "1.png", 640, 480),)
    people = person_errors(AnnotationSet(images, (person(), person(keypoints_3d=hidden))), [result(error_mm=80)])
    table = per_joint(people)
    assert table["left_wrist"] == {"mpjpe_mm": pytest.approx(80), "persons": 1, "published_mm": pytest.approx(40)}
    assert table["head"] == {"mpjpe_mm": pytest.approx(0), "persons": 2, "published_mm": pytest.approx(0)}


def test_without_results_everybody_is_missed() -> None:
    got = metrics(person(), results=[])
    assert (got["mpjpe_mm"], got["missed"], got["published_mm"], got["published_people"]) == (-1, 1, -1, 0)


def test_seen_joints_are_measured_from_hidden_hips() -> None:
    """`--joints seen` with one seen joint, 80 mm off: the seven others count as zero error, as published."""
    joints = np.column_stack([BODY_MM + PELVIS_MM, np.ones(17)])
    joints[LEFT_WRIST, 3] = 2
    labels = AnnotationSet((LabelledImage(1, "1.png", 640, 480),), (person(keypoints_3d=joints),))
    got = mpjpe(with_joints(labels, "seen"), [result(error_mm=80)])
    assert (got["published_mm"], got["without_root"]) == (pytest.approx(80 / 8), 1)
