"""Bags made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore


@pytest.fixture(scope="session")
def write_bag(tmp_path_factory) -> Callable[..., Path]:
    """Writes a bag with one bgr8 image topic per name; frame i of a topic is filled with value i, 100 ms apart."""

    def write(topics=("/camera/image_raw",), count=5, storage="mcap", shape=(4, 6), broken_step_at=()) -> Path:
        store = get_typestore(Stores.LATEST)
        image_type, header_type = store.types["sensor_msgs/msg/Image"], store.types["std_msgs/msg/Header"]
        time_type = store.types["builtin_interfaces/msg/Time"]
        path = tmp_path_factory.mktemp("bag") / "bag"
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        height, width = shape
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            for topic in topics:
                connection = writer.add_connection(topic, image_type.__msgtype__, typestore=store)
                for index in range(count):
                    stamp_ns = 10**9 + index * 10**8
                    header = header_type(
                        stamp=time_type(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id="camera"
                    )
                    step = width * 3 - (1 if index in broken_step_at else 0)
                    pixels = np.full(height * width * 3, index, np.uint8)
                    message = image_type(header, height, width, "bgr8", 0, step, pixels)
                    writer.write(connection, stamp_ns, store.serialize_cdr(message, image_type.__msgtype__))
        return path

    return write
