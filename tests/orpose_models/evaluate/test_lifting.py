"""Errors of lifted poses by hand: roots, unknown joints, alignment, rows and intervals."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.evaluate.lifting import (
    SCORED,
    align,
    aligned_errors,
    joint_errors,
    lifting_metrics,
    mean_pose,
    paired_difference,
)
from orpose_models.evaluate.resample import ResampleSettings
from orpose_models.skeleton import H36M17

FEW = ResampleSettings(bootstrap=50)


def poses(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 300, (count, 17, 3))


def rotation(seed: int) -> np.ndarray:
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))


def test_the_mean_is_over_shoulders_elbows_wrists_and_hips() -> None:
    names = {H36M17.joint_names[row].split("_")[1] for row in SCORED}
    assert names == {"shoulder", "elbow", "wrist", "hip"} and len(SCORED) == 8


def test_errors_are_relative_to_the_mean_of_the_hips() -> None:
    truth = poses(2)
    predicted = truth + 500.0
    predicted[0, 13] += (30, 40, 0)
    errors = joint_errors(predicted, truth, np.ones((2, 17), bool))
    assert errors[0, 13] == pytest.approx(50)
    assert np.delete(errors[0], 13).max() == pytest.approx(0, abs=1e-9) and errors[1].max() < 1e-9


def test_a_wrong_hip_moves_the_root() -> None:
    truth = poses(1)
    predicted = truth.copy()
    predicted[0, 1] += (0, 0, 100)  # the root goes 50 with it
    errors = joint_errors(predicted, truth, np.ones((1, 17), bool))[0]
    np.testing.assert_allclose(errors, 50)


def test_unknown_joints_are_in_no_figure() -> None:
    truth, known = poses(3), np.ones((3, 17), bool)
    known[:, 13] = False
    predicted = truth.copy()
    predicted[:, 13] += 1000
    rows = lifting_metrics(predicted, truth, known, np.array(["a", "a", "b"]), np.arange(3), FEW)
    assert rows["all"]["mpjpe_mm"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(rows["left_wrist"]["mpjpe_mm"]) and rows["left_wrist"]["persons"] == 0


def test_alignment_undoes_a_similarity_and_no_mirror() -> None:
    points = poses(1)[0, :8]
    target = 1.7 * points @ rotation(3).T + (5, -80, 900)
    np.testing.assert_allclose(align(points, target), target, atol=1e-9)
    in_a_mirror = points * (-1, 1, 1)
    assert np.linalg.norm(align(in_a_mirror, points) - points, axis=1).mean() > 50


def test_aligned_errors_use_known_joints_of_the_eight_alone() -> None:
    truth, known = poses(2), np.ones((2, 17), bool)
    predicted = 0.5 * truth @ rotation(1).T
    predicted[:, [0, 2, 3, 5, 6, 7, 8, 9, 10]] = 0  # not among the eight
    known[1, SCORED[:5]] = False  # three are left: too few
    errors = aligned_errors(predicted, truth, known)
    assert np.nanmax(errors[0, SCORED]) < 1e-9
    assert np.isnan(errors[1]).all() and np.isnan(errors[0, 9])


def test_the_mean_pose_is_that_of_the_known_joints() -> None:
    truth = np.zeros((2, 17, 3))
    truth[0, 13], truth[1, 13] = (100, 0, 0), (300, 0, 0)
    known = np.ones((2, 17), bool)
    assert mean_pose(truth, known)[0, 13].tolist() == [200, 0, 0]
    known[1, 13] = False
    assert mean_pose(truth, known)[1, 13].tolist() == [100, 0, 0]


def test_rows_by_camera_and_intervals_over_moments() -> None:
    truth = poses(40)
    predicted = truth.copy()
    predicted[:20, SCORED] += np.where(np.array(SCORED) < 7, 0, 80.0)[:, None]  # not the hips, which are the root
    cameras = np.array(["a"] * 20 + ["b"] * 20)
    rows = lifting_metrics(predicted, truth, np.ones((40, 17), bool), cameras, np.arange(40) // 2, FEW)
    of_a = 6 / 8 * 80 * 3**0.5
    assert rows["a"]["mpjpe_mm"] == pytest.approx(of_a) and rows["b"]["mpjpe_mm"] == pytest.approx(0, abs=1e-9)
    assert rows["all"]["mpjpe_mm"] == pytest.approx(of_a / 2)
    assert rows["a"]["low"] == pytest.approx(of_a) == pytest.approx(rows["a"]["high"])
    assert rows["all"]["low"] < of_a / 2 < rows["all"]["high"]
    assert rows["all"]["persons"] == 40


def test_paired_difference_has_no_spread_where_all_differ_alike() -> None:
    errors = np.abs(poses(30)[..., 0])
    found = paired_difference(errors - 7, errors, np.arange(30), FEW)
    assert found["difference_mm"] == pytest.approx(-7) == pytest.approx(found["low"]) == pytest.approx(found["high"])
