"""The node fuses two cameras: who stands where in the room, ids, diagnostics of moved cameras and wrong clocks.

Two parallel cameras, 0.3 m apart. The fake model puts COCO joint i at i / 16 of a box's diagonal; here its lifted pose
is the same line, 10 mm from joint to joint sideways and down: 160 mm, which cover 80 px at 1 m and 500 px focal length.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from orpose_msgs.msg import Person, PersonArray
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.time import Time
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from orpose_models.annotations import Camera
from orpose_models.multiview.calibration import write_cameras
from orpose_models.skeleton import h36m17_from_coco17
from orpose_ros import node as node_module
from orpose_ros import room as room_module
from orpose_ros.node import PoseNode
from orpose_ros.tf_frames import joint_transforms

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
BASELINE_M, FOCAL_PX, SIDE_PX = 0.3, 500.0, 80
STARTED_NS = 1_700_000_000 * 10**9


def parallel_cameras() -> dict[str, Camera]:
    cameras = {}
    for name, x in (("left", 0.0), ("right", BASELINE_M)):
        pose = np.eye(4)
        pose[0, 3] = x
        cameras[name] = Camera(name, "plumb_bob", (640, 480), FOCAL_PX, FOCAL_PX, 320, 240, (), pose)
    return cameras


@pytest.fixture
def calibration(tmp_path) -> Path:
    write_cameras(tmp_path / "calibration.json", parallel_cameras(), {})
    return tmp_path / "calibration.json"


@pytest.fixture(scope="session")
def make_line_model(make_fake_model) -> Callable[..., Path]:
    """The fake model with a lifted pose that is the line it sees."""
    onnx = pytest.importorskip("onnx")

    def make(batch: int = 1) -> Path:
        path = make_fake_model(batch=batch)
        model = onnx.load(path)
        line = h36m17_from_coco17(np.arange(17.0)[:, None] * (10, 10, 0))
        lifted = np.column_stack([line - line[0], np.full(17, 0.5)])
        constant = next(each for each in model.graph.initializer if each.name == "joints_3d")
        values = np.tile(lifted, (batch, 3, 1, 1)).astype(np.float32)
        constant.CopyFrom(onnx.numpy_helper.from_array(values, "joints_3d"))
        onnx.save(model, path)
        return path

    return make


@pytest.fixture
def make_node(ros, namespace, make_line_model, calibration) -> Callable[..., PoseNode]:
    def make(**parameters: Any) -> PoseNode:
        values = {
            "model": str(make_line_model()), "threads": 1, "cameras": ["left", "right"], "fuse": True,
            "calibration": str(calibration), **parameters,
        }  # fmt: skip
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        return ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))

    return make


class Rig:
    """Both cameras' drivers, and somebody who listens."""

    def __init__(self, ros, namespace: str) -> None:
        self.node = ros.add(create_node("drivers", namespace=namespace))
        self.publishers = {n: self.node.create_publisher(Image, f"{n}/image_raw", 10) for n in ("left", "right")}
        self.room: list[PersonArray] = []
        self.markers: list[MarkerArray] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.node.create_subscription(PersonArray, "orpose/room/persons", self.room.append, 10)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 10)

    def send(self, camera: str, stamp_ms: float, *corners: tuple[int, int], side: int = SIDE_PX) -> None:
        """Publishes an image with a person in a blue box for each upper left corner (at most one of each colour)."""
        pixels = np.zeros((480, 640, 3), np.uint8)
        for channel, (x, y) in enumerate(corners):
            pixels[y : y + side, x : x + side, channel] = 255
        image = Image(height=480, width=640, encoding="bgr8", step=1920, data=array.array("B", pixels.tobytes()))
        image.header.stamp = Time(nanoseconds=STARTED_NS + round(stamp_ms * 1e6)).to_msg()
        image.header.frame_id = camera
        self.publishers[camera].publish(image)

    def send_both(self, stamp_ms: float, x: int = 300, y: int = 200, distance_m: float = 1.0, down_px: int = 0) -> None:
        """A person at a distance; `down_px` lower in the right image than the calibration says."""
        self.send("left", stamp_ms, (x, y))
        self.send("right", stamp_ms, (round(x - FOCAL_PX * BASELINE_M / distance_m), y + down_px))

    def room_status(self) -> DiagnosticStatus | None:
        found = [s for message in self.diagnostics[-1:] for s in message.status if s.hardware_id == "room"]
        return found[0] if found else None


@pytest.fixture
def rig(ros, namespace) -> Rig:
    return Rig(ros, namespace)


@pytest.fixture
def active(ros, make_node, rig) -> Iterator[Callable[..., PoseNode]]:
    nodes: list[PoseNode] = []

    def make(**parameters: Any) -> PoseNode:
        node = make_node(**parameters)
        nodes.append(node)
        assert node.trigger_configure() == SUCCESS, node.failure
        assert node.trigger_activate() == SUCCESS, node.failure
        ros.until(lambda: all(p.get_subscription_count() == 1 for p in rig.publishers.values()))
        return node

    yield make
    for node in nodes:
        node.trigger_shutdown()


def pelvis(person: Person) -> tuple[float, float, float]:
    position = person.keypoints_3d_metric[0].position
    return position.x, position.y, position.z


def test_a_person_seen_by_both_cameras_stands_in_the_room(ros, active, rig):
    active()
    rig.send_both(0)
    ros.until(lambda: rig.room)
    message = rig.room[0]
    assert message.header.frame_id == "room"
    assert message.header.stamp == Time(nanoseconds=STARTED_NS).to_msg()
    assert (message.format_2d, message.format_3d, message.model_id) == ("", "h36m17", "fake@00000000")
    (person,) = message.persons
    # Hips are joints 11 and 12: the pelvis is seen at 300 + 11.5 / 16 * 80 = 357.5, 257.5 px.
    assert pelvis(person) == pytest.approx((37.5 / 500, 17.5 / 500, 1.0), abs=0.02)
    assert person.score == pytest.approx(0.9)
    assert (len(person.keypoints_2d), len(person.keypoints_3d_rel), len(person.keypoints_3d_metric)) == (0, 0, 17)
    assert person.track_state == Person.TRACK_TENTATIVE
    assert (person.root_source, (person.root.x, person.root.y, person.root.z)) == (Person.ROOT_VIEWS, pelvis(person))
    assert np.isnan(person.root_covariance).all()


def test_ids_stay_and_are_confirmed(ros, active, rig):
    active()
    for step in range(4):
        rig.send_both(100 * step, x=300 + 10 * step)
        ros.until(lambda step=step: len(rig.room) == step + 1)
    assert {message.persons[0].track_id for message in rig.room} == {rig.room[0].persons[0].track_id}
    assert rig.room[-1].persons[0].track_state == Person.TRACK_CONFIRMED


def test_nobody_in_the_room_is_an_empty_array(ros, active, rig):
    active()
    rig.send("left", 0)
    rig.send("right", 0)
    ros.until(lambda: rig.room)
    assert rig.room[0].persons == []


def test_markers_for_who_listens(ros, active, rig):
    active()
    rig.node.create_subscription(MarkerArray, "orpose/room/markers", rig.markers.append, 10)
    ros.until(lambda: rig.node.count_publishers("orpose/room/markers") == 1)
    ros.spin_for(0.5)
    rig.send_both(0)
    ros.until(lambda: rig.markers)
    assert [marker.ns for marker in rig.markers[0].markers] == ["", "joints", "limbs"]
    assert {marker.header.frame_id for marker in rig.markers[0].markers} == {"room"}


def test_people_in_the_room_get_tf_frames(ros, active, rig, monkeypatch):
    """What is handed to the broadcaster, which needs tf2_msgs (test_tf_frames.py)."""
    handed: list[PersonArray] = []
    broadcaster = SimpleNamespace(publish=handed.append, destroy=lambda: None)
    monkeypatch.setattr(node_module, "JointFrames", lambda node, joint_threshold: broadcaster)
    active(tf=True)
    rig.send_both(0)
    ros.until(lambda: rig.room)
    names = {transform.child_frame_id for message in handed for transform in joint_transforms(message, 0.3)}
    assert f"room/person_{rig.room[0].persons[0].track_id}/pelvis" in names


def test_a_model_of_batch_two_answers_both_cameras_at_once(ros, active, rig, make_line_model, monkeypatch):
    node = active(model=str(make_line_model(batch=2)))
    calls: list[int] = []
    infer_batch = node.estimator.infer_batch
    monkeypatch.setattr(node.estimator, "infer_batch", lambda images: calls.append(len(images)) or infer_batch(images))
    for step in range(5):
        rig.send_both(100 * step)
        ros.until(lambda step=step: len(rig.room) == step + 1)
    assert 2 in calls
    assert all(len(message.persons) == 1 for message in rig.room)


def test_a_bad_image_in_a_batch_costs_nobody_elses_answer(ros, active, rig, make_line_model):
    node = active(model=str(make_line_model(batch=2)))
    bad = Image(height=480, width=640, encoding="purple8", step=1920)
    bad.header.stamp = Time(nanoseconds=STARTED_NS).to_msg()
    rig.publishers["left"].publish(bad)
    rig.send("right", 0, (150, 200))
    ros.until(lambda: node.cameras["right"].counts.totals().answered == 1)
    ros.until(lambda: node.cameras["left"].counts.totals().dropped == 1)


def test_stamps_that_never_meet_are_dropped_and_reported(ros, active, rig):
    active(sync_tolerance_ms=10.0)
    for step in range(30):
        rig.send("left", 100 * step, (300, 200))
        rig.send("right", 100 * step + 50, (150, 200))
        ros.spin_for(0.05)
    ros.until(lambda: rig.room_status() and "found no partners within 10 ms" in rig.room_status().message)
    assert rig.room == []


def test_clocks_that_disagree_are_reported(ros, active, rig):
    active()
    for step in range(20):
        rig.send("left", 50 * step, (300, 200))
        rig.send("right", 50 * step + 700, (150, 200))
        ros.spin_for(0.05)
    ros.until(lambda: rig.room_status() and "clocks disagree: stamps of right are" in rig.room_status().message)
    assert rig.room_status().level == DiagnosticStatus.WARN
    values = {item.key: item.value for item in rig.room_status().values}
    assert float(values["clock ahead: right (s)"]) == pytest.approx(0.7, abs=0.2)


def test_a_camera_that_was_moved_is_reported(ros, active, rig, monkeypatch):
    monkeypatch.setattr(room_module, "_WATCH_PERIOD_S", 0.0)
    active()
    rng = np.random.default_rng(0)
    for step in range(45):
        x, y = rng.integers((200, 40), (500, 300))
        rig.send_both(100 * step, int(x), int(y), down_px=60)
        ros.until(lambda step=step: len(rig.room) >= step)
    ros.until(lambda: rig.room_status() and "left or right seems to have moved" in rig.room_status().message)


def test_without_a_fault_the_room_is_well(ros, active, rig):
    active()
    for step in range(20):
        rig.send_both(50 * step)
        ros.spin_for(0.05)
    ros.until(lambda: rig.room_status() and rig.room_status().message == "OK")
    values = {item.key: item.value for item in rig.room_status().values}
    assert float(values["rays miss: left, right (m, median)"]) < 0.02


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"cameras": ["left", "middle"]}, "no camera 'middle', it has left, right"),
        ({"calibration": "missing.json"}, "missing.json: calibration cannot be read"),
        ({"cameras": ["left"]}, "fuse needs two cameras or more"),
        ({"fuse": False}, "calibration is for fuse, which is off"),
    ],
)
def test_configure_fails_with_the_reason(make_node, parameters, expected):
    node = make_node(**parameters)
    assert node.trigger_configure() == FAILURE
    assert expected in node.failure


def test_images_of_another_aspect_are_reported(ros, active, rig):
    active()
    pixels = np.zeros((360, 640, 3), np.uint8)
    image = Image(height=360, width=640, encoding="bgr8", step=1920, data=array.array("B", pixels.tobytes()))
    rig.publishers["left"].publish(image)
    ros.until(lambda: rig.room_status() and "another aspect" in rig.room_status().message)


def test_a_second_activation_starts_anew(ros, active, rig):
    node = active()
    rig.send_both(0)
    ros.until(lambda: rig.room)
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    ros.until(lambda: all(p.get_subscription_count() == 1 for p in rig.publishers.values()))
    rig.send_both(0)
    ros.until(lambda: len(rig.room) == 2)
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    assert node.room is None
