"""The REP-155 bridge, against message definitions that stand in for hri_msgs."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from orpose_msgs.msg import Keypoint2D, Keypoint3D, Person, PersonArray
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from orpose_models.skeleton import COCO17
from orpose_ros import rep155
from orpose_ros.rep155 import Bridge, normalised_box, normalised_joints

ROOT = Path(__file__).resolve().parents[2]
#: Sends two answers on a camera's topic, and prints what the bridge makes of them.
SEND_AND_LISTEN = """
import json, sys, time
import rclpy
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from geometry_msgs.msg import PointStamped
from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D, Skeleton2D
from orpose_msgs.msg import PersonArray

rclpy.init()
node = rclpy.create_node("listener", namespace=sys.argv[1])
answers = [deserialize_message(bytes.fromhex(word), PersonArray) for word in sys.argv[2:]]
publisher = node.create_publisher(PersonArray, "orpose/cam1/persons", 10)
tracked, got = [], {}
node.create_subscription(IdsList, "/humans/bodies/tracked", tracked.append, 10)
for name, kind in (("skeleton2d", Skeleton2D), ("roi", NormalizedRegionOfInterest2D), ("position", PointStamped)):
    node.create_subscription(kind, f"/humans/bodies/cam1_4/{name}", lambda m, name=name: got.update({name: m}), 10)
deadline_s = time.monotonic() + 60
while (len(got) < 3 or not tracked) and time.monotonic() < deadline_s:
    publisher.publish(answers[0])
    rclpy.spin_once(node, timeout_sec=0.2)
first = tracked[0]
while tracked[-1].ids and time.monotonic() < deadline_s:
    publisher.publish(answers[1])
    rclpy.spin_once(node, timeout_sec=0.2)
later = list(tracked[-1].ids)
while not tracked[-1].ids and time.monotonic() < deadline_s:
    publisher.publish(answers[0])
    rclpy.spin_once(node, timeout_sec=0.2)
while tracked[-1].ids and time.monotonic() < deadline_s:  # the camera is silent
    rclpy.spin_once(node, timeout_sec=0.2)
joint = {name: got["skeleton2d"].skeleton[getattr(Skeleton2D, name)] for name in ("LEFT_EYE", "RIGHT_WRIST", "NECK")}
roi = got["roi"]
print(json.dumps({
    "frame": first.header.frame_id, "ids": list(first.ids), "later": later, "silent": list(tracked[-1].ids),
    "joints": {name: [point.x, point.y, point.c] for name, point in joint.items()},
    "roi": [roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c], "z": got["position"].point.z,
    "topics": sorted(name for name, _ in node.get_topic_names_and_types() if name.startswith("/humans")),
}))
node.destroy_node()
rclpy.shutdown()
"""


def person(track_id: int, state: int = Person.TRACK_CONFIRMED) -> Person:
    """COCO joint i at (10 i, 20 i) px with score i / 20."""
    joints = [Keypoint2D(x=10.0 * i, y=20.0 * i, score=i / 20) for i in range(17)]
    metric = [Keypoint3D(score=1.0) for _ in range(17)]
    metric[0].position.z = 2.5
    box = {"bbox_x": -10.0, "bbox_y": 60.0, "bbox_w": 110.0, "bbox_h": 120.0}
    return Person(
        track_id=track_id, track_state=state, score=0.75, keypoints_2d=joints, keypoints_3d_metric=metric, **box
    )


def answer(*persons: Person) -> PersonArray:
    return PersonArray(header=Header(frame_id="cam1_optical"), image_width=200, image_height=400, persons=list(persons))


class Spoken(SimpleNamespace):
    """Stands in for a message or a publisher: takes what it is given."""

    def publish(self, message) -> None:
        self.published.append(message)


def test_bodies_of_a_silent_camera_are_no_longer_tracked(ros, namespace, monkeypatch):
    """Without hri_msgs, so that it runs everywhere: what the bridge would publish."""
    now_s = 0.0
    tracked = Spoken(published=[])
    monkeypatch.setattr(rep155, "_hri_msgs", lambda: SimpleNamespace(IdsList=Spoken))
    monkeypatch.setattr(rep155, "Body", lambda *_: SimpleNamespace(last_seen_s=now_s, publish=lambda *_: None))
    monkeypatch.setattr(rep155.time, "monotonic", lambda: now_s)
    monkeypatch.setattr(Bridge, "create_publisher", lambda *_, **__: tracked)
    bridge = ros.add(
        Bridge(namespace=namespace, parameter_overrides=[Parameter("cameras", value=["cam1", "cam2"])],
               enable_rosout=False, start_parameter_services=False)
    )  # fmt: skip
    bridge._receive("cam1", answer(person(1)))
    now_s = 1.0
    bridge._receive("cam2", answer(person(2)))
    bridge._clear_silent()
    assert tracked.published[-1].ids == ["cam1_1", "cam2_2"]
    now_s = 2.0
    bridge._clear_silent()
    assert tracked.published[-1].ids == ["cam2_2"]


def test_joints_by_name_in_parts_of_the_image():
    joints = normalised_joints(person(1), 200, 400)
    assert len(joints) == 18
    assert joints["LEFT_SHOULDER"] == pytest.approx((50 / 200, 100 / 400, 5 / 20))
    assert joints["RIGHT_ANKLE"] == pytest.approx((160 / 200, 320 / 400, 16 / 20))
    assert joints["NECK"] == pytest.approx((55 / 200, 110 / 400, 5 / 20)), "between the shoulders"


def test_a_joint_that_is_missing_or_outside_the_image_has_no_confidence():
    someone = person(1)
    someone.keypoints_2d[0] = Keypoint2D(x=math.nan, y=math.nan)
    someone.keypoints_2d[COCO17.index("left_knee")] = Keypoint2D(x=100.0, y=401.0, score=0.9)
    joints = normalised_joints(someone, 200, 400)
    assert joints["NOSE"] == joints["LEFT_KNEE"] == (0, 0, 0)


def test_the_box_stays_in_the_image():
    assert normalised_box(person(1), 200, 400) == pytest.approx((0.0, 0.15, 0.5, 0.45))


@pytest.mark.timeout(590)  # the first time it builds messages
def test_over_dds(start, foreign_messages, namespace):
    options = ("--ros-args", "-r", f"__ns:={namespace}", "-p", "cameras:=[cam1]")
    bridge = start("orpose_ros.rep155", *options, **foreign_messages)
    sent = [answer(person(4), person(-1), person(5, Person.TRACK_LOST)), answer()]
    words = [sys.executable, "-c", SEND_AND_LISTEN, namespace, *(serialize_message(one).hex() for one in sent)]
    ended = subprocess.run(
        words, cwd=ROOT, env=os.environ | foreign_messages, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    got = json.loads(ended.stdout)
    assert (got["frame"], got["ids"], got["later"]) == ("cam1_optical", ["cam1_4"], [])
    assert got["silent"] == []
    assert got["joints"]["LEFT_EYE"] == pytest.approx([10 / 200, 20 / 400, 1 / 20])
    assert got["joints"]["RIGHT_WRIST"] == pytest.approx([100 / 200, 200 / 400, 10 / 20])
    assert got["roi"] == pytest.approx([0.0, 0.15, 0.5, 0.45, 0.75])
    assert got["z"] == 2.5
    assert not any("cropped" in topic for topic in got["topics"])
    bridge.send_signal(signal.SIGINT)
    _, errors = bridge.communicate(timeout=60)
    assert bridge.returncode == 0
    assert "without a track" in errors
    assert "Traceback" not in errors


@pytest.mark.skipif(importlib.util.find_spec("hri_msgs") is not None, reason="hri_msgs is installed")
def test_without_hri_msgs_it_says_what_to_install(start):
    bridge = start("orpose_ros.rep155")
    output, errors = bridge.communicate(timeout=60)
    assert (bridge.returncode, output) == (2, "")
    assert errors.startswith("orpose_rep155: hri_msgs is not installed") and errors.count("\n") == 1
