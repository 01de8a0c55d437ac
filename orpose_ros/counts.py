"""What became of the frames: received = answered + dropped + waiting, and what never arrived."""

from __future__ import annotations

import statistics
import threading
from collections import Counter, deque
from dataclasses import dataclass, field

#: Why a frame that arrived got no answer.
NEWER_FRAME = "a newer frame came first"
DISABLED = "disabled"
DEACTIVATED = "deactivated"
BAD_IMAGE = "bad image"
FAILED = "processing failed"


@dataclass(frozen=True)
class Totals:
    """Frames since activation.

    Attributes:
        received: Frames whose message arrived.
        answered: Of those, frames with a published PersonArray.
        dropped_by_reason: Of those, frames without one, and why.
        last_problem: What was wrong with the last frame that could not be used.
    """

    received: int = 0
    answered: int = 0
    dropped_by_reason: dict[str, int] = field(default_factory=dict)
    last_problem: str = ""

    @property
    def dropped(self) -> int:
        return sum(self.dropped_by_reason.values())


class FrameCounts:
    """Counts from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._answered = 0
        self._dropped: Counter[str] = Counter()
        self._last_problem = ""

    def count_received(self) -> None:
        with self._lock:
            self._received += 1

    def count_answered(self) -> None:
        with self._lock:
            self._answered += 1

    def count_dropped(self, reason: str, problem: str = "") -> None:
        with self._lock:
            self._dropped[reason] += 1
            self._last_problem = problem or self._last_problem

    def totals(self) -> Totals:
        with self._lock:
            return Totals(self._received, self._answered, dict(self._dropped), self._last_problem)


class StampCadence:
    """What the stamps of a camera tell. For cameras with a steady rate.

    Attributes:
        missing: Stamps that never arrived, from the rhythm of those that did.
        repeated: Images with the stamp of the newest one before.
        went_back: Images older than one before: out of order, or the camera's clock was set back.
    """

    #: Differences to know before judging a gap.
    _NEEDED = 8
    #: An image so many frames late is out of order; a longer way back is a clock set anew, or another recording.
    _LATEST_FRAMES = 10

    def __init__(self) -> None:
        self.missing = self.repeated = self.went_back = 0
        self._newest_ns: int | None = None
        self._steps_ns: deque[int] = deque(maxlen=50)

    def observe(self, stamp_ns: int) -> None:
        """Takes the stamp of the next image, ns."""
        step_ns = 0 if self._newest_ns is None else stamp_ns - self._newest_ns
        usual_ns = statistics.median(self._steps_ns) if len(self._steps_ns) >= self._NEEDED else None
        if step_ns < 0:
            self.went_back += 1
            if usual_ns is not None and -step_ns <= self._LATEST_FRAMES * usual_ns:
                self.missing = max(0, self.missing - 1)  # here it is
                return
            self._steps_ns.clear()
        elif step_ns > 0:
            if usual_ns is not None:
                self.missing += max(0, round(step_ns / usual_ns) - 1)
            self._steps_ns.append(step_ns)
        elif self._newest_ns is not None:
            self.repeated += 1
        self._newest_ns = stamp_ns
