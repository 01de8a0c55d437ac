"""From frames to people over time: identities, places in metres and smoothing, for the frames of one camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orpose_models.runtime.types import FrameResult, Person
from orpose_models.smoothing import OneEuro, SmoothingConfig, smooth
from orpose_models.tracking import Tracker, TrackingConfig

#: Height of an adult.
_ADULT_M, _ADULT_MM = 1.7, 1700.0


#: Columns of `_side_by_side`: the scores, how many values each is of, and the values.
_SCORES, _VALUES_OF_SCORE = (2, 6, 10), (2, 3, 3)
_VALUES = (0, 1, 3, 4, 5, 7, 8, 9)


class PeopleConfig(TrackingConfig, SmoothingConfig):
    """Tracking and smoothing."""


class People:
    """Follows the people of one camera from frame to frame.

    Args:
        config: Of tracking and smoothing.
        tracking: Whether to follow at all; without, people are only chosen and placed.

    Attributes:
        config: May be exchanged between frames.
    """

    def __init__(self, config: PeopleConfig, *, tracking: bool = True) -> None:
        self.config = config
        self._tracker = Tracker(config) if tracking else None
        self._filters: dict[int, OneEuro] = {}

    def update(
        self,
        result: FrameResult,
        stamp_ns: int,
        score_threshold: float,
        place: Callable[[Person], Person] | None = None,
    ) -> FrameResult:
        """The frame's people with identities, places and smoothed joints.

        `persons` are the candidates from `score_threshold` on and weaker ones who continue a track, best first; with
        `report_lost`, also those who are remembered. The other candidates, and all scores, stay as they are. Places are
        found with raw joints; `root` stays raw, as its covariance is that of this frame.

        Args:
            result: The frame, from the runtime; all its candidates are used.
            stamp_ns: The frame's, ns.
            score_threshold: Box score from which on a candidate is a person.
            place: Finds where a person is, as `metric3d.located`.
        """
        candidates, lost = list(result.candidates), list[Person]()
        if self._tracker is not None:
            self._tracker.config = self.config
            candidates, lost = self._tracker.update(candidates, stamp_ns, score_threshold)
            known = {person.track_id for person in (*candidates, *lost)}
            self._filters = {number: one for number, one in self._filters.items() if number in known}
        is_person = [person.track_id >= 0 or person.score >= score_threshold for person in candidates]
        if place is not None:
            candidates = [place(p) if chosen else p for p, chosen in zip(candidates, is_person, strict=True)]
        if self.config.smoothing:
            candidates = self._smoothed(candidates, stamp_ns)
        persons = [person for person, chosen in zip(candidates, is_person, strict=True) if chosen]
        if self.config.report_lost:
            candidates, persons = _best_first([*candidates, *lost]), _best_first([*persons, *lost])
        return replace(result, persons=tuple(persons), candidates=tuple(candidates))

    def _smoothed(self, candidates: Sequence[Person], stamp_ns: int) -> list[Person]:
        """Those with a track smoothed, together: numpy takes as long for all as for one."""
        followed = [person for person in candidates if person.track_id >= 0]
        if not followed:
            return list(candidates)
        filters = [self._filters.setdefault(person.track_id, OneEuro()) for person in followed]
        joints = np.stack([_side_by_side(person) for person in followed])
        scores = np.repeat(joints[:, :, _SCORES], _VALUES_OF_SCORE, axis=2)
        heights = [[max(float(p.bbox_xywh[3]), 1.0)] * 2 + [_ADULT_MM] * 3 + [_ADULT_M] * 3 for p in followed]
        smoothed = smooth(self.config, filters, joints[:, :, _VALUES], scores, np.array(heights), stamp_ns)
        new = {p.track_id: _with_joints(p, each) for p, each in zip(followed, smoothed, strict=True)}
        return [new.get(person.track_id, person) for person in candidates]


def _side_by_side(person: Person) -> NDArray[np.float64]:
    """`(17, 11)`: x, y, score in the image; x, y, z, score relative; the same in metres, NaN where unknown."""
    joints = np.full((17, 11), np.nan)
    joints[:, :3], joints[:, 3:7] = person.keypoints, person.keypoints_3d
    if person.keypoints_3d_metric is not None:
        joints[:, 7:] = person.keypoints_3d_metric
    return joints


def _with_joints(person: Person, values: NDArray[np.float64]) -> Person:
    metric = person.keypoints_3d_metric
    return replace(
        person,
        keypoints=_with_scores(values[:, :2], person.keypoints),
        keypoints_3d=_with_scores(values[:, 2:5], person.keypoints_3d),
        keypoints_3d_metric=None if metric is None else _with_scores(values[:, 5:], metric),
    )


def _with_scores(joints: NDArray[np.floating], raw: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.concatenate([joints, raw[:, -1:]], axis=1, dtype=np.float32)


def _best_first(persons: Sequence[Person]) -> list[Person]:
    return sorted(persons, key=lambda person: -person.score)
