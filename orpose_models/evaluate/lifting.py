"""Errors of 3D poses lifted from given 2D joints: root-relative, after alignment, by joint and by camera.

The error is MPJPE over eight joints of the upper body (Srivastav 2020: shoulders, elbows, wrists and hips),
relative to the mean of the hips; only known joints count. Head and neck have rows of their own and are in no mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from orpose_models.evaluate.resample import Interval, ResampleSettings, draw, intervals
from orpose_models.skeleton import H36M17, MVOR10, MVOR10_FROM_H36M17

_ROWS = dict(zip(MVOR10.joint_names, MVOR10_FROM_H36M17, strict=True))
#: Human3.6M rows of the eight joints that the mean is over.
SCORED = [row for name, row in _ROWS.items() if name not in ("head", "neck")]
_HIPS = [H36M17.index("left_hip"), H36M17.index("right_hip")]
#: A pose is aligned on this many known joints at least.
_MIN_ALIGNED = 4


def joint_errors(predicted: NDArray, truth: NDArray, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`(N, 17)` mm, NaN where not known, of `(N, 17, 3)` poses; both are taken relative to the mean of their hips."""
    offsets = _rooted(predicted) - _rooted(truth)
    return np.where(known, np.linalg.norm(offsets, axis=-1), np.nan)


def aligned_errors(predicted: NDArray, truth: NDArray, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`joint_errors` after the best rotation, scale and shift of each pose over its known joints of the eight."""
    errors = np.full(known.shape, np.nan)
    scored = np.zeros(known.shape[1], bool)
    scored[SCORED] = True
    for number, rows in enumerate(known & scored):
        if rows.sum() >= _MIN_ALIGNED:
            moved = align(predicted[number, rows], truth[number, rows])
            errors[number, rows] = np.linalg.norm(moved - truth[number, rows], axis=-1)
    return errors


def align(points: NDArray, target: NDArray) -> NDArray[np.float64]:
    """`points (K, 3)` by the similarity that brings them nearest to `target` (Procrustes, no mirroring)."""
    centre, goal = points.mean(axis=0), target.mean(axis=0)
    one, other = points - centre, target - goal
    u, singular, vt = np.linalg.svd(one.T @ other)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (singular * signs).sum() / max(float((one**2).sum()), 1e-9)
    return scale * one @ (u * signs) @ vt + goal


def mean_pose(truth: NDArray, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`truth (N, 17, 3)` replaced by its mean over all people: what a lifter that sees nothing would answer."""
    rooted = np.where(known[..., None], _rooted(truth), np.nan)
    counts = np.maximum(known.sum(axis=0), 1)[:, None]
    return np.broadcast_to(np.nansum(rooted, axis=0) / counts, truth.shape)


def lifting_metrics(
    predicted: NDArray,
    truth: NDArray,
    known: NDArray[np.bool_],
    cameras: NDArray[np.str_],
    moments: NDArray[np.int64],
    settings: ResampleSettings,
) -> dict[str, dict[str, float]]:
    """Rows of figures: `all`, one a camera, one a joint.

    Every row has `mpjpe_mm` with the bootstrap interval `low`, `high` (moments are drawn), `pa_mpjpe_mm` where it is
    of the eight joints, and the number of `persons`.
    """
    errors, aligned = joint_errors(predicted, truth, known), aligned_errors(predicted, truth, known)
    rows = {"all": _row(errors[:, SCORED], aligned[:, SCORED], moments, settings)}
    for camera in sorted(set(cameras.tolist())):
        of_camera = cameras == camera
        rows[camera] = _row(errors[of_camera][:, SCORED], aligned[of_camera][:, SCORED], moments[of_camera], settings)
    for name, row in _ROWS.items():
        rows[name] = _row(errors[:, [row]], aligned[:, [row]], moments, settings)
    return rows


def paired_difference(
    one: NDArray, other: NDArray, moments: NDArray[np.int64], settings: ResampleSettings
) -> Mapping[str, float]:
    """Mean of joint errors `one` minus that of `other` `(N, 17)` over the eight joints, with its interval."""
    found = _mean_with_interval(one[:, SCORED] - other[:, SCORED], moments, settings)
    return {"difference_mm": found.value, "low": found.low, "high": found.high}


def _row(errors: NDArray, aligned: NDArray, moments: NDArray[np.int64], settings: ResampleSettings) -> dict[str, float]:
    found = _mean_with_interval(errors, moments, settings)
    row = {"mpjpe_mm": found.value, "low": found.low, "high": found.high}
    after = aligned[np.isfinite(aligned)]
    row["pa_mpjpe_mm"] = float(after.mean()) if after.size else float("nan")
    return {**row, "persons": float(np.isfinite(errors).any(axis=1).sum())}


def _mean_with_interval(values: NDArray, moments: NDArray[np.int64], settings: ResampleSettings) -> Interval:
    """The mean of what is not NaN in `(N, K)`."""
    known = np.isfinite(values)
    numbers = np.unique(moments, return_inverse=True)[1]
    sums = np.bincount(numbers, np.where(known, values, 0.0).sum(axis=1))
    counts = np.bincount(numbers, known.sum(axis=1))
    with np.errstate(invalid="ignore"):
        drawn = draw(lambda weights: np.array([weights @ sums / (weights @ counts)]), np.arange(len(sums)), settings)
    return intervals(drawn, settings.confidence)[0]


def _rooted(poses: NDArray) -> NDArray[np.float64]:
    return poses - poses[:, _HIPS].mean(axis=1, keepdims=True)
