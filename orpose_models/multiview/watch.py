"""Whether the cameras' calibration and clocks still hold, watched while people are seen.

Rays of two cameras to one joint should meet. A camera that was turned or pushed makes them miss each other in one
direction, whereas the network's errors scatter: so the small rotation of a camera that lets its rays meet the others'
best says how far it was moved, and the scatter says how sure that is.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.multiview.associate import associate
from orpose_models.multiview.sights import Sight

#: Sights of a moved camera miss those of others: people are matched for watching up to this cost.
_WATCH_GATE = 18.0
#: Distance between rays at which a joint has lost half of its say, m; farther than the second it is somebody else's.
_HALF_M, _LARGEST_M = 0.3, 1.5
#: Rays nearer to parallel than this (sine of the angle) say nothing.
_PARALLEL = 0.05
#: People matched between two cameras that are remembered, and that are needed for a verdict.
_MEMORY, _NEEDED = 300, 30
#: Rays of which half still miss each other by more than this after the rotation say nothing: the network's joints are
#: too coarse, or people were matched wrongly, m.
_MISS_M = 0.08
#: A rotation must be this many times its standard deviation.
_SIGNIFICANT = 5.0
#: The widest plausible rotation; keeps directions that nothing speaks about at zero, rad.
_PRIOR_RAD = np.radians(10.0)


@dataclass(frozen=True)
class Movement:
    """A camera seems to have moved: its name (or two, where only these two see people together) and by how much."""

    cameras: tuple[str, ...]
    angle_deg: float

    def __str__(self) -> str:
        return f"{' or '.join(self.cameras)} seems to have moved, as if turned by {self.angle_deg:.1f} degrees"


@dataclass(frozen=True, eq=False)
class _Pair:
    """One person seen by two cameras: how the rays' distances change with a rotation of the first camera.

    Attributes:
        slopes: `(J, 3)` m/rad.
        distances: `(J,)` signed, m.
        weights: `(J,)`.
    """

    slopes: NDArray[np.float64]
    distances: NDArray[np.float64]
    weights: NDArray[np.float64]


class DriftWatch:
    """Remembers people seen by several cameras.

    Args:
        warn_deg: Rotation from which on a camera counts as moved, degrees.
    """

    def __init__(self, warn_deg: float) -> None:
        self._warn_deg = warn_deg
        self._pairs: dict[tuple[str, str], deque[_Pair]] = {}

    def add(self, sights: Mapping[str, Sequence[Sight]]) -> None:
        """Takes the sights of one moment."""
        for group in associate([sight for own in sights.values() for sight in own], _WATCH_GATE):
            for first in group:
                for second in group:
                    if first is not second and (pair := _pair_of(first, second)) is not None:
                        key = (first.camera, second.camera)
                        self._pairs.setdefault(key, deque(maxlen=_MEMORY)).append(pair)

    def misses_m(self) -> dict[tuple[str, str], float]:
        """Two cameras -> median distance between their rays to the same joints, m."""
        return {
            (first, second): float(np.median(np.abs(np.concatenate([pair.distances for pair in pairs]))))
            for (first, second), pairs in self._pairs.items()
            if first < second and pairs
        }

    def movement(self) -> Movement | None:
        """The camera that was moved most probably; None as long as there is no good reason to think so."""
        found = {}
        for camera in {first for first, _ in self._pairs}:
            partners = [name for first, name in self._pairs if first == camera]
            pairs = [pair for name in partners for pair in self._pairs[camera, name]]
            if len(pairs) >= _NEEDED:
                rotation, certainty, miss_m = _rotation(pairs)
                if miss_m > _MISS_M:
                    continue
                found[camera] = (certainty, float(np.degrees(np.linalg.norm(rotation))), partners)
        if not found:
            return None
        camera = max(found, key=lambda name: found[name][0])
        certainty, angle_deg, partners = found[camera]
        if certainty < _SIGNIFICANT or angle_deg < self._warn_deg:
            return None
        return Movement((camera,) if len(partners) > 1 else tuple(sorted((camera, partners[0]))), angle_deg)


def _pair_of(first: Sight, second: Sight) -> _Pair | None:
    base = second.centre - first.centre
    normals = np.cross(first.directions, second.directions)
    sines = np.linalg.norm(normals, axis=1)
    weights = first.weights * second.weights
    with np.errstate(invalid="ignore"):
        distances = normals @ base / np.maximum(sines, 1e-9)
        usable = (weights > 0) & (sines > _PARALLEL) & (np.abs(distances) < _LARGEST_M)
    if usable.sum() < 3:
        return None
    slopes = np.cross(first.directions, np.cross(second.directions, base)) / np.maximum(sines, 1e-9)[:, None]
    return _Pair(slopes[usable], distances[usable], weights[usable])


def _rotation(pairs: Sequence[_Pair]) -> tuple[NDArray[np.float64], float, float]:
    """The rotation vector `(3,)` rad of the first camera that lets rays meet.

    Also how many standard deviations it is from none, and by how much half of the rays still miss each other, m.

    A person's joints err together, so people, not joints, count as independent.
    """
    slopes = np.concatenate([pair.slopes for pair in pairs])
    distances = np.concatenate([pair.distances for pair in pairs])
    weights = np.concatenate([pair.weights / pair.weights.sum() for pair in pairs])  # one in all a person
    rotation = np.zeros(3)
    for _ in range(5):
        left = distances + slopes @ rotation
        trust = weights / (1 + (left / _HALF_M) ** 2)
        variance = max(float((trust * left**2).sum() / trust.sum()), 1e-6)
        matrix = np.einsum("k,kx,ky->xy", trust, slopes, slopes) / variance + np.eye(3) / _PRIOR_RAD**2
        rotation = -np.linalg.solve(matrix, (trust * distances) @ slopes / variance)
    miss_m = float(np.median(np.abs(distances + slopes @ rotation)))
    return rotation, float(np.sqrt(rotation @ matrix @ rotation)), miss_m


class ClockWatch:
    """Compares stamps with times of arrival: the way of an image takes a little, a wrong clock much or less than none.

    Args:
        warn_s: Difference between two cameras from which on their clocks disagree, s.
    """

    def __init__(self, warn_s: float) -> None:
        self._warn_s = warn_s
        self._ahead_s: dict[str, deque[float]] = {}

    def add(self, camera: str, stamp_ns: int, arrived_s: float) -> None:
        """Takes the stamp of an image and when it arrived, on any clock that is the same for all cameras."""
        self._ahead_s.setdefault(camera, deque(maxlen=50)).append(stamp_ns / 1e9 - arrived_s)

    def ahead_s(self) -> dict[str, float]:
        """Camera -> how far its stamps are ahead of the camera that is farthest behind, s."""
        medians = {name: statistics.median(list(values)) for name, values in self._ahead_s.items()}
        least = min(medians.values(), default=0.0)
        return {name: value - least for name, value in medians.items()}

    def disagreement(self) -> str:
        """One line if clocks disagree, else ""."""
        ahead = self.ahead_s()
        if not ahead or max(ahead.values()) <= self._warn_s:
            return ""
        first, last = max(ahead, key=lambda name: ahead[name]), min(ahead, key=lambda name: ahead[name])
        return (
            f"clocks disagree: stamps of {first} are {ahead[first]:.2f} s ahead of those of {last} on arrival; "
            "synchronise the cameras' computers (chrony, PTP)"
        )
