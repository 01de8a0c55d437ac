"""MVOR's PCK by hand-computed cases, and against the published OpenPose figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel, read_annotations
from orpose_models.errors import InputError
from orpose_models.evaluate.boxes import covered_share, joints_box
from orpose_models.evaluate.mvor_pck import judged_people, mvor10_from_found_coco17, mvor_pck, per_joint
from orpose_models.skeleton import COCO17, MVOR10

SHARED = Path(__file__).parents[4] / "shared/data/mvor"


def coco(**joints: tuple[float, float]) -> np.ndarray:
    array = np.zeros((17, 2))
    for name, point in joints.items():
        array[COCO17.index(name)] = point
    return array


@pytest.mark.parametrize(
    ("joints", "head"),
    [
        ({"left_eye": (10, 10), "right_eye": (20, 12), "nose": (1, 1)}, (15, 11)),
        ({"left_eye": (10, 10), "left_ear": (30, 10), "right_ear": (40, 20), "nose": (1, 1)}, (35, 15)),
        ({"left_eye": (10, 10), "left_ear": (30, 10), "nose": (1, 2)}, (1, 2)),
        ({"right_eye": (10, 10), "left_ear": (30, 10)}, (10, 10)),
        ({"left_ear": (30, 10)}, (30, 10)),
        ({}, (0, 0)),
    ],
)
def test_head(joints: dict[str, tuple[float, float]], head: tuple[float, float]) -> None:
    np.testing.assert_array_equal(mvor10_from_found_coco17(coco(**joints))[0], head)


def test_neck_and_limbs() -> None:
    both = mvor10_from_found_coco17(coco(left_shoulder=(10, 0), right_shoulder=(20, 4), left_wrist=(5, 6)))
    np.testing.assert_array_equal(both[1], (15, 2))
    np.testing.assert_array_equal(both[MVOR10.index("left_wrist")], (5, 6))
    np.testing.assert_array_equal(both[MVOR10.index("right_wrist")], (0, 0))
    np.testing.assert_array_equal(mvor10_from_found_coco17(coco(right_shoulder=(20, 4)))[1], (20, 4))


def test_covered_share() -> None:
    box = np.array([0.0, 0, 9, 9])  # 10 x 10 px as MVOR counts
    assert covered_share(box, np.array([5.0, 0, 20, 20])) == pytest.approx(0.5)
    assert covered_share(box, np.array([10.0, 0, 20, 20])) == 0
    assert joints_box(np.array([[0.0, 0], [3, 4], [1, 8]])) == pytest.approx([1, 4, 3, 8])
    assert joints_box(np.zeros((2, 2))) is None


def label(points: dict[str, tuple[float, float]], **extra: int) -> PersonLabel:
    keypoints = np.zeros((10, 3))
    for name, point in points.items():
        keypoints[MVOR10.index(name)] = (*point, 2)
    return PersonLabel(1, 1, np.array([0.0, 0, 100, 100]), keypoints, extra=extra)


def pck(person: PersonLabel, found: list[tuple[float, np.ndarray]]) -> dict[str, float]:
    annotations = AnnotationSet((LabelledImage(1, "a.png", 640, 480),), (person,), skeleton=MVOR10)
    results = [
        {"image_id": 1, "score": score, "keypoints": np.column_stack([joints, np.ones(17)]).ravel().tolist()}
        for score, joints in found
    ]
    return mvor_pck(annotations, results)


SHOULDERS = {"left_shoulder": (100.0, 100.0), "right_shoulder": (199.0, 100.0)}  # extent 100 px: 20 px are allowed


@pytest.mark.parametrize(("off_px", "rate"), [(0.0, 100.0), (20.0, 100.0), (20.1, 50.0)])
def test_a_joint_is_right_within_a_fifth_of_the_extent(off_px: float, rate: float) -> None:
    found = coco(left_shoulder=(100, 100 + off_px), right_shoulder=(199, 100))
    metrics = pck(label(SHOULDERS), [(0.9, found)])
    assert (metrics["shoulder"], metrics["hip"], metrics["persons"]) == (rate, 0.0, 1.0)
    assert metrics["mean"] == pytest.approx(rate / 5)


def test_the_best_score_among_those_that_cover_counts() -> None:
    right = coco(left_shoulder=(100, 100), right_shoulder=(199, 100))
    better_score = coco(left_shoulder=(100, 160), right_shoulder=(199, 99))
    elsewhere = coco(left_shoulder=(400, 100), right_shoulder=(500, 100))
    assert pck(label(SHOULDERS), [(0.9, right), (0.99, elsewhere)])["shoulder"] == 100
    assert pck(label(SHOULDERS), [(0.9, right), (0.95, better_score)])["shoulder"] == 50
    assert pck(label(SHOULDERS), [])["shoulder"] == 0


def test_people_with_only_a_box_are_left_out() -> None:
    assert pck(label(SHOULDERS, only_bbox=1), [])["persons"] == 0
    assert pck(label({}), [])["persons"] == 0


def test_coco_labels_are_converted_as_detections_are() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 200, (17, 2))
    visible = np.ones(17)
    visible[COCO17.index("left_eye")] = 0
    person = PersonLabel(1, 1, np.array([0.0, 0, 200, 200]), np.column_stack([points, 2 * visible]))
    annotations = AnnotationSet((LabelledImage(1, "a.png", 640, 480),), (person,))
    flat = np.column_stack([points * visible[:, None], visible]).ravel().tolist()
    assert mvor_pck(annotations, [{"image_id": 1, "score": 1.0, "keypoints": flat}])["mean"] == 100


def test_per_joint_counts_labelled_joints_only() -> None:
    points = np.column_stack([np.linspace(10, 110, 17), np.linspace(50, 90, 17), np.full(17, 2.0)])
    hidden = points.copy()
    hidden[COCO17.index("nose")] = 0
    persons = tuple(PersonLabel(i, i, np.array([0.0, 0, 200, 200]), p) for i, p in ((1, points), (2, hidden)))
    annotations = AnnotationSet(tuple(LabelledImage(i, f"{i}.png", 640, 480) for i in (1, 2)), persons)
    wrong = points.copy()
    wrong[COCO17.index("left_knee"), 1] += 30  # 0.2 x 101 px are allowed
    results = [{"image_id": 1, "score": 1.0, "keypoints": wrong.ravel().tolist()}]
    table = per_joint(judged_people(annotations, results, COCO17), COCO17)
    assert table["nose"] == {"pck": 100.0, "labelled": 1.0}
    assert table["left_knee"] == {"pck": 0.0, "labelled": 2.0}
    assert table["right_knee"] == {"pck": 50.0, "labelled": 2.0}  # nobody was found on the second image


def test_per_joint_of_nobody() -> None:
    assert per_joint([], COCO17)["nose"] == {"pck": -1.0, "labelled": 0.0}


def test_wrong_number_of_joints() -> None:
    annotations = AnnotationSet((LabelledImage(1, "a.png", 640, 480),), (), skeleton=MVOR10)
    with pytest.raises(InputError, match="result 0: keypoints: expected 51 numbers"):
        mvor_pck(annotations, [{"image_id": 1, "score": 1, "keypoints": [0] * 30}])


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the MVOR files in ../shared")
def test_published_figures_of_openpose_on_mvor() -> None:
    annotations = read_annotations(SHARED / "camma_mvor_2018.json")
    metrics = mvor_pck(annotations, json.loads((SHARED / "openpose_kps.json").read_text()))
    published = {"head": 70.4, "shoulder": 69.9, "hip": 42.3, "elbow": 57.6, "wrist": 45.3, "mean": 57.1}
    assert {name: round(metrics[name], 1) for name in published} == published
    assert metrics["persons"] == 2926
