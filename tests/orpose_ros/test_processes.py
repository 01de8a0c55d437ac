"""Node, player and listener in processes of their own, over real DDS on its default transports."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from orpose_msgs.msg import InferenceStats, PersonArray
from rclpy import create_node

from orpose_ros.messages import stamp_ns
from orpose_ros.replay import read_sent_log


class Listener:
    """Somebody in this process who listens to the answers."""

    def __init__(self, ros, namespace: str) -> None:
        self.persons: list[PersonArray] = []
        self.stats: list[InferenceStats] = []
        self.node = ros.add(create_node("listener", namespace=namespace))
        self.node.create_subscription(PersonArray, "orpose/camera/persons", self.persons.append, 1000)
        self.node.create_subscription(InferenceStats, "orpose/camera/stats", self.stats.append, 1000)


@pytest.fixture
def listener(ros, namespace) -> Listener:
    return Listener(ros, namespace)


@pytest.fixture
def start_node(start, namespace, fake_model) -> Callable:
    def run(**parameters):
        values = {"model": fake_model, "threads": 1, **parameters}
        options = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
        return start("orpose_ros.node", "--ros-args", "-r", f"__ns:={namespace}", *options)

    return run


@pytest.fixture
def start_player(start, namespace) -> Callable:
    def run(bag, *options):
        return start("orpose_ros.player", str(bag), *options, "--ros-args", "-r", f"__ns:={namespace}")

    return run


def test_large_images_on_default_transports_arrive(
    ros, listener, start_node, start_player, make_bag, tmp_path, monkeypatch
):
    """640x480 bgr8 is larger than Fast DDS' shared memory segment: best effort loses nearly all of them.

    On a quiet machine all 40 arrive; a busy one may starve the node for longer than DDS keeps frames for it.
    """
    monkeypatch.delenv("FASTDDS_BUILTIN_TRANSPORTS", raising=False)
    start_node()
    ros.until(lambda: listener.node.count_publishers("orpose/camera/stats") == 1)
    log = tmp_path / "sent.txt"
    player = start_player(make_bag(frames=40, frames_per_second=10, compressed=False), "--log", str(log))
    ros.until(lambda: player.poll() is not None, timeout_s=60)
    sent = [frame.stamp_ns for frame in read_sent_log(log)]
    assert len(sent) == 40
    ros.until(lambda: len(listener.stats) >= 32)
    ros.spin_for(1.0)
    assert {stamp_ns(message.header) for message in listener.stats} <= set(sent)
    assert {len(message.persons) for message in listener.persons} == {1}
    assert listener.stats[-1].dropped == len(listener.stats) - len(listener.persons)


def test_killed_and_started_again(ros, listener, start_node, start_player, make_bag):
    """The player goes on, and the node answers again."""
    first = start_node(compressed=True)
    player = start_player(make_bag(frames=400, frames_per_second=20, compressed=True))
    ros.until(lambda: len(listener.persons) >= 5, timeout_s=40)
    first.kill()
    first.wait()
    assert player.poll() is None
    before = len(listener.persons)
    ros.spin_for(0.5)
    start_node(compressed=True)
    ros.until(lambda: len(listener.persons) >= before + 5, timeout_s=40)
    assert player.poll() is None, "the player did not notice"
    assert listener.stats[-1].received < 400 - before, "a new count"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_node_cleanly(ros, listener, start_node, start_player, make_bag, number):
    node = start_node(compressed=True)
    start_player(make_bag(frames=400, frames_per_second=20, compressed=True))
    ros.until(lambda: len(listener.persons) >= 3, timeout_s=40)
    node.send_signal(number)
    _, errors = node.communicate(timeout=20)
    assert node.returncode == 0
    assert "Traceback" not in errors


def test_a_node_that_is_shut_down_ends(ros, listener, start_node):
    """Nothing leads out of its state, and whoever asked for it is answered."""
    node = start_node()
    client = listener.node.create_client(ChangeState, "orpose/change_state")
    ros.until(client.service_is_ready)
    ros.until(lambda: listener.node.count_publishers("orpose/camera/stats") == 1)
    shut_down = Transition(id=Transition.TRANSITION_ACTIVE_SHUTDOWN)
    future = client.call_async(ChangeState.Request(transition=shut_down))
    ros.until(future.done)
    assert future.result().success
    _, errors = node.communicate(timeout=20)
    assert node.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"model": "missing.onnx"}, "missing.onnx"),
        ({"downsample": 99}, "99"),
        ({"backend": "onnx"}, "onnx"),
        ({"downsampl": 4}, "'downsampl'"),
    ],
)
def test_a_node_that_cannot_start_says_why(start_node, parameters, expected):
    node = start_node(**parameters)
    output, errors = node.communicate(timeout=60)
    assert node.returncode == 2
    assert output == ""
    (line,) = errors.splitlines()
    assert expected in line


def test_a_player_without_a_listener_gives_up(start_player, make_bag):
    player = start_player(make_bag(frames=2, frames_per_second=10, compressed=True), "--wait", "0.3")
    _, errors = player.communicate(timeout=60)
    assert player.returncode == 2
    assert "nobody subscribes" in errors
