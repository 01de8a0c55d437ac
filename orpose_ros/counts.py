"""What became of the frames: received = answered + dropped + waiting, and what never arrived."""

from __future__ import annotations

import statistics
import threading
from collections import Counter, deque
from dataclasses import dataclass, field

from orpose_models.units import NANOSECONDS_PER_SECOND

#: Why a frame that arrived got no answer.
NEWER_FRAME = "a newer frame came first"
DISABLED = "disabled"
RATE = "beyond max_fps"
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
        incomplete: Of the answered, those of which statistics, markers, TF frames, overlay or part in the room failed.
        last_problem: What was wrong with the last frame that could not be used, or not in full.
    """

    received: int = 0
    answered: int = 0
    dropped_by_reason: dict[str, int] = field(default_factory=dict)
    last_problem: str = ""
    incomplete: int = 0

    @property
    def dropped(self) -> int:
        return sum(self.dropped_by_reason.values())


class FrameCounts:
    """Counts from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._answered = self._incomplete = 0
        self._dropped: Counter[str] = Counter()
        self._last_problem = ""

    def count_received(self) -> None:
        with self._lock:
            self._received += 1

    def count_answered(self) -> None:
        with self._lock:
            self._answered += 1

    def count_incomplete(self, problem: str) -> None:
        """An answer that was counted before, and of which something failed afterwards."""
        with self._lock:
            self._incomplete += 1
            self._last_problem = problem

    def count_dropped(self, reason: str, problem: str = "") -> None:
        with self._lock:
            self._dropped[reason] += 1
            self._last_problem = problem or self._last_problem

    def totals(self) -> Totals:
        with self._lock:
            return Totals(self._received, self._answered, dict(self._dropped), self._last_problem, self._incomplete)


class StampCadence:
    """What the stamps of a camera tell. For cameras with a steady rate.

    A rate that falls for good, as in the dark, is a new rhythm and no loss: gaps count once a usual step follows.

    Attributes:
        missing: Stamps that never arrived, from the rhythm of those that did.
        pauses: Gaps too long to be lost images: the camera stood still, or its clock was set ahead.
        last_pause_s: The last one's length, s.
        repeated: Images with the stamp of the newest one before.
        went_back: Images older than one before: out of order, or the camera's clock was set back.
    """

    #: Differences to know before judging a gap, and gaps in a row that are a new rhythm.
    _NEEDED = 8
    #: Gaps whose longest is at most so many times their shortest are a rhythm.
    _STEADY = 1.3
    #: An image so many frames late is out of order; a longer way back is a clock set anew, or another recording.
    _LATEST_FRAMES = 10
    #: A gap longer than both is a pause.
    _PAUSE_FRAMES, _PAUSE_NS = 10, 10**9

    def __init__(self) -> None:
        self.missing = self.pauses = self.repeated = self.went_back = 0
        self.last_pause_s = 0.0
        self._newest_ns: int | None = None
        self._steps_ns: deque[int] = deque(maxlen=50)
        self._gaps_ns: list[int] = []  # in a row, not counted yet
        self._in_gaps = 0  # stamps missing in them

    def observe(self, stamp_ns: int) -> None:
        """Takes the stamp of the next image, ns."""
        step_ns = 0 if self._newest_ns is None else stamp_ns - self._newest_ns
        usual_ns = statistics.median(self._steps_ns) if len(self._steps_ns) >= self._NEEDED else None
        if step_ns < 0:
            self.went_back += 1
            self._count_gaps()
            if usual_ns is not None and -step_ns <= self._LATEST_FRAMES * usual_ns:
                self.missing = max(0, self.missing - 1)  # here it is
                return
            self._steps_ns.clear()
        elif step_ns > 0:
            self._take_step(step_ns, usual_ns)
        elif self._newest_ns is not None:
            self.repeated += 1
        self._newest_ns = stamp_ns

    def _take_step(self, step_ns: int, usual_ns: float | None) -> None:
        if usual_ns is not None and step_ns > max(self._PAUSE_NS, self._PAUSE_FRAMES * usual_ns):
            self._count_gaps()
            self.pauses += 1
            self.last_pause_s = step_ns / NANOSECONDS_PER_SECOND
            return
        self._steps_ns.append(step_ns)
        missing = 0 if usual_ns is None else round(step_ns / usual_ns) - 1
        if missing <= 0:
            self._count_gaps()
            return
        self._gaps_ns.append(step_ns)
        self._in_gaps += missing
        if len(self._gaps_ns) >= self._NEEDED:
            rhythm_ns = self._gaps_ns[1:]  # the first one leads over
            if max(rhythm_ns) <= self._STEADY * min(rhythm_ns):
                self._steps_ns = deque(self._gaps_ns, maxlen=self._steps_ns.maxlen)
                self._in_gaps = 0
            self._count_gaps()

    def _count_gaps(self) -> None:
        self.missing += self._in_gaps
        self._gaps_ns, self._in_gaps = [], 0
