"""Where skeletons are shown: measured joints, else about the pelvis that is known or guessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from orpose_models.placing import pelvis_guess_m, shown_joints_m
from orpose_models.runtime.types import Person, Root, RootSource

SIZE = (640, 480)


def person() -> Person:
    random = np.random.default_rng(0)
    keypoints = np.column_stack([random.uniform(100, 300, (17, 2)), np.ones(17)]).astype(np.float32)
    joints_mm = np.column_stack([random.uniform(-500, 500, (17, 3)), np.ones(17)]).astype(np.float32)
    return Person(0.9, np.array([100, 100, 200, 200], np.float32), keypoints, joints_mm)


def test_nothing_known():
    expected = person().keypoints_3d[:, :3] / 1000 + pelvis_guess_m(person(), SIZE)
    np.testing.assert_allclose(shown_joints_m(person(), SIZE), expected)


def test_a_known_pelvis():
    placed = replace(person(), root=Root(np.array([1.0, 2, 3]), np.eye(3), RootSource.SIZE))
    np.testing.assert_allclose(shown_joints_m(placed, SIZE), person().keypoints_3d[:, :3] / 1000 + (1, 2, 3))


def test_measured_joints_and_the_others_about_the_pelvis():
    measured = np.full((17, 4), np.nan, np.float32)
    measured[5] = (7, 8, 9, 1)
    root = Root(np.array([1.0, 2, 3]), np.eye(3), RootSource.DEPTH)
    shown = shown_joints_m(replace(person(), root=root, keypoints_3d_metric=measured), SIZE)
    np.testing.assert_allclose(shown[5], (7, 8, 9))
    np.testing.assert_allclose(shown[4], person().keypoints_3d[4, :3] / 1000 + (1, 2, 3))
