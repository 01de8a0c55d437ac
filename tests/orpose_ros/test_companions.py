"""Calibration and depth are found beside the images, and sent with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image

from orpose_models.bags import compressed_message, stamp_ns_of, write_raw_bag
from orpose_models.runtime.bags import RawMessage
from orpose_ros.companions import CAMERA_INFO, DEPTH, Companion, NearestMessages, companions_of
from orpose_ros.messages import stamp_ns
from orpose_ros.player import Player
from orpose_ros.qos import OUTPUT_QOS

IMAGES = "/or1/image_raw/compressed"
MS = 1_000_000


def message(topic: str, msgtype: str, at_ms: int) -> RawMessage:
    """Only its stamp is read: of a CameraInfo or an Image."""
    from rclpy.serialization import serialize_message

    made = {"CameraInfo": CameraInfo, "Image": Image}[msgtype]()
    made.header.stamp.nanosec = at_ms * MS
    return RawMessage(topic, f"sensor_msgs/msg/{msgtype}", at_ms * MS, bytes(serialize_message(made)))


@pytest.fixture
def bag(tmp_path) -> Path:
    images = [compressed_message(np.zeros((2, 2, 3), np.uint8), IMAGES, at * MS, "png") for at in (100, 200, 300)]
    beside = [message("/or1/camera_info", "CameraInfo", 100)]
    beside += [message("/or1/depth/image_raw", "Image", at) for at in (90, 190, 210, 380)]
    other = message("/or2/camera_info", "CameraInfo", 100)
    path = tmp_path / "bag"
    write_raw_bag(path, sorted([*images, *beside, other], key=lambda item: item.recorded_ns))
    return path


def test_only_what_lies_beside_the_images(bag):
    assert companions_of(bag, IMAGES) == [
        Companion(CAMERA_INFO, "/or1/camera_info"),
        Companion(DEPTH, "/or1/depth/image_raw"),
    ]
    assert companions_of(bag, "/other/image_raw") == []


def test_depth_is_the_nearest_within_50_ms(bag):
    depth = NearestMessages(bag, Companion(DEPTH, "/or1/depth/image_raw"))
    found = [depth.at(at * MS) for at in (100, 196, 205, 300, 340)]
    assert [None if cdr is None else stamp_ns_of(cdr) // MS for cdr in found] == [90, 190, 210, None, 380]


def test_calibration_holds_until_the_next(bag):
    info = NearestMessages(bag, Companion(CAMERA_INFO, "/or1/camera_info"))
    assert {stamp_ns_of(info.at(at * MS) or b"") for at in (100, 5000)} == {100 * MS}


def test_the_player_sends_them_before_the_image_with_its_stamp(ros, namespace, bag):
    import rclpy
    from rclpy.qos import ReliabilityPolicy
    from sensor_msgs.msg import CompressedImage

    node = ros.add(rclpy.create_node("player", namespace=namespace))
    heard: list[tuple[str, int]] = []
    for kind in (CameraInfo, Image, CompressedImage):
        topic = {CameraInfo: "camera/camera_info", Image: "camera/depth/image_raw"}.get(
            kind, "camera/image_raw/compressed"
        )
        node.create_subscription(
            kind, topic, lambda m, name=kind.__name__: heard.append((name, stamp_ns(m.header))), OUTPUT_QOS
        )
    player = Player(node, "camera", True, ReliabilityPolicy.RELIABLE, (CAMERA_INFO, DEPTH))
    for topic in ("camera/camera_info", "camera/depth/image_raw", "camera/image_raw/compressed"):
        ros.until(lambda topic=topic: node.count_publishers(topic) and node.count_subscribers(topic))
    ros.spin_for(0.3)
    image = compressed_message(np.zeros((2, 2, 3), np.uint8), IMAGES, 100 * MS, "png").cdr
    beside = {CAMERA_INFO: message("", "CameraInfo", 100).cdr, DEPTH: message("", "Image", 90).cdr}
    sent_ns = player.send(image, beside)
    ros.until(lambda: len(heard) == 3)
    assert dict(heard) == {"CameraInfo": sent_ns, "Image": sent_ns - 10 * MS, "CompressedImage": sent_ns}
