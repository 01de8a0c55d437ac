"""SSPCM's correction by hand: pairs, thresholds, weights; and the filter in a labelling teacher."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from orpose_models.annotations import AnnotationSet, LabelledImage, read_annotations, write_annotations
from orpose_models.errors import ConfigError
from orpose_models.network.weights import load_student, save_weights
from orpose_models.settings import build_settings
from orpose_models.skeleton import COCO17
from training.data.sample import sample_from_labels
from training.teacher.build import build_teacher
from training.teacher.config import TeacherConfig
from training.teacher.labelling import weight_hashes
from training.teacher.sspcm import Corrected, Correction, correct, uncorrected
from training.teacher.stages import Boxes
from training.teacher.teacher import pseudo_labels

#: One person whose box's diagonal is 100 px.
BOX = np.array([[10, 20, 70, 100]], np.float32)
PLAIN = Correction(drop_from=None, weigh_by_distance=False, weigh_by_score=False)


def joints(x: float, score: float, y: float = 50.0) -> np.ndarray:
    return np.tile(np.float32([x, y, score]), (1, 17, 1))


def corrected(first, second, first_other, second_other, config: Correction) -> tuple[list[float], float, bool]:
    """Joint 0's x, y, score; weight; may be hard."""
    found = correct((first, second), (first_other, second_other), BOX, config)
    for part in (found.joints, found.weight, found.may_be_hard):
        assert len(np.unique(part, axis=1)[0]) == 1, "all joints were given the same"
    return found.joints[0, 0].tolist(), float(found.weight[0, 0]), bool(found.may_be_hard[0, 0])


@pytest.mark.parametrize(("xs", "x", "distance"), [
    ((40, 44, 90, 10), 42, 4),  # T1, T2
    ((40, 60, 62, 10), 61, 2),  # T1', T2
    ((40, 60, 90, 43), 41.5, 3),  # T1, T2'
    ((40, 60, 90, 91), 90.5, 1),  # T1', T2'
    ((40, 60, 40, 60), 50, 20),  # all alike: T1, T2
])  # fmt: skip
def test_the_closest_pair_is_taken(xs, x, distance) -> None:
    scores = (0.8, 0.6, 0.4, 0.2)
    answers = [joints(at, score) for at, score in zip(xs, scores, strict=True)]
    point, *_ = corrected(*answers, PLAIN.model_copy(update={"hard_below": 0.25}))
    assert point[:2] == pytest.approx([x, 50])
    point, *_ = corrected(*answers, PLAIN.model_copy(update={"hard_below": 1.0, "pairs": "current"}))
    assert point == pytest.approx([(xs[0] + xs[1]) / 2, 50, 0.7])
    config = PLAIN.model_copy(update={"weigh_by_distance": True, "hard_below": 0.0})
    _, weight, hard = corrected(*answers, config)
    assert weight == pytest.approx(1 - distance / 100)  # (diagonal - distance) / diagonal
    assert not hard


@pytest.mark.parametrize(("distance", "scores", "x"), [
    (4.9, (0.8, 0.6), 42.45),  # one peak between
    (5.1, (0.8, 0.6), 40),
    (5.1, (0.6, 0.8), 45.1),
    (5.1, (0.7, 0.7), 40),
])  # fmt: skip
def test_two_peaks_melt_into_one_or_the_higher_one_wins(distance, scores, x) -> None:
    first, second = joints(40, scores[0]), joints(40 + distance, scores[1])
    point, *_ = corrected(first, second, first, second, PLAIN)
    assert point == pytest.approx([x, 50, 0.7])


def test_of_swapped_sides_one_is_believed_and_no_point_between() -> None:
    """T2 takes the left knee for the right one and is less sure; they are 40 px apart."""
    left, right = COCO17.index("left_knee"), COCO17.index("right_knee")
    first, second = joints(40, 0.8), joints(40, 0.6)
    first[0, [left, right], 0], second[0, [left, right], 0] = (60, 20), (20, 60)
    found = correct((first, second), (first, second), BOX, PLAIN)
    assert found.joints[0, [left, right], 0].tolist() == [60, 20]
    assert not found.may_be_hard[0, [left, right]].any()


def test_every_joint_has_its_own_pair() -> None:
    first, second, first_other, second_other = (joints(x, 0.5) for x in (40, 60, 90, 91))
    second[0, 3, 0] = 41
    found = correct((first, second), (first_other, second_other), BOX, PLAIN)
    assert found.joints[0, 3, 0] == pytest.approx(40.5)
    np.testing.assert_allclose(np.delete(found.joints[0, :, 0], 3), 90.5)


@pytest.mark.parametrize(("scores", "used"), [((0.15, 0.06), True), ((0.15, 0.04), False), ((0.1, 0.1), False)])
def test_a_joint_is_used_where_the_current_scores_mean_is_above(scores, used) -> None:
    first, second = joints(40, scores[0]), joints(41, scores[1])
    _, weight, hard = corrected(first, second, joints(40, 0.9), joints(40, 0.9), PLAIN)
    assert (weight, hard) == (float(used), used)


@pytest.mark.parametrize(("x", "dropped"), [(99.5, False), (100, True), (120, True)])
def test_joints_far_apart_are_dropped_by_what_the_models_say_now(x, dropped) -> None:
    first, second, second_other = joints(40, 0.9), joints(x, 0.9), joints(41, 0.9)
    config = PLAIN.model_copy(update={"drop_from": 0.6})
    point, weight, hard = corrected(first, second, first, second_other, config)
    assert point[0] == pytest.approx(40.5), "(T1, T2') agree"
    assert (weight, hard) == ((0.0, False) if dropped else (1.0, True))


def test_levels_and_weights() -> None:
    config = Correction(hard_below=0.05)
    first = joints(40, 0.9)
    near, far = joints(44, 0.5), joints(48, 0.5, y=56.0)  # 4 px and 10 px
    assert corrected(first, near, first, near, config)[1:] == (1.0, True)
    _, weight, hard = corrected(first, far, first, far, config)
    assert weight == pytest.approx((1 - 0.1) * (1 - 0.4)) and not hard
    for name, expected in (("weigh_by_distance", 1 - 0.4), ("weigh_by_score", 1 - 0.1)):
        switched_off = config.model_copy(update={name: False})
        assert corrected(first, far, first, far, switched_off)[1] == pytest.approx(expected)


def test_weights_are_not_negative() -> None:
    """Peaks of a heatmap may lie above 1, and so may their difference."""
    config = Correction(drop_from=None, hard_below=0.05)
    assert corrected(joints(40, 1.1), joints(48, 0.0, y=56.0), joints(40, 1.1), joints(48, 0.0, y=56.0), config)[1] == 0


def test_nobody_and_one_model() -> None:
    empty = np.zeros((0, 17, 3), np.float32)
    found = correct((empty, empty), (empty, empty), np.zeros((0, 4), np.float32), Correction())
    assert found.joints.shape == (0, 17, 3) and found.weight.shape == found.may_be_hard.shape == (0, 17)
    one = joints(40, 0.1)
    one[0, 5, 2] = 0.2
    alone = uncorrected(one, Correction())
    assert alone.joints is one
    assert np.flatnonzero(alone.weight).tolist() == np.flatnonzero(alone.may_be_hard).tolist() == [5]


@pytest.mark.parametrize(("values", "message"), [
    ({"drop_from": 0.05}, "drop_from: got 0.05, expected more than hard_below 0.05"),
    ({"min_score": 1.0}, "min_score"),
    ({"pairs": "some"}, "pairs"),
])  # fmt: skip
def test_bad_settings(values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        build_settings(Correction, values, "a.yaml")


class NoLift:
    def lift(self, joints, confidence):
        return (confidence > 0).sum(axis=1)[:, None, None] * np.ones((len(joints), 17, 3), np.float32)


def test_labels_training_reads(tmp_path) -> None:
    """Joint 0 hard, 1 agreed but unsure, 2 weighted, 3 dropped; through a label file into a training sample."""
    found = Corrected(joints(40, 0.9), np.ones((1, 17), np.float32), np.ones((1, 17), bool))
    found.joints[0, 1, 2], found.weight[0, 2:4], found.may_be_hard[0, 2:4] = 0.3, [0.25, 0], False
    labels = pseudo_labels(Boxes.sorted(BOX, np.array([0.9])), found, NoLift(), 0.5, np.eye(2, 3), 0)
    assert (labels[0].keypoints[:4, 2] > 0).tolist() == [True, False, False, False]
    assert labels[0].keypoints_3d_hard[5, 0] == 14 and labels[0].keypoints_3d_soft[5, 0] == 17
    write_annotations(tmp_path / "a.json", AnnotationSet((LabelledImage(0, "a.png", 128, 96),), tuple(labels)))
    (person,) = read_annotations(tmp_path / "a.json").persons
    sample = sample_from_labels(np.zeros((96, 128, 3), np.uint8), [person], hidden_confidence=0.6, hard_hidden=False)
    np.testing.assert_allclose(sample.joint_weight[0, :5], [1, 1, 0.25, 0, 1])
    np.testing.assert_allclose(sample.soft[0, :5, 2], [0.9, 0.3, 0.9, 0, 0.9])
    assert (sample.hard[0, :5, 2] > 0).tolist() == [True, False, False, False, True]


# ------------------------------------------------------------------------------------------------------- in a teacher


@pytest.fixture(scope="module")
def other(weights, tmp_path_factory):
    """The same network with a disturbed keypoint head."""
    student = load_student(weights)
    torch.manual_seed(0)
    with torch.no_grad():
        for branch in (student.heads.keypoint.hard, student.heads.keypoint.soft):
            branch.weight.add_(0.3 * branch.weight.std() * torch.randn_like(branch.weight))
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    save_weights(student, path)
    return path


def test_a_teacher_filters(make_teacher_config, other) -> None:
    views, stage = {"flip": True}, {"kind": "network", "weights": other, "size": [128, 96]}
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    filtering = make_teacher_config(keypoint_views=views, sspcm={"keypoints": stage})
    assert set(weight_hashes(filtering)) == {str(filtering.keypoints.weights), str(other)}
    (people,) = build_teacher(filtering).label([image], [0])
    (plain,) = build_teacher(make_teacher_config(keypoint_views=views)).label([image], [0])
    assert len(people) == len(plain) > 0
    for person, unfiltered in zip(people, plain, strict=True):
        np.testing.assert_array_equal(person.bbox, unfiltered.bbox)
        assert unfiltered.joint_weight is None and person.joint_weight.shape == (17,)
    weights = np.stack([person.joint_weight for person in people])
    hard = np.stack([person.keypoints[:, 2] > 0 for person in people])
    assert (weights == 0).any() and (weights == 1).any() and ((weights > 0) & (weights < 1)).any()
    assert hard.any() and (weights[hard] == 1).all()
    # with twice the same network T1 = T2 is the closest pair, and joints are the unfiltered ones
    twins = replace(build_teacher(filtering), other_keypoints=build_teacher(make_teacher_config()).keypoints)
    (agreeing,) = twins.label([image], [0])
    for person, unfiltered in zip(agreeing, plain, strict=True):
        np.testing.assert_allclose(person.keypoints_soft, unfiltered.keypoints_soft, atol=1e-4)


@pytest.mark.parametrize(("changes", "message"), [
    ({"keypoint_views": {}}, "keypoint_views has the plain one alone"),
    ({"sspcm": {"keypoints": {"kind": "network", "weights": "own", "size": [128, 96]}}}, "the same network as"),
    ({"sspcm": {"keypoints": {"kind": "openpose", "weights": "own"}}}, "sspcm.keypoints"),
])  # fmt: skip
def test_bad_teachers(weights, changes, message) -> None:
    eye = {"kind": "network", "weights": "own", "size": [128, 96]}
    other = {"kind": "network", "weights": "other", "size": [128, 96]}
    values = {"name": "a", "boxes": eye, "keypoints": eye, "lifting": {"kind": "network", "weights": "own"},
              "keypoint_views": {"flip": True}, "sspcm": {"keypoints": other}}  # fmt: skip
    build_settings(TeacherConfig, values, "teacher.yaml")
    with pytest.raises(ConfigError, match=message):
        build_settings(TeacherConfig, values | changes, "teacher.yaml")
    current = {"keypoints": other, "correction": {"pairs": "current"}}
    assert build_settings(TeacherConfig, values | {"keypoint_views": {}, "sspcm": current}, "teacher.yaml")
