"""report.html of a replay: numbers, charts and stills in one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.charts import Line, line_chart
from orpose_models.html_page import facts_table, figure, page
from orpose_ros.replayed import ReplayedFrame

_BLUE, _GREY, _GREEN = "#2563eb", "#94a3b8", "#059669"

_TILES = {
    "sent": "frames sent",
    "received": "received",
    "lost": "lost on the way",
    "answered": "answered",
    "dropped": "dropped",
    "unaccounted": "unaccounted for",
}


def write_report(
    path: Path,
    frames: Sequence[ReplayedFrame],
    summary: Mapping[str, Any],
    stills: Sequence[tuple[str, NDArray[np.uint8]]],
    facts: Mapping[str, str],
) -> None:
    """Writes the report.

    Args:
        path: The HTML file.
        frames: Of the replay, in order.
        summary: Of `summarise`.
        stills: Captions and pictures.
        facts: What was played (at least `bag`), with which model, on which machine.
    """
    body = "\n".join(
        [
            f"<h1>orpose replay: {escape(Path(facts['bag']).name)}</h1>",
            '<p class="note">Not a medical device and not for safety-rated separation of people and robots.</p>',
            _tiles(summary),
            "<h2>Latency</h2>",
            _latency_chart(frames),
            _latency_table(summary),
            "<h2>Persons</h2>",
            _persons_chart(frames),
            "<h2>Stills</h2>",
            f'<div class="stills">{"".join(figure(caption, picture) for caption, picture in stills)}</div>',
            "<h2>How this was made</h2>",
            facts_table(facts),
        ]
    )
    path.write_text(page("orpose replay", body), "utf-8")


def _tiles(summary: Mapping[str, Any]) -> str:
    counts = summary["frames"]
    tiles = [
        f'<div class="tile{" alarm" if key in ("lost", "unaccounted") and counts[key] else ""}">'
        f"<b>{counts[key]}</b>{escape(name)}</div>"
        for key, name in _TILES.items()
    ]
    persons = summary["persons"]
    tiles.append(f'<div class="tile"><b>{persons["total"]}</b>persons in {persons["frames_with_persons"]} frames</div>')
    contradictions = "".join(f'<p class="bad">{escape(text)}</p>' for text in counts["contradictions"])
    rule = "sent = received + lost on the way; received = answered + dropped"
    return f'<div class="tiles">{"".join(tiles)}</div><p class="note">{rule}</p>{contradictions}'


def _latency_chart(frames: Sequence[ReplayedFrame]) -> str:
    lines = [
        Line("image stamp to message", _BLUE, [(frame.time_s, frame.latency_ms) for frame in frames]),
        Line("the network alone", _GREY, [(frame.time_s, frame.stages_ms.get("infer")) for frame in frames]),
    ]
    marks = [
        (frame.time_s, "dropped" if frame.was_received else "lost") for frame in frames if frame.latency_ms is None
    ]
    return line_chart(lines, "time, s", "latency, ms", marks)


def _persons_chart(frames: Sequence[ReplayedFrame]) -> str:
    points = [(frame.time_s, None if frame.result is None else float(len(frame.result.persons))) for frame in frames]
    return line_chart([Line("persons found", _GREEN, points, as_steps=True)], "time, s", "persons", y_is_count=True)


def _latency_table(summary: Mapping[str, Any]) -> str:
    rows = {
        "image stamp to message at the recorder": summary["latency_ms"],
        **{f"stage: {stage}": times for stage, times in summary["stages_ms"].items()},
        "transport, waiting and messages, up to publication": summary["node_added_ms"],
    }
    columns = ("median", "p95", "p99", "max")
    head = "".join(f"<th>{column}</th>" for column in columns)
    lines = [
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{times[column]:.1f}</td>' for column in columns)}</tr>"
        for name, times in rows.items()
        if times is not None
    ]
    return f"<table><tr><th>ms</th>{head}</tr>{''.join(lines)}</table>"
