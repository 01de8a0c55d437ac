"""The numbers of a replay: table, and stats.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from orpose_models.evaluate.protocols import PROTOCOLS
from orpose_models.units import NANOSECONDS_PER_SECOND
from orpose_ros.account import Account
from orpose_ros.replayed import STAGES, ReplayedFrame


def summarise(frames: Sequence[ReplayedFrame], account: Account) -> dict[str, Any]:
    """Frames, persons and times (ms: median, p95, p99, max) of a replay, ready for JSON."""
    answered = [frame for frame in frames if frame.result is not None]
    counts = [len(frame.result.persons) for frame in answered if frame.result is not None]
    return {
        "frames": asdict(account),
        "persons": {"total": sum(counts), "frames_with_persons": sum(count > 0 for count in counts)},
        "latency_ms": quantiles(frame.latency_ms for frame in frames),
        "node_added_ms": quantiles(frame.node_added_ms for frame in frames),
        "stages_ms": {stage: quantiles(frame.stages_ms.get(stage) for frame in frames) for stage in STAGES},
        "answers_per_second": len(answered) / _duration_s(frames) if len(frames) > 1 else None,
    }


def _duration_s(frames: Sequence[ReplayedFrame]) -> float:
    """How long it took to send the frames."""
    return (frames[-1].stamp_ns - frames[0].stamp_ns) / NANOSECONDS_PER_SECOND


def quantiles(values: Iterable[float | None]) -> dict[str, float] | None:
    """Median, p95, p99 and maximum of those that are there; None if none is."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    median, p95, p99 = np.percentile(present, (50, 95, 99))
    rounded = {"median": median, "p95": p95, "p99": p99, "max": max(present)}
    return {name: round(float(value), 3) for name, value in rounded.items()}


def table(summary: dict[str, Any]) -> str:
    """What `orpose replay` ends with."""
    frames, persons = summary["frames"], summary["persons"]
    rows = [
        ("frames sent", frames["sent"]),
        ("  lost on the way", frames["lost"]),
        ("  received", frames["received"]),
        ("    answered", frames["answered"]),
        ("    dropped (a newer frame came first, or bad)", frames["dropped"]),
        ("unaccounted for", frames["unaccounted"]),
        ("persons", f"{persons['total']} in {persons['frames_with_persons']} frames"),
        ("latency, image stamp to message, ms", _median_and_p95(summary["latency_ms"])),
        ("  of it the network, ms", _median_and_p95(summary["stages_ms"]["infer"])),
        ("  of it transport, waiting and messages, ms", _median_and_p95(summary["node_added_ms"])),
    ]
    rows += _accuracy_rows(summary.get("accuracy"))
    lines = [f"{name:<48}{value}" for name, value in rows]
    return "\n".join([*lines, *(f"contradiction: {text}" for text in frames["contradictions"])])


def _accuracy_rows(accuracy: dict[str, Any] | None) -> list[tuple[str, Any]]:
    """The main metric of each protocol, over answered frames and, where these are fewer, over all frames sent."""
    if accuracy is None:
        return []
    answered, sent = accuracy["answered"], accuracy["sent"]
    rows: list[tuple[str, Any]] = [("labelled frames that were answered", f"{answered['images']} of {sent['images']}")]
    for name, protocol in PROTOCOLS.items():
        metrics = answered.get(name)
        if metrics is None:
            continue
        if protocol.main not in metrics:
            rows.append((f"  {name}", f"not measured: {metrics['not_measured']}"))
            continue
        if metrics[protocol.main] == -1:  # no joints in metres, say
            continue
        text = f"{metrics[protocol.main]:.4g}"
        if sent["images"] != answered["images"]:
            text += f" (over all frames sent {sent[name].get(protocol.main, -1):.4g})"
        rows.append((f"  {name}: {protocol.main}", text))
    return rows


def _median_and_p95(times: dict[str, float] | None) -> str:
    return f"median {times['median']:.1f}, p95 {times['p95']:.1f}" if times else "-"
