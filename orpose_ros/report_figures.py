"""The plotly figures of a replay's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from orpose_models.annotations import PersonLabel
from orpose_models.draw import person_color
from orpose_models.evaluate.frame_quality import FrameQuality
from orpose_models.evaluate.matches import RECALLS, THRESHOLDS, match, precisions
from orpose_models.figures import BLUE, GREEN, GREY, ORANGE, RED, Moment, Skeleton3D, css_color
from orpose_models.placing import shown_joints_m
from orpose_models.runtime.types import Person
from orpose_models.units import MILLIMETRES_PER_METRE
from orpose_ros.accuracy import Labels, annotations_of
from orpose_ros.replayed import ReplayedFrame

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Times of the 3D view at most: each costs a few kilobytes of the page.
MOMENTS = 100
_TIME = "time in the recording, s"
#: Identities named on the axis at most: more would cover each other.
_TRACK_NAMES = 12


def latency_over_time(frames: Sequence[ReplayedFrame]) -> Figure:
    """Latency and network time of each frame; crosses where there was no answer."""
    import plotly.graph_objects as go

    times = [frame.time_s for frame in frames]
    figure = go.Figure()
    figure.add_scatter(x=times, y=[f.latency_ms for f in frames], name="image stamp to message", line_color=BLUE)
    network = [frame.stages_ms.get("infer") for frame in frames]
    figure.add_scatter(x=times, y=network, name="the network alone", line_color=GREY)
    for name, symbol, received in (("dropped", "x", True), ("lost", "cross", False)):
        gone = [frame.time_s for frame in frames if frame.latency_ms is None and frame.was_received is received]
        if gone:
            marker = {"color": RED, "symbol": symbol, "size": 8}
            figure.add_scatter(x=gone, y=[0.0] * len(gone), mode="markers", marker=marker, name=name)
    figure.update_layout(xaxis_title=_TIME, yaxis={"title": "ms", "rangemode": "tozero"}, hovermode="x unified")
    return figure


def latency_histogram(frames: Sequence[ReplayedFrame]) -> Figure:
    import plotly.graph_objects as go

    latencies = [frame.latency_ms for frame in frames if frame.latency_ms is not None]
    figure = go.Figure(go.Histogram(x=latencies, nbinsx=40, marker_color=BLUE, name="answers"))
    for name, share in (("median", 50), ("p95", 95), ("p99", 99)):
        if latencies:
            figure.add_vline(x=float(np.percentile(latencies, share)), line_dash="dot", annotation_text=name)
    figure.update_layout(xaxis_title="image stamp to message, ms", yaxis_title="answers", showlegend=False)
    return figure


def persons_over_time(frames: Sequence[ReplayedFrame], labels: Labels | None) -> Figure:
    """How many persons were found in each frame, and how many are labelled."""
    import plotly.graph_objects as go

    times = [frame.time_s for frame in frames]
    found = [None if frame.result is None else len(frame.result.persons) for frame in frames]
    figure = go.Figure()
    if labels is not None:
        people = [labels.people_of(frame.index) for frame in frames]
        counts = [None if own is None else sum(not label.is_crowd for label in own) for own in people]
        figure.add_scatter(x=times, y=counts, name="labelled", line={"color": GREY, "shape": "hv", "dash": "dot"})
    figure.add_scatter(x=times, y=found, name="found", line={"color": GREEN, "shape": "hv"})
    figure.update_layout(xaxis_title=_TIME, yaxis={"title": "persons", "rangemode": "tozero"}, hovermode="x unified")
    return figure


def mistakes_over_time(frames: Sequence[ReplayedFrame], qualities: Mapping[int, FrameQuality]) -> Figure:
    """People missed and persons invented in each labelled frame."""
    import plotly.graph_objects as go

    labelled = [frame for frame in frames if frame.index in qualities]
    times = [frame.time_s for frame in labelled]
    figure = go.Figure()
    for name, color in (("missed", RED), ("invented", ORANGE)):
        counts = [getattr(qualities[frame.index], name) for frame in labelled]
        figure.add_bar(x=times, y=counts, name=name, marker={"color": color, "line": {"width": 0}})
    figure.update_layout(xaxis_title=_TIME, yaxis_title="people", barmode="stack", bargap=0, hovermode="x unified")
    return figure


def precision_recall(frames: Sequence[ReplayedFrame], labels: Labels, entries: Sequence[dict[str, Any]]) -> Figure:
    """Over the labelled frames that were answered: boxes, and joints where they are labelled."""
    import plotly.graph_objects as go

    answered = annotations_of(labels, [frame for frame in frames if frame.result is not None])
    figure = go.Figure()
    kinds = [("bbox", "boxes, IoU", BLUE)]
    if any(label.num_keypoints and not label.is_crowd for label in answered.persons):
        kinds.append(("keypoints", "joints, OKS", GREEN))
    for kind, name, color in kinds:
        curves = precisions(match(answered, entries, kind))  # type: ignore[arg-type]
        for row, dash in ((0, "solid"), (5, "dash")):
            line = {"color": color, "dash": dash}
            figure.add_scatter(x=RECALLS, y=curves[row], name=f"{name} {THRESHOLDS[row]:.2f}", line=line)
    limits = {"range": [0, 1.02]}
    legend = {"x": 1, "xanchor": "right", "y": 1, "yanchor": "top", "font_size": 11, "bgcolor": "rgba(255,255,255,.7)"}
    figure.update_layout(xaxis={"title": "recall", **limits}, yaxis={"title": "precision", **limits}, legend=legend)
    return figure


def joints_figure(table: Mapping[str, Mapping[str, float]], column: str, title: str, color: str) -> Figure:
    """A bar for each joint of a table of `joints_of`."""
    import plotly.graph_objects as go

    names = [name.replace("_", " ") for name in table]
    values = [None if values[column] < 0 else values[column] for values in table.values()]
    figure = go.Figure(go.Bar(x=values, y=names, orientation="h", marker_color=color))
    figure.update_layout(xaxis_title=title, yaxis={"autorange": "reversed"}, showlegend=False, margin_l=120)
    return figure


def tracks_over_time(frames: Sequence[ReplayedFrame]) -> Figure | None:
    """When each identity was seen; None if the node gave none."""
    import plotly.graph_objects as go

    seen: dict[int, list[float]] = {}
    colors: dict[int, str] = {}
    for frame in frames:
        for person in frame.result.persons if frame.result else ():
            if person.track_id >= 0:
                seen.setdefault(person.track_id, []).append(frame.time_s)
                colors[person.track_id] = css_color(person_color(0, person))
    if not seen:
        return None
    figure = go.Figure()
    for row, (track, times) in enumerate(sorted(seen.items())):
        marker = {"symbol": "line-ns-open", "size": 9, "color": colors[track]}
        figure.add_scatter(x=times, y=[row] * len(times), mode="markers", marker=marker, name=f"#{track}")
    rows = list(range(len(seen)))[:: -(-len(seen) // _TRACK_NAMES)]
    names = [f"#{sorted(seen)[row]}" for row in rows]
    axis = {"title": "identity", "tickvals": rows, "ticktext": names, "autorange": "reversed"}
    figure.update_layout(xaxis_title=_TIME, yaxis=axis, showlegend=False)
    return figure


def moments(frames: Sequence[ReplayedFrame], labels: Labels | None) -> list[Moment]:
    """Answered frames for the 3D view, evenly over the replay."""
    answered = [frame for frame in frames if frame.result is not None]
    places = np.linspace(0, len(answered) - 1, min(MOMENTS, len(answered))).round().astype(int)
    return [_moment(answered[place], labels) for place in np.unique(places)]


def _moment(frame: ReplayedFrame, labels: Labels | None) -> Moment:
    assert frame.result is not None
    size = frame.result.image_size
    found = [
        Skeleton3D(_name(index, person), shown_joints_m(person, size), person_color(index, person))
        for index, person in enumerate(frame.result.persons)
    ]
    people = (labels.people_of(frame.index) if labels else None) or []
    wanted = [Skeleton3D("label", joints, None) for label in people if (joints := _label_joints_m(label)) is not None]
    return Moment(frame.time_s, [*found, *wanted])


def _name(index: int, person: Person) -> str:
    name = f"#{person.track_id}" if person.track_id >= 0 else f"person {index + 1}"
    return f"{name} ({person.score:.2f})"


def _label_joints_m(label: PersonLabel) -> np.ndarray | None:
    if label.is_crowd or label.keypoints_3d is None:
        return None
    known = label.keypoints_3d[:, 3:] > 0
    return np.where(known, label.keypoints_3d[:, :3] / MILLIMETRES_PER_METRE, np.nan)
