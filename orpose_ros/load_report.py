"""The numbers of a load test, and the same as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orpose_ros.account import Account
from orpose_ros.replayed import STAGES
from orpose_ros.summary import quantiles

#: What of a run is left out, while everything starts, and what then counts as its beginning and as its end.
_WARM_UP, _ENDS = 0.1, 0.2
_RATE = "frames/s a camera"
_FRAMES_HEAD = (_RATE, "sent", "lost", "answered", "dropped", "dropped %", "unaccounted", "answered/s")
_LATENCY_HEAD = (_RATE, "median ms", "p95", "p99", "max", "latency growth ms", "memory growth MiB", "")
_NODE_HEAD = (
    *(_RATE, "all", "decode", "preprocess", "post", "transport, waiting, messages", "the network"),
    "an image's way to an empty subscriber",
)
_PROCESS_HEAD = (_RATE, "process", "processor %", "memory first, last, most MiB")
#: A run grows when its end is above its beginning by more than this; what varies by itself is less.
MEMORY_GROWTH_MIB, LATENCY_GROWTH_MS = 5.0, 10.0
_MIB = 2**20


@dataclass(frozen=True)
class Answered:
    """One frame that was answered.

    Attributes:
        stamp_ns: Of the frame.
        latency_ms: From the stamp to the arrival of the answer at the recorder.
        age_ms: From the stamp to publication in the node.
        stages_ms: The node's stages: decode, preprocess, infer, post.
    """

    stamp_ns: int
    latency_ms: float
    age_ms: float
    stages_ms: Mapping[str, float]

    @property
    def node_ms(self) -> float:
        """Everything but the network."""
        return self.age_ms - self.stages_ms["infer"]

    @property
    def rest_ms(self) -> float:
        """Transport from the camera, waiting and messages."""
        return self.age_ms - sum(self.stages_ms.values())


@dataclass(frozen=True)
class Sample:
    """One process at one moment.

    Attributes:
        at_s: Since the cameras began.
        memory: Resident, bytes.
        processor_s: Processor time used so far.
    """

    at_s: float
    memory: int
    processor_s: float


def level_summary(
    rate: float,
    duration_s: float,
    accounts: Mapping[str, Account],
    answered: Sequence[Answered],
    samples: Mapping[str, Sequence[Sample]],
    ways_ms: Sequence[float] = (),
) -> dict[str, Any]:
    """What one level of load gave, ready for JSON.

    Args:
        rate: Frames a second that each camera was to send.
        duration_s: How long, s.
        accounts: Camera -> what became of its frames.
        answered: The answered frames of all cameras, in any order.
        samples: Process -> its samples, in order.
        ways_ms: From stamps to arrival at a subscriber that does nothing with the image, ms.
    """
    ordered = sorted(answered, key=lambda frame: frame.stamp_ns)
    growth_ms = _growth([frame.latency_ms for frame in ordered])
    warm = {name: of_process[_warm_up(len(of_process)) :] for name, of_process in samples.items()}
    growth_mib = _growth([sample.memory / _MIB for sample in samples["node"]])
    totals = {key: sum(getattr(account, key) for account in accounts.values()) for key in _COUNTS}
    return {
        "rate": rate,
        "duration_s": duration_s,
        "frames": totals,
        "cameras": {camera: asdict(account) for camera, account in accounts.items()},
        "sent_per_second": round(totals["sent"] / duration_s, 2),
        "answered_per_second": round(totals["answered"] / duration_s, 2),
        "latency_ms": quantiles(frame.latency_ms for frame in ordered),
        "node_ms": quantiles(frame.node_ms for frame in ordered),
        "stages_ms": {stage: quantiles(frame.stages_ms[stage] for frame in ordered) for stage in STAGES},
        "rest_ms": quantiles(frame.rest_ms for frame in ordered),
        "way_ms": quantiles(ways_ms),
        "latency_growth_ms": growth_ms,
        "node_memory_growth_mib": growth_mib,
        "grows": (growth_mib or 0) > MEMORY_GROWTH_MIB or (growth_ms or 0) > LATENCY_GROWTH_MS,
        "processes": {name: _process_summary(of_process) for name, of_process in warm.items()},
    }


_COUNTS = ("sent", "lost", "received", "answered", "dropped", "unaccounted")


def _warm_up(count: int) -> int:
    return round(count * _WARM_UP)


def _growth(values: Sequence[float]) -> float | None:
    """Median of the last fifth less that of the first fifth after warming up; None of too few."""
    values = values[_warm_up(len(values)) :]
    count = round(len(values) * _ENDS)
    return round(statistics.median(values[-count:]) - statistics.median(values[:count]), 3) if count else None


def _process_summary(samples: Sequence[Sample]) -> dict[str, float] | None:
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    return {
        "memory_first_mib": round(first.memory / _MIB, 1),
        "memory_last_mib": round(last.memory / _MIB, 1),
        "memory_most_mib": round(max(sample.memory for sample in samples) / _MIB, 1),
        "processor_percent": round(100 * (last.processor_s - first.processor_s) / (last.at_s - first.at_s), 1),
    }


def markdown(facts: Mapping[str, str], levels: Sequence[Mapping[str, Any]]) -> str:
    """The report: load against drops, latency, growth, and the processes at each level."""
    parts = [
        "# Load test",
        "\n".join(f"- {name}: {text}" for name, text in facts.items()),
        "## Load against drops",
        _table(_FRAMES_HEAD, [_frames_row(level) for level in levels]),
        "Dropped: a newer frame of the same camera came before this one's turn.",
        "## Latency and growth",
        "Latency: image stamp to message at the recorder.",
        _table(_LATENCY_HEAD, [_latency_row(level) for level in levels]),
        "Growth: median of the last fifth less that of the first one, after a tenth for warming up.",
        "## The node's own cost, median ms",
        "All: image stamp to publication, less the network. Post: boxes, identities, smoothing, places.",
        _table(_NODE_HEAD, [_node_row(level) for level in levels]),
        "## Processes",
        _table(_PROCESS_HEAD, [row for level in levels for row in _process_rows(level)]),
    ]
    return "\n\n".join(parts) + "\n"


def _frames_row(level: Mapping[str, Any]) -> list[str]:
    frames = level["frames"]
    percent = 100 * frames["dropped"] / frames["received"] if frames["received"] else 0.0
    counts = [str(frames[key]) for key in ("sent", "lost", "answered", "dropped")]
    per_second = f"{level['answered_per_second']:.1f}"
    return [f"{level['rate']:g}", *counts, f"{percent:.1f}", str(frames["unaccounted"]), per_second]


def _latency_row(level: Mapping[str, Any]) -> list[str]:
    latency = level["latency_ms"]
    times = [f"{latency[key]:.1f}" for key in ("median", "p95", "p99", "max")] if latency else ["-"] * 4
    growth = [_shown(level[key]) for key in ("latency_growth_ms", "node_memory_growth_mib")]
    verdict = "grows" if level["grows"] else "steady"
    return [f"{level['rate']:g}", *times, *growth, verdict]


def _node_row(level: Mapping[str, Any]) -> list[str]:
    stages = level["stages_ms"]
    times = [level["node_ms"], *(stages[name] for name in ("decode", "preprocess", "post")), level["rest_ms"]]
    times += [stages["infer"], level["way_ms"]]
    return [f"{level['rate']:g}", *(f"{t['median']:.2f}" if t else "-" for t in times)]


def _process_rows(level: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, process in level["processes"].items():
        if process is not None:
            memory = ", ".join(f"{process[f'memory_{moment}_mib']:.0f}" for moment in ("first", "last", "most"))
            rows.append([f"{level['rate']:g}", name, f"{process['processor_percent']:.0f}", memory])
    return rows


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
