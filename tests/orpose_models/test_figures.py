"""The 3D view's geometry; that it can be seen and turned is tested in a browser (tests/orpose/test_replay.py)."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.figures import Moment, Skeleton3D, figure_html, scene_figure
from orpose_models.skeleton import H36M17

pytest.importorskip("plotly")


def skeleton(color: tuple[int, int, int] | None) -> Skeleton3D:
    joints = np.column_stack([np.arange(17), 10 + np.arange(17), 100 + np.arange(17)]).astype(float)
    return Skeleton3D("somebody", joints, color)


@pytest.mark.parametrize(
    ("pose", "expected"),
    [(None, (3, 103, -13)), (np.array([[0, 0, 1, 5], [1, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1.0]]), (108, 9, 20))],
    ids=["camera", "room"],
)
def test_where_a_joint_is_drawn(pose, expected):
    """Joint 3 is at (3, 13, 103) m in the camera frame."""
    joints = scene_figure([Moment(0.0, [skeleton((1, 2, 3))])], pose).data[1]
    assert (joints.x[3], joints.y[3], joints.z[3]) == expected
    assert joints.text[3] == "somebody: right ankle"
    assert joints.marker.color[3] == "rgb(3,2,1)", "colours are BGR with us"


def test_limbs_of_persons_and_labels_and_nobody():
    both, nobody = Moment(0.0, [skeleton((1, 2, 3)), skeleton(None)]), Moment(1.0, [])
    figure = scene_figure([both, nobody])
    assert [frame.name for frame in figure.frames] == ["0.00", "1.00"]
    limbs, joints, labels = figure.frames[0].data
    assert len(limbs.x) == len(labels.x) == 3 * len(H36M17.limbs)
    assert limbs.x[2] is None, "a gap between limbs"
    assert len(joints.x) == 17
    assert [len(trace.x) for trace in figure.frames[1].data] == [0, 0, 0]


def test_unknown_joints_are_gaps():
    some = skeleton(None)
    some.joints_m[3] = np.nan
    (_, _, labels) = scene_figure([Moment(0.0, [some])]).data[:3]
    assert sum(value is None for value in labels.x) > len(H36M17.limbs)


def test_a_figure_does_not_start_to_play_nor_brings_the_library():
    html = figure_html(scene_figure([Moment(0.0, [skeleton((1, 2, 3))])]), "scene")
    assert "Plotly.animate" not in html
    assert len(html) < 100_000
