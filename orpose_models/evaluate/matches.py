"""COCO's average precision out of matches that are made once: for resampled images and for precision-recall curves.

pycocotools matches image by image and only then accumulates. Here the accumulation takes a weight an image, so that a
bootstrap sample (an image drawn twice has the weight 2) costs milliseconds. With all weights 1 the numbers are
pycocotools' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet
from orpose_models.evaluate.coco import Kind, evaluated
from orpose_models.evaluate.results import Result

#: COCO's thresholds of overlap (or object keypoint similarity) and recalls.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class Matches:
    """D detections by falling score, at T thresholds, on I images (in the order of their ids).

    Attributes:
        image: `(D,)` index of the detection's image.
        is_right: `(T, D)` matched with a label that counts; `is_wrong`: `(T, D)` matched with none. Neither: ignored.
        labels: `(I,)` how many labels of each image count.
    """

    image: NDArray[np.int64]
    is_right: NDArray[np.bool_]
    is_wrong: NDArray[np.bool_]
    labels: NDArray[np.int64]


def match(
    annotations: AnnotationSet, results: Sequence[Result], kind: Kind, *, keep_label_ids: bool = False
) -> Matches:
    """pycocotools' matches of labels and results, people of all sizes. Arguments as of `coco.box_metrics`."""
    evaluation = evaluated(annotations, results, kind, keep_label_ids=keep_label_ids)
    images = evaluation.evalImgs[: len(evaluation.params.imgIds)]  # the first range of areas is "all"
    known = [(number, entry) for number, entry in enumerate(images) if entry is not None]
    labels = np.zeros(len(images), np.int64)
    for number, entry in known:
        labels[number] = int((np.asarray(entry["gtIgnore"]) == 0).sum())
    if not known:
        nothing = np.zeros((len(THRESHOLDS), 0), bool)
        return Matches(np.zeros(0, np.int64), nothing, nothing, labels)
    most = evaluation.params.maxDets[-1]
    scores = np.concatenate([entry["dtScores"][:most] for _, entry in known])
    image = np.concatenate([np.full(len(entry["dtScores"][:most]), number) for number, entry in known])
    matched = np.concatenate([entry["dtMatches"][:, :most] for _, entry in known], axis=1) != 0
    ignored = np.concatenate([entry["dtIgnore"][:, :most] for _, entry in known], axis=1).astype(bool)
    order = np.argsort(-scores, kind="mergesort")  # stable, as pycocotools sorts
    right, wrong = (matched & ~ignored)[:, order], (~matched & ~ignored)[:, order]
    return Matches(image[order].astype(np.int64), right, wrong, labels)


def precisions(matches: Matches, weights: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
    """`(T, 101)` interpolated precision at `RECALLS`; NaN without labels.

    Args:
        matches: From `match`.
        weights: `(I,)` how often each image is in the sample; all once by default.
    """
    weights = np.ones(len(matches.labels)) if weights is None else weights
    total = float((weights * matches.labels).sum())
    if total == 0:
        return np.full((len(THRESHOLDS), len(RECALLS)), np.nan)
    each = weights[matches.image]
    right = np.cumsum(matches.is_right * each, axis=1)
    wrong = np.cumsum(matches.is_wrong * each, axis=1)
    precision = right / (wrong + right + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    at_recall = np.zeros((len(THRESHOLDS), len(RECALLS)))
    for row, recall in enumerate(right / total):
        places = np.searchsorted(recall, RECALLS, side="left")
        reached = places < recall.size
        at_recall[row, reached] = precision[row, places[reached]]
    return at_recall


def average_precisions(matches: Matches, weights: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
    """COCO's AP (mean over thresholds and recalls), AP50 and AP75 in 0-1; NaN without labels."""
    by_threshold = precisions(matches, weights).mean(axis=1)
    return np.array([by_threshold.mean(), by_threshold[0], by_threshold[5]])
