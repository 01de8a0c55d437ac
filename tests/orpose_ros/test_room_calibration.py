"""Intrinsics and poses out of camera_info and TF, over DDS; what is missing is said."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from orpose_models.multiview.calibration import read_cameras
from orpose_ros.node import PoseNode
from orpose_ros.room_calibration import FileCalibration

ROOT = Path(__file__).resolve().parents[2]
#: An arm that never moves hangs in the room, a camera on it moves 1 m along x in a second.
LISTEN = """
import json, time
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from orpose_models.settings import build_settings
from orpose_ros.config import NodeConfig
from orpose_ros.room_calibration import calibration_source

rclpy.init(args=["--ros-args", "-r", "cam1/camera_info:=/driver/camera_info"])
node = rclpy.create_node("listener")
config = build_settings(NodeConfig, {"cameras": ("cam1", "cam2"), "fuse": True}, "test")
source = calibration_source(node, config)
source.open()
image = Header(frame_id="/cam1_optical", stamp=Time(seconds=10, nanoseconds=500_000_000).to_msg())
before = source.camera("cam1", image, (640, 480)), source.problems()

def transform(parent, child, x, z, second, w=1.0):
    each = TransformStamped(header=Header(frame_id=parent, stamp=Time(seconds=second).to_msg()), child_frame_id=child)
    each.transform.translation.x, each.transform.translation.z = x, z
    each.transform.rotation.w = w
    return each

latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
static = node.create_publisher(TFMessage, "/tf_static", latched)
bad = transform("room", "bad", 0.0, 0.0, 0, w=0.0)
static.publish(TFMessage(transforms=[transform("room", "arm", 0.0, 2.5, 0), bad]))
moving = node.create_publisher(TFMessage, "/tf", 10)
info = node.create_publisher(CameraInfo, "cam1/camera_info", 10)
deadline_s = time.monotonic() + 30
camera = None
while camera is None and time.monotonic() < deadline_s:
    for second in (10, 11):
        moving.publish(TFMessage(transforms=[transform("arm", "cam1_optical", float(second - 10), 0.0, second)]))
    info.publish(CameraInfo(width=1280, height=960, distortion_model="plumb_bob", d=[0.0] * 5,
                            k=[1000.0, 0.0, 639.5, 0.0, 1000.0, 479.5, 0.0, 0.0, 1.0]))
    rclpy.spin_once(node, timeout_sec=0.1)
    camera = source.camera("cam1", image, (640, 480))
late = Header(frame_id="cam1_optical", stamp=Time(seconds=60).to_msg())
after = source.camera("cam1", late, (640, 480)), source.problems()
print(json.dumps({"before": before[1], "place": camera.room_from_camera[:3, 3].tolist(), "lens": [camera.fx, camera.cx],
                  "after": after[1], "known": [before[0] is not None, after[0] is not None]}))
source.close()
node.destroy_node()
rclpy.shutdown()
"""


@pytest.mark.timeout(590)  # the first time it builds messages
def test_lens_and_pose_at_the_images_stamp(foreign_messages):
    ended = subprocess.run(
        [sys.executable, "-c", LISTEN], cwd=ROOT, env=os.environ | foreign_messages, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["place"] == pytest.approx([0.5, 0, 2.5])
    assert told["lens"] == pytest.approx([500, 320])  # half the size; ROS counts pixels from their middle
    assert told["known"] == [False, False]
    assert "no camera_info yet on /driver/camera_info" in told["before"][0]
    assert "its nearest stamp is 49.0 s off" in told["after"][0]


def test_a_files_camera_is_well_again_when_its_images_fit():
    path = ROOT / "config/rooms/hybrid_or_calibration.json"
    source = FileCalibration(str(path), (name := next(iter(cameras := read_cameras(path))),))
    source.open()
    assert source.camera(name, Header(), (100, 900)) is None
    assert "100x900" in source.problems()[0]
    assert source.camera(name, Header(), cameras[name].image_size) is not None
    assert source.problems() == []


@pytest.mark.skipif(importlib.util.find_spec("tf2_msgs") is not None, reason="tf2_msgs is installed")
def test_without_tf2_msgs_the_node_says_what_to_install(ros, namespace, fake_model):
    values = {"model": str(fake_model), "threads": 1, "cameras": ["a", "b"], "fuse": True}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert "tf2_msgs is not installed; apt install ros-$ROS_DISTRO-tf2-msgs, or give calibration" in node.failure
