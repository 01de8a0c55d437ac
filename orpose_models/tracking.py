"""Identities over time: detections joined to tracks by boxes and joints, in two stages as in ByteTrack.

First the people that are surely there are joined to the tracks, then what was hardly seen to the tracks that are left:
somebody half behind a machine keeps the identity instead of losing it. Motion is of constant velocity on real stamps.
(Zhang et al., ByteTrack, ECCV 2022; the similarity here is a mean of box overlap and object keypoint similarity.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from orpose_models.assignment import cheapest_pairs
from orpose_models.motion import BoxMotion
from orpose_models.runtime.types import Person, TrackState
from orpose_models.settings import Settings
from orpose_models.skeleton import COCO17_SIGMAS
from orpose_models.units import NANOSECONDS_PER_SECOND

#: Least similarity for what was hardly seen, and for a track that was seen too briefly: stricter than `track_match`.
_HARDLY_SEEN_MATCH, _BRIEF_MATCH = 0.4, 0.3
#: Joints move between frames and detectors scatter: as many of COCO's standard deviations are one here.
_LOOSENED = 2.0
_FORBIDDEN = 1e3
#: A shorter time between frames is no gap, however soon who is unseen is forgotten, s.
_SHORTEST_GAP_S = 1.0


class TrackingConfig(Settings):
    """How people are followed. Whether they are is said by who uses it."""

    track_low_score: float = Field(
        default=0.2,
        ge=0.0,
        le=1.0,
        description="box score from which on a box, weaker than score_threshold, still continues the track of somebody "
        "known; score_threshold or more: never",
    )
    track_match: float = Field(
        default=0.2, ge=0.0, le=1.0, description="least similarity (boxes and joints) of a person with a track"
    )
    track_oks_weight: float = Field(
        default=0.5,
        ge=0.0,
        le=1.0,
        description="share of joints with score 1 (object keypoint similarity) in the similarity, less with lower "
        "scores; the rest is overlap of boxes",
    )
    track_confirm: int = Field(
        default=3, ge=1, le=100, description="frames somebody must be seen in before the track is confirmed"
    )
    track_confirm_score: float = Field(
        default=0.7,
        ge=0.0,
        le=1.0,
        description="box score that somebody must have reached once before the track is confirmed: furniture that "
        "is weakly taken for a person stays tentative",
    )
    track_memory_s: float = Field(
        default=2.0,
        ge=0.0,
        le=60.0,
        description="time, s, that somebody unseen is remembered; longer gaps (1 s at least) end all tracks",
    )
    report_lost: bool = Field(
        default=False, description="report remembered people where they are expected, as lost (track_state 3)"
    )


@dataclass(eq=False)
class _Track:
    """One identity.

    Attributes:
        person: As last seen, raw.
        seen_centre: Predicted box centre at that moment, px: joints move along with it.
        unseen_s: Time since then, s.
        seen: Frames it was seen in.
        best_score: Highest box score that it was seen with.
    """

    track_id: int
    person: Person
    motion: BoxMotion
    seen_centre: NDArray[np.float64]
    best_score: float
    unseen_s: float = 0.0
    seen: int = 1

    @property
    def keypoints_xy(self) -> NDArray[np.float64]:
        """`(17, 2)` joints where they are expected now, px."""
        return self.person.keypoints[:, :2] + (self.motion.centre - self.seen_centre)


class Tracker:
    """Gives the people of one camera's frames identities. Identities are never used again."""

    def __init__(self, config: TrackingConfig) -> None:
        self.config = config
        self._tracks: list[_Track] = []
        self._next_id = 1
        self._stamp_ns: int | None = None

    def update(
        self, candidates: Sequence[Person], stamp_ns: int, score_threshold: float
    ) -> tuple[list[Person], list[Person]]:
        """The candidates with identities, and the people who are remembered but not among them.

        Candidates from `score_threshold` on always get a track; weaker ones only where they continue one. A stamp
        farther than `track_memory_s`, and than 1 s, before or after the last one ends all tracks: another recording, or
        a clock that was set. One just before it is out of order: no time went by.

        Args:
            candidates: Of one frame.
            stamp_ns: The frame's, ns.
            score_threshold: Box score from which on a candidate is a person.

        Returns:
            As many as `candidates`, in their order, with `track_id` and `track_state` where they have a track; and
            those who are lost, where they are expected.
        """
        step_s = self._move_on(stamp_ns)
        sure = [i for i, person in enumerate(candidates) if person.score >= score_threshold]
        weak = [i for i, p in enumerate(candidates) if self.config.track_low_score <= p.score < score_threshold]
        settled = [track for track in self._tracks if self._is_settled(track)]
        brief = [track for track in self._tracks if not self._is_settled(track)]
        found: dict[int, _Track] = {}

        def join(tracks: list[_Track], indices: list[int], least: float) -> None:
            free = [i for i in indices if i not in found]
            seen = {id(track) for track in found.values()}
            left = [track for track in tracks if id(track) not in seen]
            for row, column in self._pairs(left, [candidates[i] for i in free], least):
                found[free[column]] = left[row]

        join(settled, sure, self.config.track_match)
        join([track for track in settled if track.unseen_s == 0.0], weak, _HARDLY_SEEN_MATCH)
        join(brief, sure, _BRIEF_MATCH)
        for index, track in found.items():
            self._see(track, candidates[index])
        found |= {index: self._start(candidates[index]) for index in sure if index not in found}
        self._forget(list(found.values()), step_s)
        lost = [track for track in self._tracks if track not in found.values() and self._is_confirmed(track)]
        return [self._named(p, found.get(i)) for i, p in enumerate(candidates)], [_where_expected(t) for t in lost]

    def _is_settled(self, track: _Track) -> bool:
        """Seen often enough to be followed through weak sights and gaps."""
        return track.seen >= self.config.track_confirm

    def _is_confirmed(self, track: _Track) -> bool:
        """Settled, and once seen surely enough to be a person."""
        return self._is_settled(track) and track.best_score >= self.config.track_confirm_score

    def _move_on(self, stamp_ns: int) -> float:
        """Predicts all tracks, or ends them after a gap; returns the time that went by, s."""
        step_s = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) / NANOSECONDS_PER_SECOND
        self._stamp_ns = stamp_ns
        if abs(step_s) > max(self.config.track_memory_s, _SHORTEST_GAP_S):
            self._tracks = []
        step_s = max(0.0, step_s)  # a stamp out of order: no time went by
        for track in self._tracks:
            track.motion.predict(step_s)
        return step_s

    def _named(self, person: Person, track: _Track | None) -> Person:
        if track is None:
            return person
        state = TrackState.CONFIRMED if self._is_confirmed(track) else TrackState.TENTATIVE
        return replace(person, track_id=track.track_id, track_state=state)

    def _pairs(self, tracks: Sequence[_Track], people: Sequence[Person], least: float) -> list[tuple[int, int]]:
        """Pairs (track, person) at least `least` alike, of the greatest total similarity."""
        if not tracks or not people:
            return []
        alike = similarities(tracks, people, self.config.track_oks_weight)
        pairs = cheapest_pairs(np.where(alike >= least, 1.0 - alike, _FORBIDDEN))
        return [(row, column) for row, column in pairs if alike[row, column] >= least]

    def _see(self, track: _Track, person: Person) -> None:
        track.motion.correct(person.bbox_xywh)
        track.person, track.seen_centre = person, track.motion.centre
        track.unseen_s, track.seen = 0.0, track.seen + 1
        track.best_score = max(track.best_score, person.score)

    def _start(self, person: Person) -> _Track:
        motion = BoxMotion(person.bbox_xywh)
        track = _Track(self._next_id, person, motion, motion.centre, best_score=person.score)
        self._next_id += 1
        self._tracks.append(track)
        return track

    def _forget(self, seen: Sequence[_Track], step_s: float) -> None:
        """Ends tracks that nobody saw: those seen briefly at once, settled ones after a while."""
        unseen = [track for track in self._tracks if track not in seen]
        for track in unseen:
            track.unseen_s += step_s
            track.motion.keep_size()
            if not self._is_settled(track) or track.unseen_s > self.config.track_memory_s:
                self._tracks.remove(track)


def similarities(tracks: Sequence[_Track], people: Sequence[Person], oks_weight: float) -> NDArray[np.float64]:
    """`(T, P)` in [0, 1]: mean of box overlap and joint similarity, between where tracks are expected and people are.

    Joints count as much as both sides are sure of them (geometric mean): unsure joints leave it to the boxes.
    """
    boxes = np.stack([track.motion.bbox_xywh for track in tracks])
    found = np.stack([person.bbox_xywh for person in people]).astype(np.float64)
    joints = np.stack([track.keypoints_xy for track in tracks])
    scores = np.stack([track.person.keypoints[:, 2] for track in tracks])
    found_joints = np.stack([person.keypoints for person in people]).astype(np.float64)
    weights = scores[:, None] * found_joints[None, :, :, 2]  # (T, P, 17)
    squared = np.square(joints[:, None] - found_joints[None, :, :, :2]).sum(-1)
    areas = np.maximum(boxes[:, 2:].prod(-1)[:, None], found[:, 2:].prod(-1)[None])
    scale = 2 * np.square(2 * _LOOSENED * COCO17_SIGMAS) * np.maximum(areas, 1.0)[..., None]
    total = weights.sum(-1)
    joint_similarity = (weights * np.exp(-squared / scale)).sum(-1) / np.maximum(total, 1e-9)
    share = oks_weight * np.sqrt(np.maximum(weights, 0.0)).mean(-1)
    return share * joint_similarity + (1 - share) * box_ious(boxes, found)


def box_ious(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """`(N, M)` intersection over union of boxes left, top, width, height `(N, 4)` and `(M, 4)`."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], others[None, :, :2] + others[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(-1)
    union = boxes[:, None, 2:].prod(-1) + others[None, :, 2:].prod(-1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)


def _where_expected(track: _Track) -> Person:
    keypoints = np.concatenate([track.keypoints_xy, track.person.keypoints[:, 2:]], axis=1)
    return replace(
        track.person,
        bbox_xywh=track.motion.bbox_xywh.astype(np.float32),
        keypoints=keypoints.astype(np.float32),
        track_id=track.track_id,
        track_state=TrackState.LOST,
    )
