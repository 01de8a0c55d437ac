"""Errors of places in metres by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.evaluate.places import places
from orpose_models.evaluate.seen import with_joints

POSE = np.column_stack([np.arange(17.0) * 10, np.arange(17.0) * 50, np.full(17, 3000.0), [2.0] * 10 + [1.0] * 7])
LABEL = PersonLabel(1, 0, np.array([0, 0, 100, 200.0]), keypoints_3d=POSE)
LABELS = AnnotationSet((LabelledImage(0, "0.jpg", 640, 480),), (LABEL,))


def result(offset_mm, sd_mm: float, source: str, x: float = 0.0, metric: bool = True) -> dict:
    joints = POSE + np.array([*offset_mm, 0])
    joints[10:, 2] += 60  # hidden ones are farther off
    root = {"position": (POSE[0, :3] + offset_mm).tolist(), "covariance": (np.eye(3) * sd_mm**2).ravel().tolist()}
    flat = [None if value != value else value for value in joints.ravel().tolist()]
    return {
        "image_id": 0, "bbox": [x, 0, 100, 200], "score": 0.9, "root": {**root, "source": source},
        "keypoints_3d_metric": flat if metric else None,
    }  # fmt: skip


def test_joints_and_the_root_from_depth():
    found = places(LABELS, [result((0, 0, 40), 20.0, "depth"), result((0, 0, 900), 20.0, "depth", x=400)])
    assert found["seen_mm"] == pytest.approx(40)
    assert found["hidden_mm"] == pytest.approx(100)
    assert found["joint_mm"] == pytest.approx((10 * 40 + 7 * 100) / 17)
    assert found["joint_mm_median"] == pytest.approx(40)
    assert (found["depth_root_mm"], found["depth_root_people"], found["persons"]) == (40, 1, 1)
    assert (found["size_root_mm"], found["size_root_people"]) == (-1, 0)


@pytest.mark.parametrize(("sd_mm", "within"), [(10.0, 0.0), (20.0, 1.0)])
def test_whether_the_uncertainty_covers_the_error(sd_mm, within):
    found = places(LABELS, [result((0, 50, 0), sd_mm, "size", metric=False)])
    assert (found["size_root_within"], found["size_root_mm"]) == (within, 50), "95 %: 2.8 standard deviations in 3D"
    assert found["joint_mm"] == -1


def test_unknown_joints_and_crowds_do_not_count():
    one = result((0, 0, 40), 20.0, "depth")
    one["keypoints_3d_metric"][:4] = [None, None, None, 0.0]
    assert places(LABELS, [one])["seen_mm"] == pytest.approx(40)
    crowd = replace(LABELS, persons=(replace(LABEL, is_crowd=True),))
    assert places(crowd, [one])["persons"] == 0


def test_hidden_joints_and_a_hidden_root_do_not_count_with_seen_joints():
    """`--joints seen`: 7 joints of flag 1, then the root as well."""
    found = [result((0, 0, 40), 20.0, "depth")]
    metrics = places(with_joints(LABELS, "seen"), found)
    assert metrics["joint_mm"] == metrics["seen_mm"] == pytest.approx(40)
    assert (metrics["hidden_mm"], metrics["depth_root_people"]) == (-1, 1)
    hidden_root = replace(LABEL, keypoints_3d=np.where(np.arange(17)[:, None] == 0, [0, 0, 3000, 1], POSE))
    metrics = places(with_joints(replace(LABELS, persons=(hidden_root,)), "seen"), found)
    assert metrics["joint_mm"] == pytest.approx(40)
    assert (metrics["depth_root_mm"], metrics["depth_root_people"]) == (-1, 0)
