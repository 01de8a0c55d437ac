"""Persons as the bodies of REP-155 (ROS4HRI), for libhri and what is built on it: `ros2 run orpose orpose_rep155`.

Publishes /humans/bodies/tracked and, for each tracked body, /humans/bodies/{id}/skeleton2d, roi and (where metres are
known) position. Never `cropped`: no pixels leave this way.
"""

from __future__ import annotations

import importlib
import math
import signal
import sys
import threading
import time
from functools import partial
from types import ModuleType
from typing import Any

import rclpy
from geometry_msgs.msg import PointStamped
from orpose_msgs.msg import Person, PersonArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Header

from orpose_models.errors import BackendError
from orpose_models.skeleton import COCO17, H36M17
from orpose_ros.config import NodeConfig
from orpose_ros.qos import OUTPUT_QOS

#: hri_msgs' joints are COCO's in another order (its constants have COCO's names in capitals), and this one.
_NECK = "NECK"
_SHOULDERS = (COCO17.index("left_shoulder"), COCO17.index("right_shoulder"))
#: Bodies of a camera that has not answered for so long are no longer tracked, s; looked at once a second.
_SILENT_S, _PERIOD_S = 1.5, 1.0
#: A body that was not seen for so long loses its topics; a track does not come back later.
_FORGET_S = 30.0
#: How soon a signal ends the bridge, at the latest.
_SPIN_S = 0.2

Point = tuple[float, float, float]


def normalised_joints(person: Person, width: int, height: int) -> dict[str, Point]:
    """hri_msgs' joint name -> x, y in [0, 1] of the image, and confidence; 0 for what is missing or outside."""

    def normalised(x: float, y: float, score: float) -> Point:
        x, y = x / width, y / height
        return (x, y, score) if 0 <= x <= 1 and 0 <= y <= 1 else (0.0, 0.0, 0.0)  # NaN is outside, too

    joints = [(joint.x, joint.y, joint.score) for joint in person.keypoints_2d]
    left, right = (joints[index] for index in _SHOULDERS)
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2, min(left[2], right[2]))
    named = dict(zip((name.upper() for name in COCO17.joint_names), joints, strict=True)) | {_NECK: neck}
    return {name: normalised(*joint) for name, joint in named.items()}


def normalised_box(person: Person, width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in [0, 1] of the image."""
    edges = (
        person.bbox_x / width,
        person.bbox_y / height,
        (person.bbox_x + person.bbox_w) / width,
        (person.bbox_y + person.bbox_h) / height,
    )
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in edges)
    return left, top, right, bottom


class Body:
    """The topics of one body."""

    def __init__(self, node: Node, messages: ModuleType, body_id: str) -> None:
        self.last_seen_s = time.monotonic()
        self._node, self._messages = node, messages
        prefix = f"/humans/bodies/{body_id}"
        self._skeleton = node.create_publisher(messages.Skeleton2D, f"{prefix}/skeleton2d", OUTPUT_QOS)
        self._roi = node.create_publisher(messages.NormalizedRegionOfInterest2D, f"{prefix}/roi", OUTPUT_QOS)
        self._position = node.create_publisher(PointStamped, f"{prefix}/position", OUTPUT_QOS)

    def publish(self, person: Person, answer: PersonArray) -> None:
        """What is known of the body in one image."""
        self.last_seen_s = time.monotonic()
        size = (answer.image_width, answer.image_height)
        skeleton = self._messages.Skeleton2D(header=answer.header)
        for name, (x, y, confidence) in normalised_joints(person, *size).items():
            point = self._messages.NormalizedPointOfInterest2D(x=x, y=y, c=confidence)
            skeleton.skeleton[getattr(self._messages.Skeleton2D, name)] = point
        self._skeleton.publish(skeleton)
        edges: dict[str, Any] = dict(zip(("xmin", "ymin", "xmax", "ymax"), normalised_box(person, *size), strict=True))
        self._roi.publish(
            self._messages.NormalizedRegionOfInterest2D(header=answer.header, c=float(person.score), **edges)
        )
        if person.keypoints_3d_metric and not math.isnan(person.keypoints_3d_metric[H36M17.root].position.x):
            position = person.keypoints_3d_metric[H36M17.root].position
            self._position.publish(PointStamped(header=answer.header, point=position))

    def destroy(self) -> None:
        publishers: tuple[Publisher, ...] = (self._skeleton, self._roi, self._position)
        for publisher in publishers:
            self._node.destroy_publisher(publisher)


class Bridge(Node):
    """Listens to the answers of the cameras named by the parameter `cameras`, the pose node's by default."""

    def __init__(self, **options: Any) -> None:
        """Raises:
        BackendError: hri_msgs is not installed.
        """
        messages = _hri_msgs()
        super().__init__("orpose_rep155", **options)
        cameras: list[str] = self.declare_parameter("cameras", list(NodeConfig().cameras)).value
        self._messages = messages
        self._bodies: dict[str, Body] = {}
        self._seen: dict[str, list[str]] = {camera: [] for camera in cameras}  # camera -> bodies in its last image
        self._answered_s: dict[str, float] = dict.fromkeys(cameras, -math.inf)
        self._tracked = self.create_publisher(messages.IdsList, "/humans/bodies/tracked", OUTPUT_QOS)
        for camera in cameras:
            self.create_subscription(
                PersonArray, f"orpose/{camera}/persons", partial(self._receive, camera), OUTPUT_QOS
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # also with use_sim_time and no /clock
        self.create_timer(_PERIOD_S, self._clear_silent, clock=steady)

    def _receive(self, camera: str, answer: PersonArray) -> None:
        seen = []
        for person in answer.persons:
            if person.track_id < 0:
                self.get_logger().warning(
                    f"{camera}: persons without a track are no REP-155 bodies; switch the node's tracking on",
                    throttle_duration_sec=30.0,
                )
            elif person.track_state != Person.TRACK_LOST:
                body_id = f"{camera.replace('/', '_')}_{person.track_id}"
                if body_id not in self._bodies:
                    self._bodies[body_id] = Body(self, self._messages, body_id)
                self._bodies[body_id].publish(person, answer)
                seen.append(body_id)
        self._seen[camera], self._answered_s[camera] = seen, time.monotonic()
        self._publish_tracked(answer.header)
        self._forget()

    def _clear_silent(self) -> None:
        """Who was in the last image of a camera that died is not there for ever."""
        now_s = time.monotonic()
        silent = [name for name, bodies in self._seen.items() if bodies and now_s - self._answered_s[name] > _SILENT_S]
        self._seen.update({name: [] for name in silent})
        if silent:
            self._publish_tracked(Header(stamp=self.get_clock().now().to_msg()))
        self._forget()

    def _publish_tracked(self, header: Header) -> None:
        ids = [body_id for bodies in self._seen.values() for body_id in bodies]
        self._tracked.publish(self._messages.IdsList(header=header, ids=ids))

    def _forget(self) -> None:
        now_s = time.monotonic()
        for body_id in [name for name, body in self._bodies.items() if now_s - body.last_seen_s > _FORGET_S]:
            self._bodies.pop(body_id).destroy()


def _hri_msgs() -> ModuleType:
    try:
        return importlib.import_module("hri_msgs.msg")
    except ImportError:
        raise BackendError(
            "hri_msgs is not installed, and REP-155's messages are in it: apt install ros-$ROS_DISTRO-hri-msgs"
        ) from None


def main(args: list[str] | None = None) -> int:
    """Runs the bridge until SIGINT or SIGTERM. Returns 0, or 2 when it cannot start."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        bridge = Bridge()
        while not stopped.is_set():
            rclpy.spin_once(bridge, timeout_sec=_SPIN_S)
        bridge.destroy_node()
    except BackendError as error:
        print(f"orpose_rep155: {error}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
