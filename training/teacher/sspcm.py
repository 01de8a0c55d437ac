"""SSPCM's position-inconsistency correction: of two models' joints, seen twice each, what both agree on (SSPCM 2023).

Two models T1 and T2 each give a current answer and another one, T1' and T2': their previous epoch's in interactive
training; when images are labelled offline the current one is test-time augmented and the other one plain. All four look
at the same boxes, so people need no matching, and a person's heatmap diagonal is the box's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from orpose_models.settings import Settings

#: Shorter box diagonals, px, are no scale to measure by.
_MIN_DIAGONAL_PX = 1.0


class Correction(Settings):
    """What becomes of a joint; distances are shares of the diagonal of the person's box."""

    pairs: Literal["all", "current"] = Field(
        "all", description="all: the closest of (T1,T2), (T1',T2), (T1,T2'), (T1',T2'); current: (T1,T2), no correction"
    )
    min_score: float = Field(0.1, ge=0, lt=1, description="a joint is used where T1's and T2's mean score is above")
    hard_below: float = Field(
        0.05,
        ge=0,
        le=1,
        description="pairs closer than this give hard labels of weight 1, where their mean lies; farther ones are soft,"
        " where the better score lies",
    )
    drop_from: float | None = Field(
        0.6, gt=0, description="joints at which T1 and T2 are so far apart or farther are dropped; none: kept"
    )
    weigh_by_distance: bool = Field(True, description="weigh soft joints by (diagonal - distance) / diagonal")
    weigh_by_score: bool = Field(True, description="weigh soft joints by 1 - |difference of the pair's scores|")

    @model_validator(mode="after")
    def _levels_rise(self) -> Correction:
        if self.drop_from is not None and self.drop_from <= self.hard_below:
            raise ValueError(f"drop_from: got {self.drop_from:g}, expected more than hard_below {self.hard_below:g}")
        return self


@dataclass(frozen=True, eq=False)
class Corrected:
    """N people's joints `(N, 17, 3)` (x, y px, score), their `weight (N, 17)` in [0, 1], and which are hard labels.

    `may_be_hard (N, 17)` bool: the models agree, so that the hard set's threshold decides.
    """

    joints: NDArray[np.float32]
    weight: NDArray[np.float32]
    may_be_hard: NDArray[np.bool_]


def correct(
    current: tuple[NDArray, NDArray], other: tuple[NDArray, NDArray], boxes: NDArray, config: Correction
) -> Corrected:
    """Each joint as its closest pair of answers has it, and how far it is to be trusted.

    The joint lies at the peak of the pair's mean heatmap (SSPCM 2023). The pair's heatmaps may differ in size and
    scale, so it is found from their peaks: of two near ones, which melt into one, their mean; of two that are
    `hard_below` or farther apart the one of the higher score, T1's where scores are equal. The default is twice the
    usual Gaussian's standard deviation, the distance up to which two equal ones have a single peak. The joint's score
    is the pair's mean.

    Which joints are used or dropped depends on T1 and T2 as they are now; level and weight on the pair that was taken,
    so that one model's outlier that its other answer corrects does not count against the joint.

    Args:
        current: T1 and T2, `(N, 17, 3)` each: x, y px, score in [0, 1].
        other: T1' and T2', likewise.
        boxes: `(N, 4)` xyxy px.
        config: Thresholds and weights.
    """
    (first, second), (first_other, second_other) = current, other
    pairs = [(first, second), (first_other, second), (first, second_other), (first_other, second_other)]
    if config.pairs == "current":
        pairs = pairs[:1]
    sides = boxes[:, 2:] - boxes[:, :2]
    diagonals = np.hypot(sides[:, 0], sides[:, 1]).clip(min=_MIN_DIAGONAL_PX)[:, None]
    shares = np.stack([_distances(*pair) / diagonals for pair in pairs])  # pairs, N, 17
    closest = shares.argmin(axis=0)[None]
    share = np.take_along_axis(shares, closest, axis=0)[0]
    stacked = np.stack([np.stack(pair) for pair in pairs])  # pairs, 2, N, 17, 3
    taken = np.take_along_axis(stacked, closest[:, None, ..., None], axis=0)[0]
    used = (first[..., 2] + second[..., 2]) / 2 > config.min_score
    if config.drop_from is not None:
        used &= shares[0] < config.drop_from
    agreed = share < config.hard_below
    weight = np.where(agreed, 1.0, _soft_weight(share, taken[..., 2], config)) * used
    joints = _mean_or_better(taken, agreed).astype(np.float32)
    return Corrected(joints, weight.astype(np.float32), agreed & used)


def uncorrected(joints: NDArray[np.float32], config: Correction) -> Corrected:
    """One model's joints `(N, 17, 3)` as they are, used where their score is above `min_score`."""
    used = joints[..., 2] > config.min_score
    return Corrected(joints, used.astype(np.float32), used)


def _distances(first: NDArray, second: NDArray) -> NDArray[np.float64]:
    return np.linalg.norm(first[..., :2].astype(np.float64) - second[..., :2], axis=-1)


def _mean_or_better(pair: NDArray, near: NDArray[np.bool_]) -> NDArray:
    """Joints `(N, 17, 3)` of a pair `(2, N, 17, 3)`: the point between where `near (N, 17)`, else the better one."""
    mean = pair.mean(axis=0)
    better = np.where((pair[1, ..., 2] > pair[0, ..., 2])[..., None], pair[1], pair[0])
    points = np.where(near[..., None], mean, better)[..., :2]
    return np.concatenate([points, mean[..., 2:]], axis=-1)


def _soft_weight(share: NDArray, scores: NDArray, config: Correction) -> NDArray[np.float64]:
    """`(N, 17)` from distances over the diagonal and the pair's scores `(2, N, 17)`."""
    weight = np.ones_like(share)
    if config.weigh_by_distance:
        weight = weight * (1 - share).clip(0, 1)
    if config.weigh_by_score:
        weight = weight * (1 - np.abs(scores[0] - scores[1])).clip(0, 1)  # heatmap peaks may be above 1
    return weight
