"""What ground truth and pseudo labels become for the losses."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.annotations import PersonLabel
from training.data.sample import place_unknown_joints, sample_from_labels, targets_from_sample

IMAGE = np.zeros((60, 80, 3), np.uint8)
BBOX = np.array([10.0, 20, 30, 40])


def sample_of(*persons: PersonLabel, hard_hidden: bool = False):
    return sample_from_labels(IMAGE, list(persons), hidden_confidence=0.6, hard_hidden=hard_hidden)


@pytest.mark.parametrize(
    ("visibility", "hard_hidden", "confidence", "hard"),
    [(2, False, 1.0, 2), (1, False, 0.6, 0), (1, True, 0.6, 1), (0, False, 0.0, 0), (0, True, 0.0, 0)],
)
def test_visibility(visibility: int, hard_hidden: bool, confidence: float, hard: int) -> None:
    person = PersonLabel(1, 1, BBOX, np.full((17, 3), visibility, float))
    sample = sample_of(person, hard_hidden=hard_hidden)
    assert sample.soft[0, 0, 2] == pytest.approx(confidence)
    assert sample.hard[0, 0, 2] == hard


def test_absolute_3d_becomes_pelvis_relative() -> None:
    joints = np.column_stack([np.arange(51.0).reshape(17, 3) + 3000, np.full(17, 2)])
    sample = sample_of(PersonLabel(1, 1, BBOX, keypoints_3d=joints))
    np.testing.assert_allclose(sample.soft_3d[0, :, :3], np.arange(51.0).reshape(17, 3) - (0, 1, 2))
    np.testing.assert_array_equal(sample.hard_3d, sample.soft_3d)


def test_3d_without_pelvis_is_not_used() -> None:
    joints = np.full((17, 4), 2.0)
    joints[0, 3] = 0
    assert not sample_of(PersonLabel(1, 1, BBOX, keypoints_3d=joints)).soft_3d[..., 3].any()


def test_pseudo_labels_keep_their_confidence_and_weight() -> None:
    weight = np.ones(17)
    weight[:2] = (0, 0.5)
    person = PersonLabel(
        1, 1, BBOX, np.full((17, 3), 2.0), keypoints_soft=np.full((17, 3), 0.8), joint_weight=weight,
        keypoints_3d_soft=np.full((17, 4), 5.0), keypoints_3d_hard=np.full((17, 4), 7.0),
    )  # fmt: skip
    sample = sample_of(person)
    np.testing.assert_allclose(sample.soft[0, :3, 2], [0, 0.8, 0.8])
    np.testing.assert_array_equal(sample.hard[0, :3, 2], [0, 2, 2])
    np.testing.assert_allclose(targets_from_sample(sample)["joint_weights"][0, :3], [0, 0.5, 1])
    assert (sample.soft_3d[0, 0, 0], sample.hard_3d[0, 0, 0]) == (5, 7)


def test_ground_truth_joints_weigh_one() -> None:
    assert (sample_of(PersonLabel(1, 1, BBOX, np.full((17, 3), 2.0))).joint_weight == 1).all()


def test_unknown_joints_are_put_into_the_box_for_the_soft_lifter_and_stay_unknown() -> None:
    keypoints = np.full((17, 3), 2.0)
    keypoints[:, :2] = (15, 25)
    keypoints[3] = 0  # never labelled
    keypoints[4] = (500, 500, 0)  # cut off
    before = sample_of(PersonLabel(1, 1, BBOX, keypoints))
    after = place_unknown_joints(before, np.random.default_rng(0))
    placed = after.soft[0, 3:5, :2]
    assert ((placed >= BBOX[:2]) & (placed <= BBOX[:2] + BBOX[2:])).all()
    assert not np.array_equal(placed[0], placed[1])
    np.testing.assert_array_equal(after.soft[..., 2], before.soft[..., 2])
    np.testing.assert_array_equal(np.delete(after.soft[0], [3, 4], 0), np.delete(before.soft[0], [3, 4], 0))
    np.testing.assert_array_equal(after.hard, before.hard)


def test_crowds_are_regions_not_people() -> None:
    crowd = PersonLabel(2, 1, np.array([0.0, 0, 5, 6]), is_crowd=True)
    targets = targets_from_sample(sample_of(PersonLabel(1, 1, BBOX), crowd))
    assert targets["boxes"].tolist() == [[10, 20, 40, 60]]
    assert targets["crowd_boxes"].tolist() == [[0, 0, 5, 6]]
    assert targets["labels"].tolist() == [1]
    assert targets["keypoints_3d_soft"].shape == (1, 17, 4)


def test_nobody() -> None:
    targets = targets_from_sample(sample_of())
    assert targets["boxes"].shape == (0, 4)
    assert targets["keypoints_hard"].shape == (0, 17, 3)
