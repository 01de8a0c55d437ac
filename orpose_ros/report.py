"""report.html of a replay: numbers, charts and stills in one file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_ros.charts import Line, line_chart
from orpose_ros.replayed import ReplayedFrame

_STILL_WIDTH_PX = 640
_BLUE, _GREY, _GREEN = "#2563eb", "#94a3b8", "#059669"

_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1e293b; background: #f8fafc; }
body { max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.note { color: #64748b; } .bad { color: #b91c1c; font-weight: 600; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; }
.tile { background: #fff; border: 1px solid #e2e8f0; border-radius: 8px; padding: .5rem .9rem; min-width: 7rem; }
.tile b { display: block; font-size: 1.5rem; } .tile.alarm b { color: #b91c1c; }
table { border-collapse: collapse; background: #fff; } th, td { border: 1px solid #e2e8f0; padding: .25rem .7rem; }
th { text-align: left; font-weight: 500; } td { text-align: right; } .facts td { text-align: left; }
svg { width: 100%; background: #fff; border: 1px solid #e2e8f0; border-radius: 8px; }
svg text { font-size: 11px; fill: #475569; } .grid { stroke: #e2e8f0; } .mark { stroke: #b91c1c; stroke-width: 2; }
.stills { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: .6rem; }
figure { margin: 0; } figure img { width: 100%; display: block; border-radius: 4px; }
figcaption { color: #64748b; font-size: .85rem; }
"""

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
            f'<div class="stills">{"".join(_still(caption, picture) for caption, picture in stills)}</div>',
            "<h2>How this was made</h2>",
            _facts_table(facts),
        ]
    )
    head = f'<meta charset="utf-8"><title>orpose replay</title><style>{_STYLE}</style>'
    path.write_text(f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n', "utf-8")


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


def _still(caption: str, picture: NDArray[np.uint8]) -> str:
    if picture.shape[1] > _STILL_WIDTH_PX:
        height = round(picture.shape[0] * _STILL_WIDTH_PX / picture.shape[1])
        picture = np.asarray(cv2.resize(picture, (_STILL_WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    source = f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
    return f'<figure><img alt="{escape(caption)}" src="{source}"><figcaption>{escape(caption)}</figcaption></figure>'


def _facts_table(facts: Mapping[str, str]) -> str:
    rows = [f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts.items()]
    return f'<table class="facts">{"".join(rows)}</table>'
