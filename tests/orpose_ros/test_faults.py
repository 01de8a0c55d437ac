"""What goes wrong in an operating room, one fault a test: the node goes on, and what is lost is counted."""

from __future__ import annotations

import array
import shutil
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from orpose_msgs.msg import InferenceStats, PersonArray
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from orpose_ros.messages import stamp_ns
from orpose_ros.node import PoseNode

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
SECOND_NS = 10**9
#: Where recordings of these tests begin.
START_NS = 1_700_000_000 * SECOND_NS


def picture(encoding: str = "bgr8", height: int = 48, width: int = 64, channels: int = 3) -> Image:
    pixels = np.zeros((height, width * channels), np.uint8)
    image = Image(encoding=encoding, height=height, width=width, step=width * channels)
    image.data = array.array("B", pixels.tobytes())
    return image


class Rig:
    """A node, a camera driver, and somebody who reads all that the node says."""

    def __init__(self, ros, namespace: str, model: str) -> None:
        self._ros, self._namespace, self._model = ros, namespace, model
        self.driver = ros.add(create_node("driver", namespace=namespace))
        self.persons: list[PersonArray] = []
        self.stats: list[InferenceStats] = []
        self.statuses: list[DiagnosticStatus] = []
        self.driver.create_subscription(PersonArray, "orpose/camera/persons", self.persons.append, 100)
        self.driver.create_subscription(InferenceStats, "orpose/camera/stats", self.stats.append, 100)
        self.driver.create_subscription(DiagnosticArray, "/diagnostics", self._note, 100)

    def _note(self, message: DiagnosticArray) -> None:
        self.statuses += [status for status in message.status if status.name.startswith(f"{self._namespace}/")]

    def node(self, **parameters: Any) -> PoseNode:
        values = {"model": self._model, "threads": 1, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        return self._ros.add(PoseNode(namespace=self._namespace, parameter_overrides=overrides))

    def active(self, **parameters: Any) -> PoseNode:
        node = self.node(**parameters)
        assert node.trigger_configure() == node.trigger_activate() == SUCCESS, node.failure
        self.connect(CompressedImage if parameters.get("compressed") else Image)
        return node

    def connect(self, image_type: type = Image) -> None:
        """The camera driver starts, and the node finds it."""
        suffix = "/compressed" if image_type is CompressedImage else ""
        topic = f"camera/image_raw{suffix}"
        self.images = self.driver.create_publisher(image_type, topic, RELIABLE)
        self._ros.until(lambda: [info.qos_profile.reliability for info in self._subscriptions(topic)] == [1])

    def _subscriptions(self, topic: str) -> list:
        return self.driver.get_subscriptions_info_by_topic(self.driver.resolve_topic_name(topic))

    def send(self, image: Image | CompressedImage | None = None, at_ns: int | None = None) -> int:
        """Publishes one image and waits for the account of it; returns its stamp, ns."""
        image = image or picture()
        at_ns = self.driver.get_clock().now().nanoseconds if at_ns is None else at_ns
        image.header.stamp = Time(sec=at_ns // SECOND_NS, nanosec=at_ns % SECOND_NS)
        expected = len(self.stats) + 1
        self.images.publish(image)
        self._ros.until(lambda: len(self.stats) == expected)
        return at_ns

    def answered_ns(self) -> list[int]:
        """Stamps of the answers, once all of them are here."""
        last = self.stats[-1]
        self._ros.until(lambda: len(self.persons) == last.received - last.dropped)
        return [stamp_ns(message.header) for message in self.persons]

    def until_status(self, condition: Callable[[DiagnosticStatus], bool]) -> DiagnosticStatus:
        """The next status that is like this."""
        begin = len(self.statuses)
        self._ros.until(lambda: any(condition(status) for status in self.statuses[begin:]))
        return next(status for status in self.statuses[begin:] if condition(status))

    def values(self) -> dict[str, str]:
        """What the camera's next status says."""
        status = self.until_status(lambda status: status.name.endswith(": camera"))
        return {item.key: item.value for item in status.values}


@pytest.fixture(scope="module")
def small_model(make_fake_model) -> str:
    return str(make_fake_model((64, 48)))


@pytest.fixture
def rig(ros, namespace, small_model) -> Rig:
    return Rig(ros, namespace, small_model)


def test_a_camera_that_stalls_and_goes_on(rig):
    rig.active(watchdog_s=0.3)
    sent = [rig.send()]
    status = rig.until_status(lambda status: "no image for" in status.message)
    assert status.level == DiagnosticStatus.WARN
    sent.append(rig.send())
    rig.until_status(lambda status: "no image for" in status.message)  # it stalls again
    assert rig.answered_ns() == sent


def test_a_camera_that_restarts(rig):
    rig.active()
    sent = [rig.send()]
    rig.driver.destroy_publisher(rig.images)
    rig.connect()
    sent.append(rig.send())
    assert rig.answered_ns() == sent
    assert rig.values()["received"] == "2"


def test_a_camera_that_changes_resolution_and_encoding(rig):
    rig.active()
    shapes = [
        ("bgr8", 48, 64, 3),
        ("bgr8", 96, 128, 3),
        ("mono8", 30, 40, 1),
        ("rgba8", 64, 48, 4),
        ("mono16", 24, 32, 2),
    ]
    for shape in shapes:
        rig.send(picture(*shape))
    rig.send(picture("h264", 48, 64))
    rig.send()
    rig.answered_ns()
    sizes = [(message.image_height, message.image_width) for message in rig.persons]
    assert sizes == [shape[1:3] for shape in shapes] + [(48, 64)]
    assert rig.stats[-1].dropped == 1
    assert "h264" in rig.values()["last problem"]


def test_another_resolution_than_the_configured_frame_size(rig):
    """Of the same aspect it is a reduced image, of another one it cannot be this camera's."""
    rig.active(frame_size="640x480")
    rig.send(picture(height=24, width=32))
    rig.send(picture(height=48, width=48))
    assert len(rig.answered_ns()) == 1
    assert (rig.persons[0].image_width, rig.persons[0].image_height) == (640, 480)
    assert "frame_size" in rig.values()["last problem"]


def test_a_clock_that_jumps_back_an_hour(rig):
    rig.active()
    stamps = [START_NS + index * SECOND_NS // 10 for index in range(10)]
    stamps += [stamp - 3600 * SECOND_NS for stamp in stamps]
    for stamp in stamps:
        rig.send(at_ns=stamp)
    assert rig.answered_ns() == stamps
    values = rig.values()
    assert (values["stamps: went back"], values["stamps: repeated"]) == ("1", "0")
    assert values["lost: stamps missing in the camera's rhythm"] == "0"


def test_simulated_time_that_jumps_back(rig, ros):
    node = rig.active(use_sim_time=True)
    clock = rig.driver.create_publisher(Clock, "/clock", 10)
    for now_s in (1000, 10):
        ros.until(lambda: clock.publish(Clock(clock=Time(sec=now_s))) or seconds(node) == now_s)  # noqa: B023
        rig.send(at_ns=(now_s - 1) * SECOND_NS)
    assert rig.answered_ns() == [999 * SECOND_NS, 9 * SECOND_NS]
    assert [message.age_ms for message in rig.stats] == [1000, 1000]
    assert rig.values()["answered"] == "2"


def seconds(node: PoseNode) -> int:
    return node.get_clock().now().nanoseconds // SECOND_NS


def test_stamps_that_come_twice_or_out_of_order(rig):
    """All are answered, under the stamps they came with; diagnostics warn."""
    rig.active()
    order = [*range(10), 10, 10, 12, 11, 13, 14]
    stamps = [START_NS + index * SECOND_NS // 10 for index in order]
    for stamp in stamps:
        rig.send(at_ns=stamp)
    assert rig.answered_ns() == stamps
    values = rig.values()
    assert (values["stamps: repeated"], values["stamps: went back"]) == ("1", "1")
    assert values["lost: stamps missing in the camera's rhythm"] == "0", "the late one is no longer missing"
    assert any("not newer" in status.message for status in rig.statuses)


def test_a_jpeg_that_was_cut_off(rig):
    rig.active(compressed=True)
    content = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    for data in (content, content[:-2], content):
        rig.send(CompressedImage(format="jpeg", data=array.array("B", data)))
    assert len(rig.answered_ns()) == 2
    values = rig.values()
    assert values["dropped: bad image"] == "1"
    assert "ends too early" in values["last problem"]


def test_a_subscriber_that_never_reads(rig, namespace):
    """Its queue overflows, in its own process; the answers of others come."""
    sleeper = create_node("sleeper", namespace=namespace)  # never spun
    try:
        for message_type, topic in ((PersonArray, "persons"), (InferenceStats, "stats")):
            sleeper.create_subscription(message_type, f"orpose/camera/{topic}", lambda _: None, RELIABLE)
        rig.active()
        sent = [rig.send() for _ in range(30)]
        assert rig.answered_ns() == sent
    finally:
        sleeper.destroy_node()


def test_two_nodes_with_one_name(rig, ros, start, namespace, small_model):
    rig.active()
    options = ("-r", f"__ns:={namespace}", "-p", f"model:={small_model}", "-p", "threads:=1")
    second = start("orpose_ros.node", "--ros-args", *options)
    status = rig.until_status(lambda status: status.name.endswith(": name"))
    assert status.level == DiagnosticStatus.WARN
    assert "1 other node(s)" in status.message and "__node:=" in status.message
    second.terminate()
    assert second.wait(30) == 0
    ros.until(lambda: all(status.name.endswith(": camera") for status in rig.statuses[-2:]))  # the warning ends
    sent = rig.send()
    assert rig.answered_ns() == [sent]


def test_the_model_file_is_replaced_while_the_node_runs(rig, make_fake_model, tmp_path, small_model):
    """What was loaded is used until the node is configured anew."""
    model = tmp_path / "model.onnx"
    shutil.copyfile(small_model, model)
    node = rig.active(model=str(model))
    rig.send()
    model.write_bytes(b"half a mod")  # in place: whoever maps the file would crash
    rig.send()
    rig.answered_ns()
    assert [message.model_id for message in rig.persons] == ["fake@00000000"] * 2
    assert node.trigger_deactivate() == node.trigger_cleanup() == SUCCESS
    assert node.trigger_configure() == FAILURE
    assert "model.onnx" in node.failure
    shutil.copyfile(make_fake_model((64, 48), model_id="new@11111111"), model)
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS, node.failure
    assert node.estimator.info.model_id == "new@11111111"


def test_an_error_in_the_network_costs_one_frame(rig, monkeypatch):
    """As a GPU that fails would raise it."""
    node = rig.active()
    backend, calls = node.estimator._backend, []
    infer = backend.infer

    def fail_once(network_input):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("device lost")
        return infer(network_input)

    monkeypatch.setattr(backend, "infer", fail_once)
    sent = [rig.send(), rig.send()]
    assert rig.answered_ns() == sent[1:]
    values = rig.values()
    assert values["dropped: processing failed"] == "1"
    assert "device lost" in values["last problem"]


def test_markers_that_fail_cost_no_answer(rig, monkeypatch):
    """received = answered + dropped: the frame is not dropped as well."""
    node = rig.active()
    monkeypatch.setattr(node.cameras["camera"]._markers, "get_subscription_count", lambda: 1 / 0)
    sent = [rig.send(), rig.send()]
    assert rig.answered_ns() == sent
    values = rig.values()
    counts = [values[name] for name in ("received", "answered", "dropped", "answered: incomplete")]
    assert counts == ["2", "2", "0", "2"]
    assert "division by zero" in values["last problem"]
