"""The example for assistants, on messages made by hand and on the answers of the real node."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("orpose_msgs")

from orpose_msgs.msg import Keypoint2D, Keypoint3D, Person, PersonArray  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.signals import SignalHandlerOptions  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/who_is_where.py"
LEFT_HALF = [0.0, 0.0, 320.0, 0.0, 320.0, 480.0, 0.0, 480.0]
#: A square of 2 m about the room's origin.
MIDDLE = [-1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0]

os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("who_is_where", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def spin() -> Iterator[Callable[..., None]]:
    """`spin(nodes, condition)` until the condition holds."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()

    def until(nodes: list[Any], condition: Callable[[], Any]) -> None:
        for node in nodes:
            executor.add_node(node)
        deadline_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline_s, "waited in vain"
            executor.spin_once(timeout_sec=0.05)

    yield until
    for node in executor.get_nodes():
        node.destroy_node()
    executor.shutdown()
    rclpy.try_shutdown()


@pytest.fixture
def answer_to(example, spin) -> Callable[..., dict[str, Any]]:
    """What the example says to one message."""

    def answer(message: PersonArray, **parameters: Any) -> dict[str, Any]:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = example.WhoIsWhere(namespace=f"/example_{next(_numbers)}", parameter_overrides=overrides)
        said: list[str] = []
        node.publisher.publish = lambda message: said.append(message.data)
        node.receive(message)
        node.destroy_node()
        return json.loads(said[0])

    return answer


def someone(track_id: int, hip_px: tuple[float, float], wrist_px: tuple[float, float], score: float = 0.9) -> Person:
    joints = [Keypoint2D(x=math.nan, y=math.nan) for _ in range(17)]
    joints[11] = Keypoint2D(x=hip_px[0], y=hip_px[1], score=score)
    joints[10] = Keypoint2D(x=wrist_px[0], y=wrist_px[1], score=score)
    return Person(track_id=track_id, track_state=Person.TRACK_CONFIRMED, keypoints_2d=joints)


def test_it_is_short():
    """44 lines below its description, blank ones aside."""
    text = EXAMPLE.read_text(encoding="utf-8")
    end = ast.parse(text).body[0].end_lineno
    assert sum(bool(line.strip()) for line in text.splitlines()[end:]) <= 44


def test_zones_in_the_image(answer_to):
    people = [
        someone(1, (100, 300), (200, 200)),
        someone(2, (500, 300), (300, 200)),
        someone(3, (500, 300), (600, 200)),
        someone(4, (100, 300), (200, 200), score=0.2),
        Person(track_id=5, track_state=Person.TRACK_LOST),
    ]
    said = answer_to(PersonArray(persons=people), table=LEFT_HALF, field=LEFT_HALF)
    assert said == {"people": 4, "at_table": [1], "hands_over_field": [1, 2]}


def test_zones_on_the_rooms_floor(answer_to):
    """Heights do not count: hands are over the field, hips are beside the table."""
    joints = [Keypoint3D(score=0.0) for _ in range(17)]
    for index, x in ((1, 3.0), (4, 2.5), (16, 0.9)):
        joints[index].position.x, joints[index].position.z, joints[index].score = x, 1.2, 0.8
    people = [Person(track_id=7, keypoints_3d_metric=joints), Person(track_id=8)]
    said = answer_to(PersonArray(persons=people), table=MIDDLE, field=MIDDLE, in_room=True)
    assert said == {"people": 2, "at_table": [], "hands_over_field": [7]}


def test_what_changes_is_logged(answer_to, capfd):
    """Without a ROS installation nobody could read the topic."""
    answer_to(PersonArray(persons=[someone(1, (5, 5), (6, 6))]))
    assert '{"people": 1, "at_table": [1], "hands_over_field": [1]}' in capfd.readouterr().err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_without_a_traceback(spin, stop):
    words = [sys.executable, str(EXAMPLE), "--ros-args", "-r", "persons:=seen"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "waits for /seen" in process.stderr.readline()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(PersonArray, "seen", 10)
    spin([node], publisher.get_subscription_count)
    publisher.publish(PersonArray())
    assert '"people": 0' in process.stderr.readline(), "it spins"
    process.send_signal(stop)
    assert "Traceback" not in process.communicate(timeout=60)[1]


def test_without_zones_everybody_counts(answer_to):
    said = answer_to(PersonArray(persons=[someone(1, (5, 5), (6, 6))]))
    assert said == {"people": 1, "at_table": [1], "hands_over_field": [1]}
    assert answer_to(PersonArray()) == {"people": 0, "at_table": [], "hands_over_field": []}


def test_on_the_real_nodes_answers(example, spin, fake_model):
    from rclpy.lifecycle import TransitionCallbackReturn

    from orpose_ros.node import PoseNode

    namespace = f"/example_{os.getpid()}"
    overrides = [Parameter("model", value=str(fake_model)), Parameter("threads", value=1)]
    node = PoseNode(namespace=namespace, parameter_overrides=overrides)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS, node.failure
    zones = [Parameter("table", value=LEFT_HALF), Parameter("field", value=[320.0, 0.0, 640.0, 0.0, 640.0, 480.0])]
    remapping = ["--ros-args", "-r", "persons:=orpose/camera/persons"]
    assistant = example.WhoIsWhere(namespace=namespace, parameter_overrides=zones, cli_args=remapping)
    driver = rclpy.create_node("driver", namespace=namespace)
    camera = driver.create_publisher(Image, "camera/image_raw", 10)
    said: list[String] = []
    driver.create_subscription(String, "who_is_where", said.append, 10)
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[100:300, 200:260] = (255, 0, 0)  # a person to the fake model, in the left half
    image = Image(height=480, width=640, encoding="bgr8", step=1920, data=pixels.tobytes())
    driver.create_timer(0.3, lambda: camera.publish(image))
    spin([node, assistant, driver], lambda: said)
    found = json.loads(said[0].data)
    assert (found["people"], len(found["at_table"]), found["hands_over_field"]) == (1, 1, [])
    node.trigger_deactivate()
