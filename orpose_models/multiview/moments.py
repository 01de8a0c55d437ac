"""What several cameras delivered, grouped into moments by their stamps: approximate-time sets, no ROS needed.

A moment has something of every camera that is delivering, within a tolerance. What finds no partners is dropped and
counted: half a moment would show people twice, or somewhere else than the whole one. A camera that has delivered
nothing for a while, and less than the others, is not waited for.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

ItemT = TypeVar("ItemT")
#: Items that may wait in one camera; more means that clocks disagree, and the oldest are dropped.
_LONGEST_QUEUE = 8
#: Another camera delivers up to so many items between two of one that is alive, however slow their reader is.
_ITEMS_BETWEEN = 2


class Stamped(NamedTuple, Generic[ItemT]):
    """An item and its stamp, ns."""

    stamp_ns: int
    item: ItemT


class Moments(Generic[ItemT]):
    """Groups items of cameras by stamp.

    Args:
        cameras: Their names.
        tolerance_ns: Largest difference of stamps in a moment.
        patience_s: A camera that has delivered nothing for so long is not waited for, once another one has delivered
            three items meanwhile: a slow network delivers seldom, but in turn.

    Attributes:
        complete: Moments so far.
        dropped: Camera -> items that found no partners.
    """

    def __init__(self, cameras: Iterable[str], tolerance_ns: int, patience_s: float) -> None:
        self._queues: dict[str, deque[Stamped[ItemT]]] = {name: deque() for name in cameras}
        self._newest_ns: dict[str, int] = {}
        self._arrived_s: dict[str, float] = {}
        #: Camera -> what each other one has delivered since its own last item.
        self._since: dict[str, Counter[str]] = {name: Counter() for name in self._queues}
        self._tolerance_ns, self._patience_s = tolerance_ns, patience_s
        self.complete = 0
        self.dropped = dict.fromkeys(self._queues, 0)

    def add(self, camera: str, stamp_ns: int, item: ItemT, now_s: float) -> list[dict[str, Stamped[ItemT]]]:
        """Takes a camera's next item and returns the moments that are complete now, oldest first.

        Args:
            camera: Its name.
            stamp_ns: When it was seen. One that comes twice or a little late is dropped; one from further back than
                the patience starts a new recording, and what waits is dropped.
            item: What was seen.
            now_s: When it arrived, on a clock that only goes forward.
        """
        behind_ns = self._newest_ns.get(camera, stamp_ns - 1) - stamp_ns
        if behind_ns > self._patience_s * 1e9:
            self._start_anew()
        elif behind_ns >= 0:
            self.dropped[camera] += 1
            return []
        if not self._arrived_s:
            self._arrived_s = dict.fromkeys(self._queues, now_s)  # at the beginning, all may be about to deliver
        self._newest_ns[camera], self._arrived_s[camera] = stamp_ns, now_s
        self._since[camera].clear()
        for name in self._queues.keys() - {camera}:
            self._since[name][camera] += 1
        self._queues[camera].append(Stamped(stamp_ns, item))
        if len(self._queues[camera]) > _LONGEST_QUEUE:
            self._drop_oldest(camera)
        closed = []
        while any(self._queues.values()):
            live = [name for name in self._arrived_s if self._is_live(name, now_s)]
            first = min((name for name, queue in self._queues.items() if queue), key=self._head_ns)
            last_ns = self._head_ns(first) + self._tolerance_ns
            lacking = [name for name in live if not self._queues[name] or self._head_ns(name) > last_ns]
            if any(self._newest_ns.get(name, last_ns) <= last_ns for name in lacking):
                break  # theirs may still come
            if lacking:
                self._drop_oldest(first)
            else:
                closed.append(self._take(last_ns))
        return closed

    def _is_live(self, camera: str, now_s: float) -> bool:
        others = max(self._since[camera].values(), default=0)
        return now_s - self._arrived_s[camera] <= self._patience_s or others <= _ITEMS_BETWEEN

    def _take(self, last_ns: int) -> dict[str, Stamped[ItemT]]:
        """Of each camera what is nearest to the last one's first, and nothing older stays."""
        reference_ns = max(self._head_ns(name) for name, q in self._queues.items() if q and q[0].stamp_ns <= last_ns)
        moment = {}
        for name, queue in self._queues.items():
            near = [entry for entry in queue if entry.stamp_ns <= last_ns]
            if not near:
                continue
            moment[name] = min(near, key=lambda entry: abs(entry.stamp_ns - reference_ns))
            while queue and queue[0].stamp_ns <= moment[name].stamp_ns:
                self.dropped[name] += queue.popleft().stamp_ns < moment[name].stamp_ns
        self.complete += 1
        return moment

    def _head_ns(self, camera: str) -> int:
        return self._queues[camera][0].stamp_ns

    def _drop_oldest(self, camera: str) -> None:
        self._queues[camera].popleft()
        self.dropped[camera] += 1

    def _start_anew(self) -> None:
        for name, queue in self._queues.items():
            self.dropped[name] += len(queue)
            queue.clear()
            self._since[name].clear()
        self._newest_ns.clear()
        self._arrived_s.clear()
