"""Depth beside a bag's images, by stamps."""

from __future__ import annotations

import numpy as np
from rosbags.typesys import Stores, get_typestore

from orpose_models.bags import compressed_message, write_raw_bag
from orpose_models.runtime.bag_depth import BagBeside
from orpose_models.runtime.bags import RawMessage

STORE = get_typestore(Stores.LATEST)
IMAGES = "/cam/image_raw/compressed"


def depth(stamp_ns: int, millimetres: int) -> RawMessage:
    types = STORE.types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    header = types["std_msgs/msg/Header"](stamp, "cam")
    pixels = np.full(4, millimetres, "<u2").view(np.uint8)
    message = types["sensor_msgs/msg/Image"](header, 2, 2, "16UC1", 0, 4, pixels)
    return RawMessage(
        "/cam/depth/image_raw", message.__msgtype__, 10**9, bytes(STORE.serialize_cdr(message, message.__msgtype__))
    )


def test_the_nearest_stamp_counts_and_what_lies_behind_is_not_kept(tmp_path):
    """One hour behind, as a clock of its own would be: none of the 20 messages may wait in memory."""
    hour_ns, frame_ns = 3600 * 10**9, 10**8
    color = compressed_message(np.zeros((2, 2, 3), np.uint8), IMAGES, hour_ns, "png")
    behind = [depth(index * frame_ns, 500) for index in range(20)]
    near = [depth(hour_ns + late_ns, mm) for late_ns, mm in ((-20_000_000, 1000), (10_000_000, 1500), (10**9, 2000))]
    write_raw_bag(tmp_path / "bag", [color, *behind, *near])
    kept: list[int] = []

    class Near(dict):
        def __setitem__(self, key, value):
            kept.append(key)
            super().__setitem__(key, value)

    beside = BagBeside(tmp_path / "bag", IMAGES)
    beside._near = Near()
    found = beside.depth_at(hour_ns)
    assert found is not None and found.values.max() == 1500
    assert len(kept) == 3
    beside.close()
