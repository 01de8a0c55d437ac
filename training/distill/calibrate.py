"""Fits the monotone map from heatmap peaks to joint scores: 0.5 means that half of such joints are right (PCK@0.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel
from orpose_models.network.decode import ScoreCalibration
from orpose_models.network.student import Student
from training.data.dataset import Item, Size
from training.distill.validate import Prediction, predict

PCK_SHARE = 0.2
MATCH_IOU = 0.5
#: A knot needs this many joints; fewer say nothing about a rate.
MIN_JOINTS_PER_KNOT = 20


def calibrate(student: Student, items: Sequence[Item], size: Size, factors: Sequence[float]) -> int:
    """Sets the student's score calibration from its own predictions on labelled images at all `factors`.

    Returns:
        The number of joints it was fitted on; 0: too few, the student is unchanged.
    """
    before = [knots.clone() for knots in (student.heads.calibration.peaks, student.heads.calibration.scores)]
    identity = torch.linspace(0, 1, ScoreCalibration.KNOTS)
    student.set_score_calibration(identity, identity)
    pairs = []
    for factor in factors:
        for item, prediction in zip(items, predict(student, items, size, factor), strict=True):
            pairs.append(joint_outcomes(prediction, item.persons, (item.image.width, item.image.height)))
    outcomes = np.concatenate(pairs) if pairs else np.zeros((0, 2))
    if len(outcomes) < MIN_JOINTS_PER_KNOT * (ScoreCalibration.KNOTS - 2):
        student.set_score_calibration(*before)
        return 0
    peaks, scores = fit_knots(outcomes[:, 0], outcomes[:, 1])
    student.set_score_calibration(torch.from_numpy(peaks), torch.from_numpy(scores))
    return len(outcomes)


def joint_outcomes(
    prediction: Prediction, persons: Sequence[PersonLabel], image_size: tuple[int, int]
) -> NDArray[np.float64]:
    """`(K, 2)` peak and right (1) or wrong (0), of every joint of detections that match a labelled person.

    A joint is right within 0.2 x the larger side of the person's labelled joints' extent. A joint labelled outside of
    the image is always wrong; one without a label is left out.
    """
    rows = []
    people = [p for p in persons if not p.is_crowd and p.num_keypoints > 1]
    for box, keypoints in zip(prediction.boxes, prediction.keypoints, strict=True):
        overlaps = [_iou(box, p.bbox) for p in people]
        if not overlaps or max(overlaps) < MATCH_IOU:
            continue
        label = people[int(np.argmax(overlaps))].keypoints
        assert label is not None
        known = label[:, 2] > 0
        outside = ~known & (label[:, :2] != 0).any(axis=1)
        outside &= ((label[:, :2] < 0) | (label[:, :2] >= image_size)).any(axis=1)
        extent = np.ptp(label[known, :2], axis=0).max() + 1
        right = known & (np.linalg.norm(keypoints[:, :2] - label[:, :2], axis=1) <= PCK_SHARE * extent)
        used = known | outside
        rows.append(np.column_stack([keypoints[used, 2], right[used]]))
    return np.concatenate(rows).astype(np.float64) if rows else np.zeros((0, 2))


def fit_knots(peaks: NDArray, right: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Knots of `ScoreCalibration`: peaks from 0 to 1 at equal shares of the joints, scores by isotonic regression."""
    count = ScoreCalibration.KNOTS
    order = np.argsort(peaks, kind="stable")
    groups = np.array_split(order, count - 2)
    knots = np.array([0.0, *(peaks[group].mean() for group in groups), 1.0])
    rates = isotonic(np.array([right[group].mean() for group in groups]), np.array([len(group) for group in groups]))
    scores = np.array([0.0, *rates, rates[-1]]).clip(0, 1)
    # equal peaks would make a step; torch needs them apart in float32
    knots[1:-1] = knots[1:-1].clip(1e-4, 1 - 1e-4)
    for i in range(1, count - 1):
        knots[i] = max(knots[i], knots[i - 1] + 1e-6)
    return knots, scores


def isotonic(values: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """The nearest (weighted least squares) sequence that does not decrease: pool adjacent violators."""
    blocks: list[list[float]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        blocks.append([float(value), float(weight), 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, mass, length = blocks.pop()
            total = blocks[-1][1] + mass
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * mass) / total, total, blocks[-1][2] + length]
    return np.concatenate([np.full(int(length), mean) for mean, _, length in blocks])


def _iou(box: NDArray, bbox: NDArray) -> float:
    x1, y1, width, height = bbox
    overlap_x = min(box[2], x1 + width) - max(box[0], x1)
    overlap_y = min(box[3], y1 + height) - max(box[1], y1)
    overlap = max(overlap_x, 0.0) * max(overlap_y, 0.0)
    union = (box[2] - box[0]) * (box[3] - box[1]) + width * height - overlap
    return float(overlap / max(union, 1e-9))
