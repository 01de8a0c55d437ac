"""What an operator reads: the node's console, its diagnostics while all is well or silent, and refused parameters."""

from __future__ import annotations

import array
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from orpose_models.errors import ConfigError
from orpose_ros.node import PoseNode

SUCCESS = TransitionCallbackReturn.SUCCESS


class Driver:
    """A camera of small images, and who listens to diagnostics."""

    def __init__(self, node: Node) -> None:
        self.messages: list[str] = []
        self.publisher = node.create_publisher(Image, "camera/image_raw", 10)
        node.create_subscription(
            DiagnosticArray, "/diagnostics", lambda array: self.messages.append(array.status[0].message), 10
        )

    def send(self, encoding: str = "bgr8") -> None:
        pixels = np.zeros((48, 64, 3), np.uint8)
        self.publisher.publish(
            Image(height=48, width=64, encoding=encoding, step=192, data=array.array("B", pixels.tobytes()))
        )


@pytest.fixture
def driver(ros, namespace) -> Driver:
    return Driver(ros.add(create_node("driver", namespace=namespace)))


@pytest.fixture
def active(ros, make_node, driver) -> Callable[..., PoseNode]:
    """A configured and activated node that has found the camera."""

    def make(**parameters: Any) -> PoseNode:
        node = make_node(**parameters)
        assert node.trigger_configure() == node.trigger_activate() == SUCCESS, node.failure
        ros.until(lambda: driver.publisher.get_subscription_count() == 1)
        ros.spin_for(0.5)  # until it has subscribed reliably
        return node

    return make


class Console:
    """What all nodes of this process have said."""

    def __init__(self, capfd) -> None:
        self._capfd = capfd
        self._said = ""

    def lines(self, part: str) -> list[str]:
        self._said += self._capfd.readouterr().err
        return [line for line in self._said.splitlines() if part in line]


@pytest.fixture
def console(capfd) -> Console:
    return Console(capfd)


def test_the_node_says_what_it_waits_for_and_when_images_begin(ros, active, driver, namespace, console):
    topic = f"{namespace}/camera/image_raw"
    node = active(downsample=12)
    ros.until(lambda: driver.messages)
    assert driver.messages[-1] == f"waiting for images on {topic}"
    for count in (1, 2):
        driver.send()
        ros.until(lambda: node.cameras["camera"].counts.totals().received == count)  # noqa: B023
    (ready,) = console.lines("ready: ")
    assert ready.endswith(f"ready: fake@00000000, downsample 12; waiting for images on {topic}")
    (first,) = console.lines("first image")
    assert first.endswith(f"{topic}: first image, 64x48 bgr8")
    ros.until(lambda: driver.messages[-1] == "OK")


def test_hostile_text_in_the_first_image_stays_on_one_line(ros, active, driver, console):
    active()
    driver.send(encoding="bgr8\n[FATAL] run\t" + 500 * "x")
    ros.until(lambda: console.lines("first image"))
    (first,) = console.lines("first image")
    assert "bgr8 [FATAL] run xxx" in first
    assert len(first) < 300


def test_silence_is_logged_once_each_time_it_begins(ros, active, driver, console):
    active(watchdog_s=0.5)
    ros.until(lambda: console.lines("no image for"))
    seen = len(driver.messages)
    ros.until(lambda: len(driver.messages) >= seen + 2)
    assert len(console.lines("no image for")) == 1, "diagnostics repeat it, the console does not"
    driver.send()
    ros.until(lambda: len(console.lines("no image for")) == 2)
    assert all("[WARN]" in line and "publishers: " in line for line in console.lines("no image for"))


@pytest.mark.parametrize(
    ("compressed", "rules", "expected"),
    [
        (False, ["camera/image_raw:=/left"], "/left"),
        (True, ["camera/image_raw:=/left"], "/left/compressed"),
        (True, ["camera/image_raw/compressed:=/left/jpeg"], "/left/jpeg"),
        (True, ["camera/image_raw:=/left", "/left/compressed:=/jpeg"], "/jpeg"),
        (False, ["camera/image_raw:=/left", "/left:=/right"], "/left"),  # as with two cameras that change places
    ],
)
def test_messages_name_the_topic_that_is_subscribed_to(
    ros, namespace, fake_model, console, compressed, rules, expected
):
    values = {"model": str(fake_model), "threads": 1, "compressed": compressed, "watchdog_s": 0.1}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    remapping = ["--ros-args", *(word for rule in rules for word in ("-r", rule))]
    node = ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides, cli_args=remapping))
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    assert expected in [subscription.topic_name for subscription in node.subscriptions]
    ros.until(lambda: console.lines("no image for"))
    assert f" on {expected} (" in console.lines("no image for")[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("downsampl", "'downsampl' is no parameter of the node orpose; did you mean 'downsample'?"),
        ("zoom", "under /**"),
    ],
)
def test_a_parameter_that_the_node_has_not_is_refused(make_node, name, expected):
    """A misspelt `downsample` must not run at full resolution."""
    with pytest.raises(ConfigError, match=re.escape(expected)):
        make_node(**{name: 4})


def test_parameters_of_ros_itself_are_no_misspelt_ones(make_node):
    node = make_node(use_sim_time=False, **{"qos_overrides./clock.subscription.depth": 1})
    assert node.trigger_configure() == SUCCESS
