"""From frames to people over time: identities, places in metres and smoothing, for the frames of one camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orpose_models.runtime.types import FrameResult, Person
from orpose_models.smoothing import OneEuro, SmoothingConfig
from orpose_models.tracking import Tracker, TrackingConfig

#: Height of an adult.
_ADULT_M, _ADULT_MM = 1.7, 1700.0


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
            candidates = [self._smoothed(p, stamp_ns) if p.track_id >= 0 else p for p in candidates]
        persons = [person for person, chosen in zip(candidates, is_person, strict=True) if chosen]
        if self.config.report_lost:
            candidates, persons = _best_first([*candidates, *lost]), _best_first([*persons, *lost])
        return replace(result, persons=tuple(persons), candidates=tuple(candidates))

    def _smoothed(self, person: Person, stamp_ns: int) -> Person:
        one = self._filters.setdefault(person.track_id, OneEuro(self.config))
        one.config = self.config
        metric = np.full((17, 4), np.nan) if person.keypoints_3d_metric is None else person.keypoints_3d_metric
        groups = (person.keypoints, person.keypoints_3d, metric)
        smooth = one.smooth(
            np.concatenate([joints[:, :-1] for joints in groups], axis=1),
            np.concatenate([np.repeat(joints[:, -1:], joints.shape[1] - 1, axis=1) for joints in groups], axis=1),
            np.array([max(float(person.bbox_xywh[3]), 1.0)] * 2 + [_ADULT_MM] * 3 + [_ADULT_M] * 3),
            stamp_ns,
        )
        return replace(
            person,
            keypoints=_with_scores(smooth[:, :2], person.keypoints),
            keypoints_3d=_with_scores(smooth[:, 2:5], person.keypoints_3d),
            keypoints_3d_metric=None if person.keypoints_3d_metric is None else _with_scores(smooth[:, 5:], metric),
        )


def _with_scores(joints: NDArray[np.floating], raw: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.column_stack([joints, raw[:, -1]]).astype(np.float32)


def _best_first(persons: Sequence[Person]) -> list[Person]:
    return sorted(persons, key=lambda person: -person.score)
