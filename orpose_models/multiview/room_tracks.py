"""Identities of fused people over time: the nearest continuation in the room, with constant velocity.

In the room, in metres, people are apart and do not cover each other, so this is simpler than tracking in an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orpose_models.multiview.fuse import FusedPerson
from orpose_models.skeleton import H36M17
from orpose_models.units import NANOSECONDS_PER_SECOND

#: Nobody is this far from where they are expected, and faster than anybody walks in an operating room: m, m/s.
_REACH_M, _SPEED_M_PER_S = 0.5, 1.5
#: Share of a new measurement in place and velocity.
_GAIN, _VELOCITY_GAIN = 0.7, 0.3
#: Somebody not seen for so long is gone, s; somebody seen this often is no accident.
_MEMORY_S, _CONFIRMED_AFTER = 2.0, 3
_TORSO = [H36M17.index(name) for name in ("pelvis", "thorax", "neck")]


@dataclass(frozen=True, eq=False)
class RoomTrack:
    """Somebody who was seen: place of the torso `(3,)` m and velocity `(3,)` m/s at a stamp, and how often."""

    track_id: int
    place: NDArray[np.float64]
    velocity: NDArray[np.float64]
    stamp_ns: int
    times_seen: int = 1

    @property
    def confirmed(self) -> bool:
        return self.times_seen >= _CONFIRMED_AFTER


class RoomTracker:
    """Gives fused people their ids; `tracks` are those of the last moment and of the recent past."""

    def __init__(self) -> None:
        self.tracks: list[RoomTrack] = []
        self._next_id = 1

    def update(self, persons: Sequence[FusedPerson], stamp_ns: int) -> list[FusedPerson]:
        """The same people with their track ids. A stamp that goes back starts anew, with new ids."""
        if any(track.stamp_ns >= stamp_ns for track in self.tracks):
            self.tracks = []
        self.tracks = [t for t in self.tracks if stamp_ns - t.stamp_ns <= _MEMORY_S * NANOSECONDS_PER_SECOND]
        places = np.array([person.joints[_TORSO, :3].mean(axis=0) for person in persons]).reshape(-1, 3)
        continued = self._match(places, stamp_ns)
        tracks = [
            self._continue(continued[i], place, stamp_ns) if i in continued else self._begin(place, stamp_ns)
            for i, place in enumerate(places)
        ]
        ids = {track.track_id for track in tracks}
        self.tracks = tracks + [track for track in self.tracks if track.track_id not in ids]
        return [replace(person, track_id=t.track_id) for person, t in zip(persons, tracks, strict=True)]

    def state(self, track_id: int) -> RoomTrack:
        """The track of that id."""
        return next(track for track in self.tracks if track.track_id == track_id)

    def _match(self, places: NDArray[np.float64], stamp_ns: int) -> dict[int, RoomTrack]:
        """Person -> track, the nearest pairs first."""
        pairs = []
        for track in self.tracks:
            gap_s = (stamp_ns - track.stamp_ns) / NANOSECONDS_PER_SECOND
            expected = track.place + track.velocity * gap_s
            for index, place in enumerate(places):
                distance = float(np.linalg.norm(place - expected))
                if distance <= _REACH_M + _SPEED_M_PER_S * gap_s:
                    pairs.append((not track.confirmed, distance, index, track))
        matched: dict[int, RoomTrack] = {}
        taken: set[int] = set()
        for _, _, index, track in sorted(pairs, key=lambda pair: pair[:3]):  # confirmed tracks choose first
            if index not in matched and track.track_id not in taken:
                matched[index] = track
                taken.add(track.track_id)
        return matched

    def _begin(self, place: NDArray[np.float64], stamp_ns: int) -> RoomTrack:
        self._next_id += 1
        return RoomTrack(self._next_id - 1, place, np.zeros(3), stamp_ns)

    def _continue(self, track: RoomTrack, place: NDArray[np.float64], stamp_ns: int) -> RoomTrack:
        gap_s = (stamp_ns - track.stamp_ns) / NANOSECONDS_PER_SECOND
        expected = track.place + track.velocity * gap_s
        velocity = track.velocity + _VELOCITY_GAIN * (place - expected) / gap_s
        speed = float(np.linalg.norm(velocity))
        velocity = velocity * min(1.0, _SPEED_M_PER_S / max(speed, 1e-9))
        return RoomTrack(
            track.track_id, expected + _GAIN * (place - expected), velocity, stamp_ns, track.times_seen + 1
        )
