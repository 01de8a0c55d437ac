"""The table of all metrics in a replay's report."""

from __future__ import annotations

import re
from html import escape

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.evaluate.protocols import metrics_of
from orpose_ros.accuracy import REPLAY_PROTOCOLS
from orpose_ros.report_metrics import METRICS, accuracy_table


def row(html: str, name: str) -> list[str]:
    """The cells of a metric's row after its name."""
    (cells,) = re.findall(rf"<th>{name}</th>(.*?)</tr>", html)
    return re.findall(r"<td[^>]*>(.*?)</td>", cells)


@pytest.mark.parametrize("protocol", REPLAY_PROTOCOLS)
def test_every_metric_of_a_replay_has_its_words(protocol):
    pytest.importorskip({"identity": "trackeval"}.get(protocol, "pycocotools"))
    box, joints = [100.0, 100.0, 50.0, 200.0], np.full((17, 3), 2.0)
    image = LabelledImage(1, "0.png", 640, 480, sequence="s", frame_index=0)
    label = PersonLabel(1, 1, np.array(box), joints, keypoints_3d=np.full((17, 4), 2.0), track_id=1)
    root = {"position": [0, 0, 0], "covariance": list(np.eye(3).ravel()), "source": "size"}
    found = {"image_id": 1, "bbox": box, "score": 1.0, "track_id": 1, "root": root}
    poses = {"keypoints": list(joints.ravel()), "keypoints_3d": list(np.ones(17 * 4))}
    measured = metrics_of(protocol, AnnotationSet((image,), (label,)), [found | poses])
    assert set(METRICS[protocol]) == set(measured)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("id_switches", 1.0, "1"), ("persons", 600.0, "600"), ("HOTA", 1.0, "1.000"), ("jitter_px_s", 38.266, "38.3")],
)
def test_counts_are_whole_numbers_and_each_row_says_what_it_is(name, value, expected):
    part = {"images": 1, "identity": {name: value}}
    assert row(accuracy_table({"answered": part, "sent": part}), name) == [
        expected,
        escape(METRICS["identity"][name][1]),
    ]


def test_all_frames_sent_have_a_column_where_some_were_not_answered():
    accuracy = {
        "answered": {"images": 1, "mpjpe": {"found": 1.0, "published_mm": -1}, "places": {"not_measured": "<none>"}},
        "sent": {"images": 2, "mpjpe": {"found": 2.0}},
    }
    table = accuracy_table(accuracy)
    assert row(table, "found")[:2] == ["1", "2"]
    assert "published_mm" not in table, "it was not measured"
    assert "&lt;none&gt;" in table
