"""TF frames of joints: names, stamps, and nothing that is not known."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from geometry_msgs.msg import Point
from orpose_msgs.msg import Keypoint3D, Person, PersonArray
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from orpose_models.skeleton import H36M17
from orpose_ros.node import PoseNode
from orpose_ros.tf_frames import is_joint_frame, joint_transforms

ROOT = Path(__file__).resolve().parents[2]
#: Publishes one answer through the node's own broadcaster, and prints what a listener on /tf gets.
BROADCAST = """
import json, sys, time
import rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.serialization import deserialize_message
from tf2_msgs.msg import TFMessage
from orpose_msgs.msg import PersonArray
from orpose_ros.tf_frames import JointFrames

rclpy.init()
node = LifecycleNode("broadcaster")
frames = JointFrames(node, lambda: 0.3)
node.trigger_configure()
node.trigger_activate()
got = []
node.create_subscription(TFMessage, "/tf", got.append, 10)
answer = deserialize_message(bytes.fromhex(sys.argv[1]), PersonArray)
deadline_s = time.monotonic() + 30
while not got and time.monotonic() < deadline_s:
    frames.publish(PersonArray())  # nobody: no message
    frames.publish(answer)
    rclpy.spin_once(node, timeout_sec=0.2)
print(json.dumps([[t.header.stamp.sec, t.header.frame_id, t.child_frame_id, t.transform.translation.z]
                  for t in got[0].transforms]))
frames.destroy()
node.destroy_node()
rclpy.shutdown()
"""


def answer(*persons: Person) -> PersonArray:
    header = Header(frame_id="cam1_optical")
    header.stamp.sec, header.stamp.nanosec = 7, 250
    return PersonArray(header=header, persons=list(persons))


def person(track_id: int = 4, state: int = Person.TRACK_CONFIRMED) -> Person:
    """Joint i is at (i, 2 i, 3 i) m with score 0.3, the last one weaker, the first one missing."""
    joints = [Keypoint3D(position=Point(x=1.0 * i, y=2.0 * i, z=3.0 * i), score=0.3) for i in range(17)]
    joints[0] = Keypoint3D(position=Point(x=math.nan, y=math.nan, z=math.nan), score=1.0)
    joints[16].score = 0.25
    return Person(track_id=track_id, track_state=state, keypoints_3d_metric=joints)


def test_names_stamps_and_places():
    transforms = list(joint_transforms(answer(person()), 0.3 - 1e-6))
    assert [t.child_frame_id for t in transforms] == [
        f"cam1_optical/person_4/{name}" for name in H36M17.joint_names[1:16]
    ]
    assert {(t.header.frame_id, t.header.stamp.sec, t.header.stamp.nanosec) for t in transforms} == {
        ("cam1_optical", 7, 250)
    }
    translation, rotation = transforms[1].transform.translation, transforms[1].transform.rotation
    assert (translation.x, translation.y, translation.z) == (2.0, 4.0, 6.0)
    assert (rotation.x, rotation.y, rotation.z, rotation.w) == (0.0, 0.0, 0.0, 1.0)


def test_frames_of_joints_are_told_from_others():
    (first, *_) = joint_transforms(answer(person()), 0.0)
    assert is_joint_frame(first.header.frame_id, first.child_frame_id)
    assert not is_joint_frame("room", "cam1_optical")
    assert not is_joint_frame("room", "person_camera")


@pytest.mark.parametrize(
    "unknown", [person(track_id=-1), person(state=Person.TRACK_LOST), Person(track_id=4)], ids=["none", "lost", "2d"]
)
def test_without_track_sight_or_metres_there_is_no_frame(unknown):
    assert list(joint_transforms(answer(unknown), 0.0)) == []


@pytest.mark.timeout(590)  # the first time it builds messages
def test_over_dds(foreign_messages):
    from rclpy.serialization import serialize_message

    environment = os.environ | foreign_messages
    words = [sys.executable, "-c", BROADCAST, serialize_message(answer(person())).hex()]
    ended = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    received = json.loads(ended.stdout)
    assert received[0] == [7, "cam1_optical", "cam1_optical/person_4/right_hip", 3.0]
    assert len(received) == 15


@pytest.mark.skipif(importlib.util.find_spec("tf2_msgs") is not None, reason="tf2_msgs is installed")
def test_without_tf2_msgs_the_node_says_what_to_install(ros, namespace, fake_model):
    overrides = [Parameter("model", value=str(fake_model)), Parameter("tf", value=True)]
    node = ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert "tf2-msgs" in node.failure
