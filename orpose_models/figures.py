"""Plotly figures in a page that needs nothing else: the library inside it, and a 3D view one can turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.draw import Bgr
from orpose_models.skeleton import H36M17, Skeleton

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, GREY, GREEN, RED, ORANGE = "#2563eb", "#94a3b8", "#059669", "#b91c1c", "#d97706"
#: Labels in the 3D view.
_LABEL_COLOR = "#94a3b8"
_MOMENT_MS = 120
#: The camera's axes (x right, y down, z away) as x right, y away, z up.
_UPRIGHT = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
_FONT = {"family": "system-ui, sans-serif", "size": 12, "color": "#334155"}


@dataclass(frozen=True, eq=False)
class Skeleton3D:
    """One skeleton of the 3D view.

    Attributes:
        name: Shown where the mouse is.
        joints_m: `(17, 3)` Human3.6M-17 in the camera frame (x right, y down, z forward), m; NaN for no joint.
        color: Of a person; None for a label.
    """

    name: str
    joints_m: NDArray[np.floating]
    color: Bgr | None


@dataclass(frozen=True, eq=False)
class Moment:
    """What the 3D view shows at one time, s."""

    time_s: float
    skeletons: Sequence[Skeleton3D]


def plotly_script() -> str:
    """The library itself, once a page, before its first figure."""
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>"


def figure_html(figure: Figure, name: str, height_px: int = 300) -> str:
    """A figure as a <div> of this id."""
    margin = {"l": figure.layout.margin.l or 60, "r": 20, "t": 36, "b": 45}
    figure.update_layout(height=height_px, template="plotly_white", font=_FONT, margin=margin)
    if figure.layout.legend.x is None:
        figure.update_layout(legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"})
    config = {"displaylogo": False, "responsive": True, "displayModeBar": bool(figure.frames)}
    html = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config, auto_play=False)
    return f'<div class="figure">{html}</div>'


def css_color(color: Bgr) -> str:
    blue, green, red = color
    return f"rgb({red},{green},{blue})"


def scene_figure(moments: Sequence[Moment], room_from_camera: NDArray[np.floating] | None = None) -> Figure:
    """Skeletons and the camera: to be turned with the mouse, with a slider and a button for time.

    Args:
        moments: At least one.
        room_from_camera: `(4, 4)` into a frame with z up, m; None: the camera's axes, its own up is up.
    """
    import plotly.graph_objects as go

    pose = _UPRIGHT if room_from_camera is None else room_from_camera
    figure = go.Figure(
        data=_traces(moments[0], pose),
        frames=[go.Frame(data=_traces(moment, pose), name=f"{moment.time_s:.2f}") for moment in moments],
    )
    figure.add_trace(_camera_trace(pose))
    names = ("right, m", "away, m", "up, m") if room_from_camera is None else ("x, m", "y, m", "z, m")
    figure.update_layout(
        scene=_scene_layout(moments, pose, names),
        uirevision="kept",  # the view stays as it was turned while time goes on
        sliders=[_slider(moments)],
        updatemenus=[_buttons()],
    )
    return figure


def _traces(moment: Moment, pose: NDArray[np.floating]) -> list[Any]:
    """Limbs and joints of the persons, limbs of the labels."""
    import plotly.graph_objects as go

    persons = [item for item in moment.skeletons if item.color is not None]
    labels = [item for item in moment.skeletons if item.color is None]
    limbs = _polyline([item.joints_m for item in persons], H36M17, pose)
    colors = [css_color(item.color) for item in persons if item.color for _ in range(3 * len(H36M17.limbs))]
    points = _plotted(np.concatenate([item.joints_m for item in persons]), pose) if persons else ([], [], [])
    names = [f"{item.name}: {joint.replace('_', ' ')}" for item in persons for joint in H36M17.joint_names]
    joint_colors = [css_color(item.color) for item in persons if item.color for _ in H36M17.joint_names]
    wanted = _polyline([item.joints_m for item in labels], H36M17, pose)
    line, marker = {"width": 6, "color": colors or None}, {"size": 2.5, "color": joint_colors or None}
    return [
        go.Scatter3d(x=limbs[0], y=limbs[1], z=limbs[2], mode="lines", line=line, name="found", hoverinfo="skip"),
        go.Scatter3d(
            x=points[0], y=points[1], z=points[2], mode="markers", marker=marker, text=names, hoverinfo="text",
            showlegend=False,
        ),
        go.Scatter3d(
            x=wanted[0], y=wanted[1], z=wanted[2], mode="lines", line={"width": 4, "color": _LABEL_COLOR},
            name="labelled", hoverinfo="skip", showlegend=bool(labels),
        ),
    ]  # fmt: skip


def _polyline(
    skeletons: Sequence[NDArray[np.floating]], skeleton: Skeleton, pose: NDArray[np.floating]
) -> tuple[list, list, list]:
    """All limbs as one line that is interrupted between them."""
    gap = np.full((1, 3), np.nan)
    parts = [np.concatenate([joints[list(limb)], gap]) for joints in skeletons for limb in skeleton.limbs]
    return _plotted(np.concatenate(parts), pose) if parts else ([], [], [])


def _plotted(points_m: NDArray[np.floating], pose: NDArray[np.floating]) -> tuple[list, list, list]:
    """Points in the camera frame as the figure's x, y and z; to the millimetre, None for NaN."""
    axes = np.round(_moved(points_m, pose), 3).T
    x, y, z = ([None if np.isnan(value) else value for value in axis.tolist()] for axis in axes)
    return x, y, z


def _moved(points_m: NDArray[np.floating], pose: NDArray[np.floating]) -> NDArray[np.floating]:
    return points_m @ pose[:3, :3].T + pose[:3, 3]


def _camera_trace(pose: NDArray[np.floating]) -> Any:
    """A small pyramid where the camera is: its picture's corners, and lines from each to the lens."""
    import plotly.graph_objects as go

    corners = np.array([(-0.2, -0.15, 0.35), (0.2, -0.15, 0.35), (0.2, 0.15, 0.35), (-0.2, 0.15, 0.35)])
    path = np.insert(corners[[0, 1, 2, 3, 0, 1, 2, 3]], [1, 2, 3, 4], 0.0, axis=0)
    x, y, z = _plotted(path, pose)
    line = {"width": 3, "color": "#0f172a"}
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line=line, name="camera", hoverinfo="name")


def _scene_layout(moments: Sequence[Moment], pose: NDArray[np.floating], names: tuple[str, str, str]) -> dict[str, Any]:
    points = [item.joints_m for moment in moments for item in moment.skeletons]
    cloud = np.concatenate([np.zeros((1, 3)), *points])
    cloud = _moved(cloud[np.isfinite(cloud).all(axis=1)], pose)
    # A person far out of place must not make the others small.
    low, high = np.percentile(cloud, 1, axis=0), np.percentile(cloud, 99, axis=0)
    low, high = np.minimum(low, pose[:3, 3]) - 0.3, np.maximum(high, pose[:3, 3]) + 0.3
    axes = {
        f"{axis}axis": {"title": {"text": name}, "range": [float(low[i]), float(high[i])]}
        for i, (axis, name) in enumerate(zip("xyz", names, strict=True))
    }
    x, y, z = (1.5 * (high - low) / (high - low).max()).tolist()
    return {
        **axes,
        "aspectmode": "manual",
        "aspectratio": {"x": x, "y": y, "z": z},
        "camera": {"eye": {"x": 0.8, "y": -1.4, "z": 0.7}, "center": {"x": 0, "y": 0, "z": -0.1}},
    }


def _slider(moments: Sequence[Moment]) -> dict[str, Any]:
    steps = [
        {
            "method": "animate",
            "label": f"{moment.time_s:.1f}",
            "args": [[f"{moment.time_s:.2f}"], {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}],
        }
        for moment in moments
    ]
    return {"steps": steps, "currentvalue": {"prefix": "time, s: "}, "pad": {"t": 10}, "x": 0.12, "len": 0.88}


def _buttons() -> dict[str, Any]:
    play = {"frame": {"duration": _MOMENT_MS, "redraw": True}, "fromcurrent": True, "transition": {"duration": 0}}
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}}
    return {
        "type": "buttons",
        "direction": "left",
        "x": 0,
        "y": -0.02,
        "xanchor": "left",
        "yanchor": "top",
        "showactive": False,
        "buttons": [
            {"label": "▶", "method": "animate", "args": [None, play]},
            {"label": "❚❚", "method": "animate", "args": [[None], stop]},
        ],
    }
