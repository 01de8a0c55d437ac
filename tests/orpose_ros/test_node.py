"""The lifecycle node, in this process: transitions, answers, bad frames, parameters, diagnostics."""

from __future__ import annotations

import array
import dataclasses
import math
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from orpose_msgs.msg import InferenceStats, PersonArray, SkeletonDefinition
from rcl_interfaces.msg import ParameterType
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool
from visualization_msgs.msg import MarkerArray

from orpose_models.runtime import PoseEstimator, RuntimeConfig
from orpose_ros.node import PoseNode
from orpose_ros.qos import LATCHED_QOS

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
BLUE_BOX = (slice(100, 300), slice(200, 260))


class Camera:
    """A camera driver and somebody who listens to the answers."""

    def __init__(self, node: Node, reliability: ReliabilityPolicy, image_type: type = Image) -> None:
        suffix = "/compressed" if image_type is CompressedImage else ""
        qos = QoSProfile(depth=10, reliability=reliability)
        self.publisher = node.create_publisher(image_type, f"camera/image_raw{suffix}", qos)
        self.persons: list[PersonArray] = []
        self.stats: list[InferenceStats] = []
        self.diagnostics: list[DiagnosticArray] = []
        node.create_subscription(PersonArray, "orpose/camera/persons", self.persons.append, 10)
        node.create_subscription(InferenceStats, "orpose/camera/stats", self.stats.append, 10)
        node.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 10)
        self._node = node
        self._sent = 0

    def image(self, pixels: np.ndarray | None = None, encoding: str = "bgr8", **changes: Any) -> Image:
        """An image message; without pixels a frame with one person (blue) for the fake model."""
        if pixels is None:
            pixels = np.zeros((480, 640, 3), np.uint8)
            pixels[BLUE_BOX] = (255, 0, 0)
        image = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=pixels.strides[0])
        image.data = array.array("B", pixels.tobytes())
        for name, value in changes.items():
            setattr(image, name, value)
        return image

    def send(self, image: Image | CompressedImage | None = None) -> Any:
        """Publishes with a new stamp; returns the header."""
        image = image or self.image()
        self._sent += 1
        image.header.stamp = self._node.get_clock().now().to_msg()
        image.header.frame_id = f"optical_{self._sent}"
        self.publisher.publish(image)
        return image.header

    def values(self) -> dict[str, str]:
        return {item.key: item.value for item in self.diagnostics[-1].status[0].values}


@pytest.fixture
def camera(ros, namespace) -> Camera:
    return Camera(ros.add(create_node("driver", namespace=namespace)), ReliabilityPolicy.RELIABLE)


@pytest.fixture
def active(ros, make_node, camera) -> Callable[..., PoseNode]:
    """A configured and activated node that has found the camera."""

    def make(**parameters: Any) -> PoseNode:
        node = make_node(**parameters)
        assert node.trigger_configure() == SUCCESS, node.failure
        assert node.trigger_activate() == SUCCESS, node.failure
        ros.until(lambda: node.cameras["camera"].source.reliability == ReliabilityPolicy.RELIABLE)
        ros.until(lambda: camera.publisher.get_subscription_count() == 1)
        return node

    return make


# --- transitions ---------------------------------------------------------------------------------------------------


def test_an_active_node_that_is_destroyed_leaves_no_thread_behind(ros, namespace, fake_model):
    """A worker that goes on would keep the node's DDS participant alive."""
    before = threading.active_count()
    overrides = [Parameter("model", value=str(fake_model)), Parameter("threads", value=1)]
    node = PoseNode(namespace=namespace, parameter_overrides=overrides)
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    assert threading.active_count() > before
    node.destroy_node()
    assert threading.active_count() == before


def test_transitions_there_and_back_again(ros, make_node, camera):
    node = make_node()
    for _ in range(2):
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        ros.until(lambda: camera.publisher.get_subscription_count() == 1)
        assert node.trigger_deactivate() == SUCCESS
        ros.until(lambda: camera.publisher.get_subscription_count() == 0)
        assert node.trigger_cleanup() == SUCCESS
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_shutdown() == SUCCESS


# --- answers -------------------------------------------------------------------------------------------------------


def test_answers_carry_the_images_header_and_pixels(ros, active, camera):
    active()
    header = camera.send()
    ros.until(lambda: camera.persons and camera.stats)
    message = camera.persons[0]
    assert message.header == header
    assert (message.image_width, message.image_height, message.model_id) == (640, 480, "fake@00000000")
    (person,) = message.persons
    assert (person.bbox_x, person.bbox_y, person.bbox_w, person.bbox_h) == pytest.approx((200, 100, 60, 200), abs=1)
    stats = camera.stats[0]
    assert stats.header == header
    assert (stats.received, stats.dropped) == (1, 0)
    stages_ms = (stats.decode_ms, stats.preprocess_ms, stats.infer_ms, stats.post_ms)
    assert all(value >= 0 for value in stages_ms)
    assert stats.age_ms >= sum(stages_ms)


def test_nobody_there_is_an_empty_array(ros, active, camera):
    active()
    camera.send(camera.image(np.zeros((480, 640, 3), np.uint8)))
    ros.until(lambda: camera.persons)
    assert camera.persons[0].persons == []


def test_results_are_in_the_incoming_images_pixels(ros, active, camera):
    active()
    pixels = np.zeros((960, 1280, 3), np.uint8)
    pixels[200:600, 400:520] = (255, 0, 0)
    camera.send(camera.image(pixels))
    ros.until(lambda: camera.persons)
    person = camera.persons[0].persons[0]
    assert (person.bbox_x, person.bbox_y, person.bbox_w, person.bbox_h) == pytest.approx((400, 200, 120, 400), abs=4)


@pytest.mark.parametrize(
    "change",
    [
        {"encoding": "purple8"},
        {"step": 3},
        {"step": 5000},
        {"height": 479},
        {"width": 0, "height": 0, "step": 0, "data": array.array("B")},
        {"data": array.array("B", bytes(17))},
    ],
)
def test_a_bad_frame_is_counted_reported_and_survived(ros, active, camera, change):
    active()
    bad = camera.send(camera.image(**change))
    ros.until(lambda: camera.stats)
    good = camera.send()
    ros.until(lambda: camera.persons)
    assert [message.header for message in camera.persons] == [good]
    assert camera.stats[0].header == bad
    assert math.isnan(camera.stats[0].infer_ms)
    ros.until(lambda: len(camera.stats) == 2)
    assert (camera.stats[1].received, camera.stats[1].dropped) == (2, 1)
    ros.until(lambda: camera.diagnostics and camera.values()["received"] == "2")
    assert camera.values()["dropped: bad image"] == "1"
    assert camera.values()["last problem"] != "-"


def test_compressed_images(ros, namespace, make_node):
    node = make_node(compressed=True)
    camera = Camera(
        ros.add(create_node("driver", namespace=namespace)), ReliabilityPolicy.RELIABLE, image_type=CompressedImage
    )
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    ros.until(lambda: camera.publisher.get_subscription_count() == 1)
    ros.spin_for(0.5)
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[BLUE_BOX] = (255, 0, 0)
    _, encoded = cv2.imencode(".png", pixels)
    camera.send(CompressedImage(format="jpeg", data=array.array("B", b"\xff\xd8 not a picture")))
    ros.until(lambda: camera.stats)
    camera.send(CompressedImage(format="png", data=array.array("B", encoded.tobytes())))
    ros.until(lambda: camera.persons)
    assert len(camera.persons[0].persons) == 1
    ros.until(lambda: len(camera.stats) == 2)
    assert (camera.stats[-1].received, camera.stats[-1].dropped) == (2, 1)


def test_privacy_downsampling_comes_first(ros, active, camera):
    active(downsample=12)  # an integer, as ROS users write it
    camera.send()
    ros.until(lambda: camera.persons)
    assert camera.persons[0].downsample == 12.0


def test_skeletons_reach_a_late_listener_and_markers_only_a_listener(ros, active, camera, namespace):
    active()
    late = ros.add(create_node("late", namespace=namespace))
    skeletons: list[SkeletonDefinition] = []
    late.create_subscription(SkeletonDefinition, "orpose/skeletons", skeletons.append, LATCHED_QOS)
    ros.until(lambda: len(skeletons) == 2)
    assert {skeleton.name for skeleton in skeletons} == {"coco17", "h36m17"}
    markers: list[MarkerArray] = []
    late.create_subscription(MarkerArray, "orpose/camera/markers", markers.append, 10)
    ros.until(lambda: late.count_publishers("orpose/camera/markers") == 1)
    ros.spin_for(0.5)
    header = camera.send()
    ros.until(lambda: markers)
    assert markers[0].markers[1].header == header


def test_overlay_is_drawn_only_when_asked_for(ros, active, camera, namespace):
    node = active()
    viewer = ros.add(create_node("viewer", namespace=namespace))
    pictures: list[Image] = []
    viewer.create_subscription(Image, "orpose/camera/overlay", pictures.append, 10)
    ros.spin_for(0.5)
    camera.send()
    ros.until(lambda: camera.persons)
    ros.spin_for(0.2)
    assert pictures == []
    (result,) = node.set_parameters([Parameter("overlay", value=True)])
    assert result.successful
    header = camera.send()
    ros.until(lambda: pictures)
    assert pictures[0].header == header
    assert (pictures[0].width, pictures[0].height, pictures[0].encoding) == (640, 480, "bgr8")


# --- control -------------------------------------------------------------------------------------------------------


def test_set_enabled_drops_and_counts(ros, active, camera, namespace):
    active()
    client = ros.add(create_node("client", namespace=namespace)).create_client(SetBool, "orpose/set_enabled")
    ros.until(client.service_is_ready)
    for enabled in (False, True):
        future = client.call_async(SetBool.Request(data=enabled))
        ros.until(future.done)
        assert future.result().success
        camera.send()
        ros.until(lambda: len(camera.stats) == 1 + enabled)  # noqa: B023
    assert len(camera.persons) == 1
    assert (camera.stats[-1].received, camera.stats[-1].dropped) == (2, 1)


def test_images_beyond_max_fps_are_dropped_and_counted(ros, active, camera):
    node = active(max_fps=0.1)
    sent = [camera.send() for _ in range(3)]
    ros.until(lambda: len(camera.stats) == 3)
    ros.until(lambda: camera.persons)
    assert [message.header for message in camera.persons] == sent[:1]
    assert node.cameras["camera"].counts.totals().dropped_by_reason == {"beyond max_fps": 2}
    assert node.set_parameters([Parameter("max_fps", value=0.0)])[0].successful
    camera.send()
    ros.until(lambda: len(camera.persons) == 2)


def test_a_bad_parameter_is_refused_with_its_reason(make_node):
    node = make_node()
    assert node.trigger_configure() == SUCCESS
    for name, value in (
        ("score_threshold", 1.5),
        ("score_threshold", "much"),
        ("watchdog_s", 0.0),
        ("model", "x.onnx"),
    ):
        (result,) = node.set_parameters([Parameter(name, value=value)])
        assert not result.successful
        assert result.reason
    assert node.get_parameter("score_threshold").value == 0.5


def test_the_threshold_changes_at_run_time(ros, active, camera):
    node = active()
    (result,) = node.set_parameters([Parameter("score_threshold", value=0.95)])
    assert result.successful
    camera.send()
    ros.until(lambda: camera.persons)
    assert camera.persons[0].persons == []
    node.set_parameters([Parameter("score_threshold", value=0.1)])
    camera.send()
    ros.until(lambda: len(camera.persons) == 2)
    assert len(camera.persons[1].persons) == 1


def test_parameters_are_those_of_the_configuration(make_node):
    node = make_node()
    assert node.describe_parameter("downsample").read_only
    assert node.get_parameter("cameras").get_parameter_value().type == ParameterType.PARAMETER_STRING_ARRAY


# --- health --------------------------------------------------------------------------------------------------------


def test_diagnostics_name_what_is_used(ros, active, camera):
    active()
    camera.send()
    ros.until(lambda: camera.diagnostics and camera.values().get("answered") == "1")
    status = camera.diagnostics[-1].status[0]
    assert status.level == b"\0"
    values = camera.values()
    assert (values["model"], values["backend"], values["precision"]) == ("fake@00000000", "onnxruntime", "fp32")
    assert (values["received"], values["dropped"]) == ("1", "0")
    assert "engine" not in values


def test_diagnostics_name_the_precision_and_engine_that_were_built(ros, active, camera, monkeypatch, fake_model):
    built = dataclasses.replace(
        PoseEstimator(RuntimeConfig(model=str(fake_model))).info, precision="fp16", engine="loaded from x.engine"
    )
    monkeypatch.setattr(PoseEstimator, "info", built)
    monkeypatch.setattr(PoseEstimator, "backend", "tensorrt")
    active()
    ros.until(lambda: camera.diagnostics)
    values = camera.values()
    assert (values["backend"], values["precision"], values["engine"]) == ("tensorrt", "fp16", "loaded from x.engine")


def test_watchdog_names_topic_qos_and_publishers(ros, active, camera, namespace):
    active(watchdog_s=0.2)
    ros.until(lambda: camera.diagnostics and camera.diagnostics[-1].status[0].level == b"\1")
    message = camera.diagnostics[-1].status[0].message
    for part in (f"{namespace}/camera/image_raw", "reliable", f"{namespace}/driver", "sensor_msgs/msg/Image"):
        assert part in message


def test_a_publisher_that_changes_its_reliability_is_followed(ros, active, camera, namespace):
    active()
    driver = next(node for node in ros.nodes if node.get_name() == "driver")
    driver.destroy_publisher(camera.publisher)
    ros.spin_for(0.5)
    other = Camera(ros.add(create_node("driver2", namespace=namespace)), ReliabilityPolicy.BEST_EFFORT)
    ros.until(lambda: other.publisher.get_subscription_count() == 1)
    ros.spin_for(0.5)
    other.send(other.image(np.zeros((48, 64, 3), np.uint8)))
    ros.until(lambda: other.persons)


def test_a_newer_frame_displaces_a_waiting_one(ros, active, camera, monkeypatch):
    """Five frames while the first is being looked at: the last one is answered next, the others are dropped."""
    node = active()
    release, entered = threading.Event(), threading.Event()
    infer_batch = node.estimator.infer_batch

    def slow_infer(prepared):
        entered.set()
        assert release.wait(20)
        return infer_batch(prepared)

    monkeypatch.setattr(node.estimator, "infer_batch", slow_infer)
    first = camera.send()
    ros.until(entered.is_set)
    later = []
    for count in range(2, 7):
        later.append(camera.send())
        ros.until(lambda: node.cameras["camera"].counts.totals().received == count)  # noqa: B023
    release.set()
    ros.until(lambda: len(camera.stats) == 6)
    assert [message.header for message in camera.persons] == [first, later[-1]]
    assert (camera.stats[-1].received, camera.stats[-1].dropped) == (6, 4)
