"""report.html of a replay: numbers, plots, pictures and a 3D view in one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from orpose_models.annotations import Camera
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.frame_quality import FrameQuality
from orpose_models.evaluate.protocols import PROTOCOLS, joints_of
from orpose_models.figures import BLUE, GREEN, figure_html, plotly_script, scene_figure
from orpose_models.html_page import facts_table, figure, page
from orpose_ros import report_figures as figures
from orpose_ros.accuracy import REPLAY_PROTOCOLS, Labels, annotations_of
from orpose_ros.pictures import Pictures, Still
from orpose_ros.replayed import ReplayedFrame
from orpose_ros.report_metrics import accuracy_table

_COUNTS = {
    "sent": "frames sent",
    "received": "received",
    "lost": "lost on the way",
    "answered": "answered",
    "dropped": "dropped",
    "unaccounted": "unaccounted for",
}
#: Protocol -> what its main metric is called here, and how it is written.
_MAIN = {
    "coco-bbox": ("box AP", "{:.3f}"),
    "coco-keypoints": ("keypoint AP", "{:.3f}"),
    "mpjpe": ("MPJPE, mm", "{:.0f}"),
    "identity": ("HOTA", "{:.3f}"),
    "places": ("joints in metres, mm", "{:.0f}"),
}
_SCENE_PX = 620
_WARNING = "Not a medical device and not for safety-rated separation of people and robots."


@dataclass(frozen=True, eq=False)
class Replayed:
    """What a report tells of.

    Attributes:
        frames: In the order sent.
        summary: Of `summarise`, with "accuracy" where there are labels.
        pictures: Drawn stills and worst frames.
        facts: What was played (at least `bag`), with which model, on which machine.
        entries: Of `result_entries`.
        labels: Of the frames; None if there are none.
        qualities: Index in the bag -> how good the answer is, where it is labelled.
        camera: The calibration; None if there is none.
    """

    frames: Sequence[ReplayedFrame]
    summary: Mapping[str, Any]
    pictures: Pictures
    facts: Mapping[str, str]
    entries: Sequence[dict[str, Any]]
    labels: Labels | None
    qualities: Mapping[int, FrameQuality]
    camera: Camera | None


def write_report(path: Path, replayed: Replayed) -> None:
    """Writes the HTML file."""
    sections = [
        f"<h1>orpose replay: {escape(Path(replayed.facts['bag']).name)}</h1>",
        f'<p class="note">{_WARNING}</p>',
        _tiles(replayed.summary),
        *_accuracy(replayed),
        "<h2>In 3D</h2>",
        *_scene(replayed),
        *_worst(replayed),
        "<h2>Latency</h2>",
        figure_html(figures.latency_over_time(replayed.frames), "latency"),
        figure_html(figures.latency_histogram(replayed.frames), "latencies"),
        _latency_table(replayed.summary),
        "<h2>Persons</h2>",
        figure_html(figures.persons_over_time(replayed.frames, replayed.labels), "persons"),
        *_tracks(replayed),
        "<h2>Stills</h2>",
        _stills(replayed.pictures.stills),
        "<h2>How this was made</h2>",
        facts_table(replayed.facts),
    ]
    path.write_text(page("orpose replay", "\n".join([plotly_script(), *sections])), "utf-8")


def _tiles(summary: Mapping[str, Any]) -> str:
    counts, persons, latency = summary["frames"], summary["persons"], summary["latency_ms"]
    headline = [_tile(*_MAIN[name], value) for name, value in _main_metrics(summary).items()]
    if latency:
        headline += [_tile("median latency, ms", "{:.0f}", latency["median"])]
        headline += [_tile("p99 latency, ms", "{:.0f}", latency["p99"])]
    headline.append(
        f'<div class="tile"><b>{persons["total"]}</b>persons in {persons["frames_with_persons"]} frames</div>'
    )
    frames = [
        f'<div class="tile{" alarm" if key in ("lost", "unaccounted") and counts[key] else ""}">'
        f"<b>{counts[key]}</b>{escape(name)}</div>"
        for key, name in _COUNTS.items()
    ]
    contradictions = "".join(f'<p class="bad">{escape(text)}</p>' for text in counts["contradictions"])
    rule = "sent = received + lost on the way; received = answered + dropped"
    return (
        f'<div class="tiles headline">{"".join(headline)}</div><div class="tiles">{"".join(frames)}</div>'
        f'<p class="note">{rule}</p>{contradictions}'
    )


def _tile(name: str, form: str, value: float) -> str:
    return f'<div class="tile"><b>{form.format(value)}</b>{escape(name)}</div>'


def _main_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """Protocol -> its main metric over the answered frames, where it was measured."""
    answered = summary.get("accuracy", {}).get("answered", {})
    values = {name: answered.get(name, {}).get(PROTOCOLS[name].main, -1) for name in REPLAY_PROTOCOLS}
    return {name: value for name, value in values.items() if value >= 0}


def _accuracy(replayed: Replayed) -> list[str]:
    if replayed.labels is None:
        return []
    accuracy, labels = replayed.summary["accuracy"], replayed.labels
    answered = annotations_of(labels, [frame for frame in replayed.frames if frame.result is not None])
    parts = ["<h2>Accuracy</h2>", _accuracy_note(accuracy), accuracy_table(accuracy)]
    if answered.images:
        parts.append('<div class="pair">')
        figure_pr = figures.precision_recall(replayed.frames, labels, replayed.entries)
        parts.append(figure_html(figure_pr, "precision_recall", 380))
        for protocol, column, title, color in (
            ("coco-keypoints", "pck", "PCK@0.2, %", GREEN),
            ("mpjpe", "mpjpe_mm", "3D error, mm", BLUE),
        ):
            try:
                table = joints_of(protocol, answered, replayed.entries)
            except AnnotationError:  # the table says that it was not measured, and why
                continue
            parts.append(figure_html(figures.joints_figure(table, column, title, color), protocol, 380))
        parts.append("</div>")
    parts.append(figure_html(figures.mistakes_over_time(replayed.frames, replayed.qualities), "mistakes", 240))
    return parts


def _accuracy_note(accuracy: Mapping[str, Any]) -> str:
    answered, sent = accuracy["answered"]["images"], accuracy["sent"]["images"]
    text = (
        f"Everybody whom the node published (score_threshold {accuracy['score_threshold']:g}) beside the labels of "
        f"{sent} frames, {answered} of which were answered. Weaker candidates, which orpose run keeps, would add a "
        "little AP."
    )
    return f'<p class="note">{escape(text)}</p>'


def _scene(replayed: Replayed) -> list[str]:
    shown = figures.moments(replayed.frames, replayed.labels)
    if not shown:
        return ['<p class="note">No frame was answered.</p>']
    pose = None if replayed.camera is None else replayed.camera.room_from_camera
    place = "camera's" if pose is None else "room's"
    depth = "" if replayed.camera else " Without a calibration, distances are guessed from how large people appear."
    note = f"Turn it with the mouse, zoom with the wheel, play it with ▶. In the {place} frame.{depth}"
    return [f'<p class="note">{note}</p>', figure_html(scene_figure(shown, pose), "scene", _SCENE_PX)]


def _worst(replayed: Replayed) -> list[str]:
    worst = replayed.pictures.worst
    if not worst:
        return []
    title = "Worst frames" if replayed.labels else "Slowest answers"
    note = '<p class="note">White: the labels.</p>' if replayed.labels else ""
    return [f"<h2>{title}</h2>", note, _stills(worst, name="worst")]


def _tracks(replayed: Replayed) -> list[str]:
    tracks = figures.tracks_over_time(replayed.frames)
    return [] if tracks is None else [figure_html(tracks, "tracks")]


def _stills(stills: Sequence[Still], name: str = "stills") -> str:
    return f'<div class="stills" id="{name}">{"".join(figure(still.caption, still.picture) for still in stills)}</div>'


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
