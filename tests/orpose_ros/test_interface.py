"""What users expect of the node besides answers: a clock of choice, no needless work, statistics, safe changes."""

from __future__ import annotations

import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from orpose_msgs.msg import InferenceStats
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

import orpose_ros.camera
from orpose_ros.diagnostics import age_values
from orpose_ros.node import PoseNode


@pytest.fixture
def make_node(ros, namespace, fake_model) -> Iterator[Callable[..., PoseNode]]:
    made: list[PoseNode] = []

    def make(**parameters: Any) -> PoseNode:
        values = {"model": str(fake_model), "threads": 1, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))
        for transition in (node.trigger_configure, node.trigger_activate):
            assert transition() == TransitionCallbackReturn.SUCCESS, node.failure
        made.append(node)
        return node

    yield make
    for node in made:
        node.trigger_deactivate()  # its worker may be at an image


class Driver:
    """A camera of small images, and who listens to the statistics of the answers."""

    def __init__(self, node: Node) -> None:
        self.stats: list[InferenceStats] = []
        self.node = node
        self._publisher = node.create_publisher(Image, "camera/image_raw", 10)
        node.create_subscription(InferenceStats, "orpose/camera/stats", self.stats.append, 10)

    def send(self, sec: int = 0, nanosec: int = 0) -> None:
        pixels = np.zeros((48, 64, 3), np.uint8)
        image = Image(height=48, width=64, encoding="bgr8", step=192, data=array.array("B", pixels.tobytes()))
        image.header.stamp.sec, image.header.stamp.nanosec = sec, nanosec
        self._publisher.publish(image)

    def is_matched(self) -> bool:
        return self._publisher.get_subscription_count() == 1 and self.node.count_publishers("orpose/camera/stats") == 1


@pytest.fixture
def driver(ros, namespace) -> Driver:
    return Driver(ros.add(create_node("driver", namespace=namespace)))


def sent_until_answered(ros, driver: Driver, answers: int, **stamp: int) -> None:
    """Sends images, since the first ones may come before everybody found everybody."""

    def is_answered() -> bool:
        driver.send(**stamp)
        return len(driver.stats) >= answers

    ros.until(driver.is_matched)
    ros.until(is_answered)


def test_ages_are_those_of_the_simulated_clock(ros, make_node, driver):
    node = make_node(use_sim_time=True)
    clock = driver.node.create_publisher(Clock, "/clock", 10)
    message = Clock()
    message.clock.sec, message.clock.nanosec = 100, 250_000_000

    def has_the_time() -> bool:
        clock.publish(message)
        return node.get_clock().now().nanoseconds == 100_250_000_000

    ros.until(has_the_time)
    sent_until_answered(ros, driver, 1, sec=100)
    assert driver.stats[0].age_ms == 250.0


def test_the_overlay_is_not_drawn_while_nobody_subscribes(ros, make_node, driver, monkeypatch):
    drawn: list[tuple[int, ...]] = []
    draw = orpose_ros.camera.draw_persons
    monkeypatch.setattr(
        orpose_ros.camera, "draw_persons", lambda image, result: drawn.append(image.shape) or draw(image, result)
    )
    make_node(overlay=True, downsample=12)
    sent_until_answered(ros, driver, 3)
    assert drawn == []
    pictures: list[Image] = []
    driver.node.create_subscription(Image, "orpose/camera/overlay", pictures.append, 10)

    def is_shown() -> bool:
        driver.send()
        return bool(pictures)

    ros.until(is_shown)
    assert set(drawn) == {(40, 53, 3)}, "on the image that privacy allows"


def test_a_set_with_one_bad_value_changes_nothing(make_node):
    node = make_node()
    good, bad = Parameter("joint_threshold", value=0.7), Parameter("score_threshold", value=1.5)
    result = node.set_parameters_atomically([good, bad])
    assert not result.successful and "score_threshold" in result.reason
    assert node.get_parameter("joint_threshold").value == 0.3
    (result,) = node.set_parameters([good])
    assert result.successful


def test_ages_in_diagnostics():
    assert age_values([]) == {"age (ms, median)": "-", "age (ms, p99)": "-", "age (ms, max)": "-"}
    ages = age_values([float(age) for age in range(101)])
    assert ages == {"age (ms, median)": "50.0", "age (ms, p99)": "99.0", "age (ms, max)": "100.0"}
