"""What RViz and Foxglove are told to show is what the node publishes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from orpose_msgs.msg import InferenceStats
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from orpose_ros.node import PoseNode

ROOT = Path(__file__).resolve().parents[2]
RVIZ = yaml.safe_load((ROOT / "rviz/orpose.rviz").read_text(encoding="utf-8"))["Visualization Manager"]
FOXGLOVE = json.loads((ROOT / "config/foxglove_layout.json").read_text(encoding="utf-8"))
#: Published when several cameras are fused (test_room.py).
ROOM = {"/orpose/room/markers": "visualization_msgs/msg/MarkerArray"}
#: What a display or panel can show.
SHOWS = {
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    "3D": "visualization_msgs/msg/MarkerArray",
    "Image": "sensor_msgs/msg/Image",
    "Plot": "orpose_msgs/msg/InferenceStats",
    "DiagnosticSummary": "diagnostic_msgs/msg/DiagnosticArray",
    "RawMessages": "orpose_msgs/msg/PersonArray",
}


@pytest.fixture
def published(ros, namespace, fake_model) -> dict[str, str]:
    """Topic -> type of a node with default names."""
    node = ros.add(PoseNode(namespace=namespace, parameter_overrides=[Parameter("model", value=str(fake_model))]))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.failure
    viewer = ros.add(create_node("viewer", namespace=namespace))
    ros.until(lambda: viewer.count_publishers("orpose/camera/overlay"))
    found = node.get_publisher_names_and_types_by_node("orpose", namespace)
    return {topic.removeprefix(namespace): types[0] for topic, types in found} | ROOM


def panels(kind: str) -> Iterator[dict[str, Any]]:
    return (config for name, config in FOXGLOVE["configById"].items() if name.split("!")[0] == kind)


def foxglove_topics() -> Iterator[tuple[str, str]]:
    yield from (("3D", topic) for config in panels("3D") for topic in config["topics"])
    yield from (("Image", config["imageMode"]["imageTopic"]) for config in panels("Image"))
    yield from (("Plot", path["value"].split(".")[0]) for config in panels("Plot") for path in config["paths"])
    yield from (("DiagnosticSummary", config["topicToRender"]) for config in panels("DiagnosticSummary"))
    yield from (("RawMessages", config["topicPath"]) for config in panels("RawMessages"))


def test_displays_and_panels_show_the_nodes_topics(published):
    rviz = [(display["Class"], display["Topic"]["Value"]) for display in RVIZ["Displays"] if "Topic" in display]
    shown = [*rviz, *foxglove_topics()]
    assert {kind for kind, _ in shown} == set(SHOWS)
    assert [(kind, topic) for kind, topic in shown if published.get(topic) != SHOWS[kind]] == []


def test_rviz_asks_for_what_the_node_offers():
    offered = {"Reliability Policy": "Reliable", "Durability Policy": "Volatile", "History Policy": "Keep Last"}
    for display in RVIZ["Displays"]:
        if "Topic" in display:
            assert display["Topic"] | offered == display["Topic"]


def test_plots_show_fields_that_exist():
    fields = [path["value"].split(".")[1] for config in panels("Plot") for path in config["paths"]]
    assert {"age_ms", "dropped"} <= set(fields) <= set(InferenceStats.get_fields_and_field_types())


def test_the_layout_places_every_panel_once():
    def placed(part: Any) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        else:
            yield from placed(part["first"])
            yield from placed(part["second"])

    assert sorted(placed(FOXGLOVE["layout"])) == sorted(FOXGLOVE["configById"])
