"""A bag's camera, from messages made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from orpose_models.bag_camera import camera_of_bag
from orpose_models.bag_topics import PassedTopics
from orpose_models.bags import compressed_message, write_raw_bag
from orpose_models.runtime.bags import RawMessage

STORE = get_typestore(Stores.LATEST)
TYPES = STORE.types
IMAGES = "/or1/image_raw/compressed"


def header(frame_id: str) -> Any:
    return TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](5, 0), frame_id)


def raw(topic: str, message: Any) -> RawMessage:
    return RawMessage(topic, message.__msgtype__, 5 * 10**9, bytes(STORE.serialize_cdr(message, message.__msgtype__)))


def camera_info(focal_px: float) -> RawMessage:
    k = np.array([focal_px, 0, 319.5, 0, focal_px, 239.5, 0, 0, 1])
    roi = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    info = TYPES["sensor_msgs/msg/CameraInfo"](
        header("or1_optical"), 480, 640, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(), np.zeros(12), 0, 0, roi
    )
    return raw("/or1/camera_info", info)


def static_transforms(*edges: tuple[str, str, tuple[float, float, float], tuple[float, ...]]) -> RawMessage:
    """Edges: parent, child, translation, quaternion x y z w."""
    geometry = {name: TYPES[f"geometry_msgs/msg/{name}"] for name in ("Vector3", "Quaternion", "Transform")}
    transforms = [
        TYPES["geometry_msgs/msg/TransformStamped"](
            header(parent), child, geometry["Transform"](geometry["Vector3"](*t), geometry["Quaternion"](*q))
        )
        for parent, child, t, q in edges
    ]
    return raw("/tf_static", TYPES["tf2_msgs/msg/TFMessage"](transforms))


def bag(path: Path, *messages: RawMessage) -> Path:
    image = compressed_message(np.zeros((4, 4, 3), np.uint8), IMAGES, 5 * 10**9, "png")
    write_raw_bag(path, [*messages, image])
    return path


def test_lens_and_place_through_two_transforms(tmp_path):
    half = 0.5**0.5
    tree = static_transforms(
        ("room", "mast", (1, 2, 3), (0, 0, 0, 1)), ("mast", "or1_optical", (0, 0, 0.5), (half, 0, 0, half))
    )
    camera = camera_of_bag(bag(tmp_path / "bag", camera_info(400), tree), IMAGES)
    assert camera is not None
    assert (camera.fx, camera.cx, camera.cy, camera.image_size) == (400, 320, 240, (640, 480))
    quarter_turn_about_x = [[1, 0, 0, 1], [0, 0, -1, 2], [0, 1, 0, 3.5], [0, 0, 0, 1]]
    np.testing.assert_allclose(camera.room_from_camera, quarter_turn_about_x, atol=1e-12)


def test_a_circle_of_transforms_leads_nowhere(tmp_path):
    same = ((0, 0, 0), (0, 0, 0, 1))
    tree = static_transforms(("a", "or1_optical", *same), ("or1_optical", "a", *same))
    camera = camera_of_bag(bag(tmp_path / "bag", camera_info(400), tree), IMAGES)
    assert camera is not None and camera.room_from_camera is None


def test_a_transform_that_is_no_rotation_leaves_the_place_unknown(tmp_path):
    tree = static_transforms(
        ("mast", "or1_optical", (0, 0, 0), (0, 0, 0, 1)), ("room", "mast", (1, 2, 3), (0, 0, 0, 0))
    )
    camera = camera_of_bag(bag(tmp_path / "bag", camera_info(400), tree), IMAGES)
    assert camera is not None and camera.room_from_camera is None


@pytest.mark.parametrize("messages", [[], [camera_info(0)]], ids=["none", "all zero"])
def test_no_calibration(tmp_path, messages):
    assert camera_of_bag(bag(tmp_path / "bag", *messages), IMAGES) is None


def test_passed_topics_are_byte_for_byte_and_the_others_named(tmp_path):
    info, tree = camera_info(400), static_transforms(("room", "or1_optical", (0, 0, 0), (0, 0, 0, 1)))
    passed = PassedTopics(bag(tmp_path / "bag", info, tree), lambda topic, _: topic != IMAGES)
    assert (passed.names, passed.left_out) == (["/or1/camera_info", "/tf_static"], [IMAGES])
    assert [message.cdr for message in passed] == [info.cdr, tree.cdr]
    assert passed.offered_qos["/tf_static"][0].durability.name == "TRANSIENT_LOCAL"
    assert list(PassedTopics(tmp_path / "bag", lambda *_: False)) == []
