"""From frames to people over time: identities, places in metres and smoothing, for the frames of one camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from orpose_models.runtime.types import FrameResult, Person
from orpose_models.smoothing import OneEuro, SmoothingConfig
from orpose_models.tracking import Tracker, TrackingConfig

#: Height of an adult, mm.
_ADULT_MM = 1700.0


class PeopleConfig(TrackingConfig, SmoothingConfig):
    """Tracking and smoothing."""


class People:
    """Follows the people of one camera from frame to frame."""

    def __init__(self, config: PeopleConfig) -> None:
        self._config = config
        self._tracker = Tracker(config)
        self._filters: dict[int, OneEuro] = {}

    def update(self, result: FrameResult, stamp_ns: int, score_threshold: float) -> FrameResult:
        """The frame's people with identities and smoothed joints.

        `persons` are the candidates from `score_threshold` on and weaker ones who continue a track, best first; with
        `report_lost`, also those who are remembered. Candidates without a track, and all scores, stay as they are.

        Args:
            result: The frame, from the runtime; all its candidates are used.
            stamp_ns: The frame's, ns.
            score_threshold: Box score from which on a candidate is a person.
        """
        candidates, lost = self._tracker.update(result.candidates, stamp_ns, score_threshold)
        known = {person.track_id for person in (*candidates, *lost)}
        self._filters = {number: one for number, one in self._filters.items() if number in known}
        if self._config.smoothing:
            candidates = [self._smoothed(p, stamp_ns) if p.track_id >= 0 else p for p in candidates]
        if self._config.report_lost:
            candidates = _best_first([*candidates, *lost])
        persons = tuple(person for person in candidates if person.track_id >= 0)
        return replace(result, persons=persons, candidates=tuple(candidates))

    def _smoothed(self, person: Person, stamp_ns: int) -> Person:
        one = self._filters.setdefault(person.track_id, OneEuro(self._config))
        height_px = max(float(person.bbox_xywh[3]), 1.0)
        smooth = one.smooth(
            np.concatenate([person.keypoints[:, :2], person.keypoints_3d[:, :3]], axis=1),
            np.concatenate([person.keypoints[:, [2, 2]], person.keypoints_3d[:, [3, 3, 3]]], axis=1),
            np.array([height_px] * 2 + [_ADULT_MM] * 3),
            stamp_ns,
        )
        return replace(
            person,
            keypoints=np.column_stack([smooth[:, :2], person.keypoints[:, 2]]).astype(np.float32),
            keypoints_3d=np.column_stack([smooth[:, 2:5], person.keypoints_3d[:, 3]]).astype(np.float32),
        )


def _best_first(persons: Sequence[Person]) -> list[Person]:
    return sorted(persons, key=lambda person: -person.score)
