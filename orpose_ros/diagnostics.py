"""The node's state for /diagnostics, once a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from orpose_ros.camera_input import CameraInput
from orpose_ros.counts import BAD_IMAGE, FAILED, FrameCounts, Totals

#: Answers are rarely as old as that; a camera's clock a little ahead of ours is usual, ms.
_OLDEST_MS, _MOST_AHEAD_MS = 5000.0, 50.0


class CameraHealth:
    """Turns one camera's counts into a status."""

    def __init__(self, camera: str, counts: FrameCounts) -> None:
        self.ages_ms: deque[float] = deque(maxlen=100)  # of the answers since the last status
        self._camera = camera
        self._counts = counts
        self._previous = Totals()
        self._previous_lost = self._previous_odd = self._previous_pauses = 0
        self._previous_s = time.monotonic()

    def status(
        self,
        node_name: str,
        source: CameraInput,
        watchdog_s: float,
        facts: dict[str, str],
        other_problems: Sequence[str] = (),
        *,
        is_enabled: bool = True,
    ) -> DiagnosticStatus:
        """The camera's status since the previous call.

        Args:
            node_name: Full name of the node, to begin the status' name with.
            source: The camera's subscription.
            watchdog_s: Time without an image from which on to warn, s.
            facts: What does not change: model, backend, precision.
            other_problems: Of the camera's calibration and depth.
            is_enabled: Whether images are answered (`orpose/set_enabled`).
        """
        totals, now_s = self._counts.totals(), time.monotonic()
        lost = max(source.transport_lost, source.cadence.missing)  # two views of the same loss
        problems = [*self._problems(totals, lost - self._previous_lost, source, watchdog_s), *other_problems]
        odd = source.cadence.repeated + source.cadence.went_back
        if odd > self._previous_odd:
            problems.append(f"{odd - self._previous_odd} images with a stamp not newer than the one before")
        if source.cadence.pauses > self._previous_pauses:
            problems.append(
                f"stamps jumped ahead by {source.cadence.last_pause_s:.1f} s: the camera paused, or its clock was set"
            )
        if late := age_problem(list(self.ages_ms)):
            problems.append(late)
        values = {
            **facts,
            "rate (answers/s)": f"{(totals.answered - self._previous.answered) / (now_s - self._previous_s):.1f}",
            **age_values(list(self.ages_ms)),
            "received": str(totals.received),
            "answered": str(totals.answered),
            "answered: incomplete": str(totals.incomplete),
            "dropped": str(totals.dropped),
            **{f"dropped: {reason}": str(count) for reason, count in sorted(totals.dropped_by_reason.items())},
            "last problem": totals.last_problem or "-",
            "lost: counted by the middleware": str(source.transport_lost),
            "lost: stamps missing in the camera's rhythm": str(source.cadence.missing),
            "stamps: pauses": str(source.cadence.pauses),
            "stamps: repeated": str(source.cadence.repeated),
            "stamps: went back": str(source.cadence.went_back),
            "input": source.describe(),
        }
        self.ages_ms.clear()
        self._previous, self._previous_lost, self._previous_odd, self._previous_s = totals, lost, odd, now_s
        self._previous_pauses = source.cadence.pauses
        state = "OK" if source.has_begun else f"waiting for images on {source.topic}"
        if not is_enabled:
            state = "disabled: images are received and dropped"
        return DiagnosticStatus(
            level=DiagnosticStatus.WARN if problems else DiagnosticStatus.OK,
            name=f"{node_name}: {self._camera}",
            message="; ".join(problems if is_enabled else [state, *problems]) or state,
            hardware_id=self._camera,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )

    def _problems(self, totals: Totals, lost: int, source: CameraInput, watchdog_s: float) -> list[str]:
        problems = []
        if silence := source.silence(watchdog_s):
            problems.append(silence)
        if lost > 0:
            problems.append(
                f"{lost} images did not arrive; offer them reliably, or start the camera driver with config/fastdds.xml"
            )
        for reason in (BAD_IMAGE, FAILED):
            new = totals.dropped_by_reason.get(reason, 0) - self._previous.dropped_by_reason.get(reason, 0)
            if new > 0:
                problems.append(f"{new} frames dropped ({reason}): {totals.last_problem}")
        if (new := totals.incomplete - self._previous.incomplete) > 0:
            problems.append(
                f"{new} answers without all of statistics, markers, TF, overlay, room: {totals.last_problem}"
            )
        return problems


def age_values(ages_ms: Sequence[float]) -> dict[str, str]:
    """How old answers were when they were published, since the image's stamp: median, 99th percentile and maximum."""
    names = ("median", "p99", "max")
    found = [f"{age_ms:.1f}" for age_ms in np.percentile(ages_ms, (50, 99, 100))] if ages_ms else ["-"] * len(names)
    return {f"age (ms, {name})": text for name, text in zip(names, found, strict=True)}


def age_problem(ages_ms: Sequence[float]) -> str:
    """What the answers' median age says about clocks, "" if nothing."""
    median_ms = float(np.median(ages_ms)) if ages_ms else 0.0
    if median_ms > _OLDEST_MS:
        return (
            f"answers are {median_ms / 1e3:.1f} s old: synchronise the camera's clock with this computer's (chrony, "
            "PTP); a recording needs use_sim_time and /clock"
        )
    if median_ms < -_MOST_AHEAD_MS:
        return (
            f"stamps are {-median_ms / 1e3:.1f} s ahead of the node's clock: synchronise the clocks (chrony, PTP); "
            "use_sim_time needs somebody who publishes /clock"
        )
    return ""
