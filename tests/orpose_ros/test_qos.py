"""Which reliability to subscribe with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy

from orpose_ros.qos import publishers_text, wanted_reliability

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


def publisher(reliability: ReliabilityPolicy) -> SimpleNamespace:
    profile = QoSProfile(depth=1, reliability=reliability)
    return SimpleNamespace(
        node_name="driver", node_namespace="/or1", topic_type="sensor_msgs/msg/Image", qos_profile=profile
    )


@pytest.mark.parametrize(
    ("name", "offered", "wanted"),
    [
        ("auto", [], BEST_EFFORT),
        ("auto", [RELIABLE], RELIABLE),
        ("auto", [BEST_EFFORT], BEST_EFFORT),
        ("auto", [RELIABLE, RELIABLE], RELIABLE),
        ("auto", [RELIABLE, BEST_EFFORT], BEST_EFFORT),
        ("sensor_data", [RELIABLE], BEST_EFFORT),
        ("reliable", [BEST_EFFORT], RELIABLE),
        ("reliable", [], RELIABLE),
    ],
)
def test_reliability(name, offered, wanted):
    assert wanted_reliability(name, [publisher(reliability) for reliability in offered]) == wanted


def test_publishers_are_named_with_type_and_reliability():
    text = publishers_text([publisher(BEST_EFFORT), publisher(RELIABLE)])
    assert "/or1/driver (sensor_msgs/msg/Image, best effort)" in text
    assert "reliable" in text
    assert publishers_text([]) == "none"
