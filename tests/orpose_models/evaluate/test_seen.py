"""`--joints seen` takes hidden joints out of what is measured, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.evaluate.coco import box_metrics, keypoint_metrics
from orpose_models.evaluate.protocols import joints_of
from orpose_models.evaluate.seen import with_joints
from orpose_models.skeleton import MVOR10

JOINTS = np.column_stack([np.linspace(20, 80, 17), np.linspace(30, 130, 17), np.repeat([2.0, 1.0, 0.0], [9, 6, 2])])
SPACE = np.column_stack([np.full((17, 3), 1000.0), np.repeat([2.0, 1.0], [9, 8])])
PERSON = PersonLabel(1, 1, np.array([10.0, 20, 80, 120]), JOINTS, area=5000.0, keypoints_3d=SPACE)
ROOM = AnnotationSet((LabelledImage(1, "a.png", 200, 200),), (PERSON,))
#: Exact where joints are seen, far off where they are hidden.
FOUND = {
    "image_id": 1, "bbox": [10.0, 20.0, 80.0, 120.0], "score": 0.9,
    "keypoints": np.where(JOINTS[:, 2:] == 1, JOINTS + np.array([150, 0, 0]), JOINTS),
}  # fmt: skip


def test_hidden_joints_are_not_measured() -> None:
    seen = with_joints(ROOM, "seen")
    assert with_joints(ROOM, "all") is ROOM
    assert keypoint_metrics(seen, [FOUND])["AP"] == pytest.approx(1.0)
    assert keypoint_metrics(ROOM, [FOUND])["AP"] < 0.5
    assert box_metrics(seen, [FOUND]) == box_metrics(ROOM, [FOUND])
    (person,) = seen.persons
    assert person.keypoints is not None and person.keypoints_3d is not None
    np.testing.assert_array_equal(person.keypoints[:9], JOINTS[:9])
    assert person.num_keypoints == 9 and not person.keypoints[9:].any()
    assert int((person.keypoints_3d[:, 3] > 0).sum()) == 9
    np.testing.assert_array_equal(person.keypoints_3d[:, :3], SPACE[:, :3])


def test_pck_leaves_hidden_joints_of_mvors_ten_out() -> None:
    joints = np.column_stack([np.linspace(20, 80, 10), np.linspace(30, 130, 10), np.repeat([2.0, 1.0], [4, 6])])
    labels = AnnotationSet(ROOM.images, (replace(PERSON, keypoints=joints),), skeleton=MVOR10)
    table = joints_of("mvor-pck", with_joints(labels, "seen"), [])
    assert [row["labelled"] for row in table.values()] == [1.0] * 4 + [0.0] * 6


def test_whoever_has_no_seen_joint_left_is_ignored() -> None:
    """Neither a miss nor a false alarm where joints are measured; still a person where boxes are."""
    hidden = replace(PERSON, annotation_id=2, keypoints=np.minimum(JOINTS, (1000, 1000, 1)))
    boxed = replace(PERSON, annotation_id=3, keypoints=None, keypoints_3d=None)
    seen = with_joints(replace(ROOM, persons=(hidden, boxed)), "seen")
    assert [person.num_keypoints for person in seen.persons] == [0, 0]
    assert keypoint_metrics(seen, [FOUND])["AP"] == -1  # nobody to measure
    assert box_metrics(replace(seen, persons=seen.persons[:1]), [FOUND])["AP"] == pytest.approx(1.0)
