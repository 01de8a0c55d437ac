"""The node over time and in metres: identities, calibration, depth by stamp, and what is wrong with them."""

from __future__ import annotations

import array
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from orpose_msgs.msg import PersonArray
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from orpose_ros.node import PoseNode

SUCCESS = TransitionCallbackReturn.SUCCESS
FRAME = "camera_optical_frame"
START_NS = 1_700_000_000 * 10**9
STEP_NS = 66_000_000


class Rig:
    """A depth camera's driver, and somebody who listens to the answers."""

    def __init__(self, node: Node) -> None:
        reliable = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self._images = node.create_publisher(Image, "camera/image_raw", reliable)
        self._depths = node.create_publisher(Image, "camera/depth/image_raw", reliable)
        self._infos = node.create_publisher(CameraInfo, "camera/camera_info", reliable)
        self.persons: list[PersonArray] = []
        self.diagnostics: list[Any] = []
        node.create_subscription(PersonArray, "orpose/camera/persons", self.persons.append, 10)
        from diagnostic_msgs.msg import DiagnosticArray

        node.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 10)

    def is_found(self) -> bool:
        return all(p.get_subscription_count() == 1 for p in (self._images, self._depths, self._infos))

    def send_info(self, k: tuple[float, ...] = (500, 0, 319.5, 0, 500, 239.5, 0, 0, 1), width: int = 640) -> None:
        info = CameraInfo(width=width, height=480, distortion_model="plumb_bob", d=[0.0] * 5, k=[float(v) for v in k])
        info.header.frame_id = FRAME
        self._infos.publish(info)

    def send_depth(self, stamp_ns: int, dtype: type = np.uint16, frame_id: str = FRAME, **changes: Any) -> None:
        """Two metres everywhere."""
        values = np.full((480, 640), 2000 if dtype is np.uint16 else 2.0, dtype)
        encoding = "16UC1" if dtype is np.uint16 else "32FC1"
        self._publish(self._depths, values, encoding, stamp_ns, frame_id, changes)

    def send_image(self, stamp_ns: int, left: int = 200) -> None:
        """One person to the fake model."""
        pixels = np.zeros((480, 640, 3), np.uint8)
        pixels[100:300, left : left + 60, 0] = 255
        self._publish(self._images, pixels, "bgr8", stamp_ns, FRAME, {})

    def _publish(self, publisher, values, encoding: str, stamp_ns: int, frame_id: str, changes: dict[str, Any]) -> None:
        image = Image(height=values.shape[0], width=values.shape[1], encoding=encoding, step=values.strides[0])
        image.data = array.array("B", values.tobytes())
        image.header.stamp = Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        image.header.frame_id = frame_id
        for name, value in changes.items():
            setattr(image, name, value)
        publisher.publish(image)

    def status(self) -> Any:
        return self.diagnostics[-1].status[0]


@pytest.fixture
def rig(ros, namespace) -> Rig:
    return Rig(ros.add(create_node("driver", namespace=namespace)))


@pytest.fixture
def active(ros, namespace, fake_model, rig) -> Callable[..., PoseNode]:
    def make(**parameters: Any) -> PoseNode:
        values = {"model": str(fake_model), "threads": 1, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))
        assert node.trigger_configure() == SUCCESS, node.failure
        assert node.trigger_activate() == SUCCESS, node.failure
        ros.until(lambda: node.cameras["camera"].source.reliability == ReliabilityPolicy.RELIABLE)
        ros.until(rig.is_found)
        return node

    return make


@pytest.fixture
def answer(ros, rig) -> Callable[..., Any]:
    """Sends depth and image; returns the one person of the answer."""

    def ask(index: int = 0, depth_after_ns: int | None = 0, left: int = 200, **depth: Any) -> Any:
        stamp_ns, before = START_NS + index * STEP_NS, len(rig.persons)
        if depth_after_ns is not None:
            rig.send_depth(stamp_ns + depth_after_ns, **depth)
            ros.spin_for(0.2)
        rig.send_image(stamp_ns, left)
        ros.until(lambda: len(rig.persons) > before)
        (person,) = rig.persons[-1].persons
        return person

    return ask


def test_identities_over_time_and_after_a_gap(active, answer):
    active()
    found = [answer(index, None, left=200 + 4 * min(index, 4)) for index in (0, 1, 2, 3, 600)]
    assert [person.track_id for person in found] == [1, 1, 1, 1, 2]
    assert [person.track_state for person in found] == [1, 1, 2, 2, 1]


def test_without_tracking_there_are_no_ids_and_no_smoothing(active, answer):
    active(tracking=False)
    for index in range(3):
        person = answer(index, None, left=200 + 30 * index)
        assert (person.track_id, person.track_state) == (-1, person.TRACK_NONE)
        assert person.keypoints_2d[0].x == pytest.approx(person.bbox_x, abs=1)


def test_smoothing_can_be_switched_off_at_run_time(active, answer):
    node = active()
    answer(0, None, left=200)
    assert answer(1, None, left=230).keypoints_2d[0].x < 225
    (result,) = node.set_parameters([Parameter("smoothing", value=False)])
    assert result.successful, result.reason
    assert answer(2, None, left=260).keypoints_2d[0].x == pytest.approx(260, abs=1)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_depth_and_calibration_give_metres(ros, rig, active, answer, dtype):
    active(smoothing=False)
    rig.send_info()
    ros.spin_for(0.2)
    person = answer(dtype=dtype)
    assert (person.root_source, len(person.keypoints_3d_metric)) == (person.ROOT_DEPTH, 17)
    for index in (0, 5, 12):  # joints of Human3.6M that are seen, flesh is before them
        joint = person.keypoints_3d_metric[index].position
        assert 2.0 < joint.z < 2.2
    pelvis_px = [(person.keypoints_2d[11].x + person.keypoints_2d[12].x) / 2 - 320, None]
    assert person.root.x == pytest.approx(pelvis_px[0] / 500 * person.root.z, abs=0.005)


@pytest.mark.parametrize(("after_ms", "source"), [(49, 1), (-49, 1), (51, 0), (None, 0)])
def test_depth_is_taken_within_50_ms_only(ros, rig, active, answer, after_ms, source):
    active()
    rig.send_info()
    ros.spin_for(0.2)
    person = answer(depth_after_ns=None if after_ms is None else after_ms * 1_000_000)
    # The fake model's joints are no body: without depth nothing can be said.
    assert (person.root_source, len(person.keypoints_3d_metric)) == (source, 17 * source)


def test_equal_stamps_only_if_wanted(ros, rig, active, answer):
    active(depth_sync_ms=0.0)
    rig.send_info()
    ros.spin_for(0.2)
    assert answer(0, depth_after_ns=1).root_source == 0
    assert answer(1, depth_after_ns=0).root_source == 1


@pytest.mark.parametrize(
    ("info", "expected"),
    [({"k": (0.0,) * 9}, "the camera is not calibrated"), ({"width": 1280}, "another aspect")],
)
def test_a_calibration_that_cannot_be_is_no_calibration_and_told(ros, rig, active, answer, info, expected):
    active()
    rig.send_info(**info)
    ros.spin_for(0.2)
    person = answer()
    assert (person.root_source, person.keypoints_3d_metric) == (person.ROOT_NONE, [])
    rig.diagnostics.clear()
    ros.until(lambda: rig.diagnostics)
    assert rig.status().level == b"\1"
    assert expected in rig.status().message
    rig.send_info()
    ros.spin_for(0.2)
    assert answer(1).root_source == person.ROOT_DEPTH
    rig.diagnostics.clear()
    ros.until(lambda: rig.diagnostics)
    assert "calibrat" not in rig.status().message


def test_depth_without_a_calibration_is_told(ros, rig, active, answer):
    active()
    assert answer().root_source == 0
    rig.diagnostics.clear()
    ros.until(lambda: rig.diagnostics)
    assert rig.status().level == b"\1"
    assert re.search(r"no camera_info on /\S+/camera/camera_info(;|$)", rig.status().message)
    rig.send_info()
    ros.spin_for(0.2)
    answer(1)
    rig.diagnostics.clear()
    ros.until(lambda: rig.diagnostics)
    assert "camera_info" not in rig.status().message


def test_no_calibration_is_no_alarm(ros, rig, active, answer):
    active()
    assert answer(0, None).root_source == 0
    rig.diagnostics.clear()
    ros.until(lambda: rig.diagnostics)
    assert "camera_info" not in rig.status().message and "calibrat" not in rig.status().message
    values = {item.key: item.value for item in rig.status().values}
    assert values["metric: calibration"].endswith("camera/camera_info: -")


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        ({"frame_id": "depth_optical_frame"}, "not registered"),
        ({"encoding": "mono8"}, "encoding 'mono8'"),
        ({"height": 240}, "step"),
    ],
)
def test_depth_that_cannot_be_used_is_told_and_the_frame_is_answered(ros, rig, active, answer, depth, expected):
    active()
    rig.send_info()
    ros.spin_for(0.2)
    assert answer(**depth).root_source == 0
    rig.diagnostics.clear()
    ros.until(lambda: rig.diagnostics)
    assert expected in rig.status().message


def test_no_depth_image_is_published_with_or_without_downsampling(ros, rig, active, answer):
    """Of the depth only positions of joints leave the node: it publishes no other image than the overlay."""
    node = active(downsample=12)
    rig.send_info()
    ros.spin_for(0.2)
    assert answer().root_source == 1
    images = [p.topic_name for p in node.publishers if p.msg_type.__name__ in ("Image", "CompressedImage")]
    assert [name.rsplit("/", 1)[-1] for name in images] == ["overlay"]
