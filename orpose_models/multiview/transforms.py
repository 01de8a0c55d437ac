"""Frames and the transforms between them over time, as far as fusing cameras needs TF. Numpy only.

A matrix `parent_from_child` turns points of the child's frame into the parent's; metres.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: Transforms that move are kept this long, and hold this long before the first and after the last one, ns.
_MEMORY_NS, _HOLDS_NS = 10 * 10**9, 2 * 10**8
#: A frame that moves and of which nothing has come for so long is forgotten, s.
_MEMORY_S = _MEMORY_NS / 1e9


class UnknownTransformError(Exception):
    """Why one frame's place in another is not known."""


@dataclass
class _Edge:
    """A frame's place in its parent; `stamps` grow, and are empty for one that never moves. `told_s`: when it came."""

    parent: str
    told_s: float
    poses: deque[NDArray[np.float64]] = field(default_factory=deque)
    stamps: deque[int] = field(default_factory=deque)


class TransformTree:
    """What /tf and /tf_static said."""

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}
        self._tidied_s = time.monotonic()

    def add(self, parent: str, child: str, parent_from_child: NDArray[np.float64], stamp_ns: int | None) -> None:
        """Takes a transform; without a stamp it holds for ever. A stamp that goes back forgets what came after it."""
        now_s = time.monotonic()
        self._forget_silent(now_s)
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or stamp_ns is None or not edge.stamps or stamp_ns < edge.stamps[-1]:
            edge = self._edges[child] = _Edge(parent, now_s)
        edge.told_s = now_s
        edge.poses.append(parent_from_child)
        if stamp_ns is None:
            return
        edge.stamps.append(stamp_ns)
        while edge.stamps[0] < stamp_ns - _MEMORY_NS:
            edge.stamps.popleft()
            edge.poses.popleft()

    def _forget_silent(self, now_s: float) -> None:
        """Frames of joints and the like come and go under ever new names. Time of arrival: stamps jump and differ."""
        if now_s - self._tidied_s < _MEMORY_S:
            return
        self._tidied_s = now_s
        self._edges = {
            child: edge for child, edge in self._edges.items() if not edge.stamps or now_s - edge.told_s <= _MEMORY_S
        }

    def lookup(self, target: str, source: str, stamp_ns: int) -> NDArray[np.float64]:
        """`target_from_source` `(4, 4)` at a stamp; between two known places a blend of them.

        Raises:
            UnknownTransformError: The frames are not connected, or not known at that time.
        """
        ancestors = self._to_ancestors(target, stamp_ns)
        for frame, frame_from_source in self._to_ancestors(source, stamp_ns).items():
            if frame in ancestors:
                return np.linalg.inv(ancestors[frame]) @ frame_from_source
        raise UnknownTransformError(f"TF does not connect '{source}' with '{target}'")

    def _to_ancestors(self, frame: str, stamp_ns: int) -> dict[str, NDArray[np.float64]]:
        """The frame and what it hangs from: ancestor -> ancestor_from_frame."""
        found = {frame: np.eye(4)}
        child = frame
        while child in self._edges and self._edges[child].parent not in found:
            edge = self._edges[child]
            found[edge.parent] = _at(edge, child, stamp_ns) @ found[child]
            child = edge.parent
        return found


def _at(edge: _Edge, child: str, stamp_ns: int) -> NDArray[np.float64]:
    if not edge.stamps:
        return edge.poses[-1]
    after = bisect_left(edge.stamps, stamp_ns)
    for place, gap_ns in ((0, edge.stamps[0] - stamp_ns), (-1, stamp_ns - edge.stamps[-1])):
        if gap_ns > _HOLDS_NS:
            raise UnknownTransformError(
                f"TF does not know where '{child}' was: its nearest stamp is {gap_ns / 1e9:.1f} s off"
            )
        if gap_ns >= 0:
            return edge.poses[place]
    share = (stamp_ns - edge.stamps[after - 1]) / (edge.stamps[after] - edge.stamps[after - 1])
    return _blend(edge.poses[after - 1], edge.poses[after], share)


def _blend(first: NDArray[np.float64], second: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """A pose between two that are near each other: the rotation nearest to the mean of the matrices."""
    blended = (1 - share) * first + share * second
    left, _, right = np.linalg.svd(blended[:3, :3])
    blended[:3, :3] = left @ right
    return blended


def pose_matrix(translation: Sequence[float], quaternion_xyzw: Sequence[float]) -> NDArray[np.float64]:
    """`(4, 4)` of a translation (m) and a quaternion, which is made unit.

    Raises:
        ValueError: The quaternion is zero or not finite.
    """
    norm = float(np.linalg.norm(quaternion_xyzw))
    if not (norm > 1e-6 and np.isfinite(norm) and np.isfinite(translation).all()):
        raise ValueError(f"no rotation: quaternion {tuple(quaternion_xyzw)}, translation {tuple(translation)}")
    x, y, z, w = np.asarray(quaternion_xyzw, float) / norm
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = translation
    return pose
