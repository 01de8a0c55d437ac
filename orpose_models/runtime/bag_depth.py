"""Beside an image topic in a rosbag2 recording: registered depth and the camera's calibration. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection

from orpose_models.depth import SYNC_MS, DepthImage, depth_from_message, nearest_stamp
from orpose_models.errors import InputError
from orpose_models.runtime.bags import damage_as_input_error, open_bag

IMAGE, CAMERA_INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
_TOLERANCE_NS = round(SYNC_MS * 1e6)


def camera_base(image_topic: str) -> str:
    """`/camera` of `/camera/image_raw/compressed`."""
    return image_topic.removesuffix("/compressed").rsplit("/", 1)[0]


class BagBeside:
    """Calibration and depth beside one image topic. Close it after use.

    Attributes:
        camera_info: First message of {camera}/camera_info, None if there is none.
        depth_topic: Where depth is read from, None if there is none.
    """

    def __init__(self, path: Path, image_topic: str, depth_topic: str | None = None) -> None:
        """Opens the bag.

        Args:
            path: The bag.
            image_topic: Of the colour images.
            depth_topic: Of the depth images; by default {camera}/depth/image_raw, if the bag has it.

        Raises:
            InputError: The bag is damaged, or has no such depth topic.
        """
        self._path = path
        self._open = ExitStack()
        self._reader = self._open.enter_context(open_bag(path))
        base = camera_base(image_topic)
        wanted = depth_topic or f"{base}/depth/image_raw"
        depth = self._connections(wanted, IMAGE)
        if depth_topic is not None and not depth:
            others = sorted({c.topic for c in self._reader.connections if c.msgtype == IMAGE})
            raise InputError(
                f"{path}: no depth topic '{depth_topic}' in the bag, it has {', '.join(others) or 'no images'}"
            )
        self.depth_topic = wanted if depth else None
        self.camera_info = self._first(self._connections(f"{base}/camera_info", CAMERA_INFO))
        self._coming = self._messages(depth)
        self._near: dict[int, Any] = {}
        self._latest_ns = -1

    def close(self) -> None:
        self._open.close()

    def depth_at(self, stamp_ns: int) -> DepthImage | None:
        """Depth of that stamp, or the nearest within 50 ms. Stamps must be asked for in their order.

        Raises:
            ImageError: The message is no depth image.
            InputError: The bag is damaged.
        """
        while self._latest_ns <= stamp_ns + _TOLERANCE_NS and (message := next(self._coming, None)) is not None:
            self._latest_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            if self._latest_ns >= stamp_ns - _TOLERANCE_NS:  # stamps on another clock must not fill the memory
                self._near[self._latest_ns] = message
        self._near = {ns: message for ns, message in self._near.items() if ns >= stamp_ns - _TOLERANCE_NS}
        nearest_ns = nearest_stamp(self._near, stamp_ns, _TOLERANCE_NS)
        return None if nearest_ns is None else depth_from_message(self._near[nearest_ns])

    def _connections(self, topic: str, msgtype: str) -> list[Connection]:
        return [c for c in self._reader.connections if (c.topic, c.msgtype) == (topic, msgtype)]

    def _first(self, connections: list[Connection]) -> Any:
        return next(self._messages(connections), None)

    def _messages(self, connections: list[Connection]) -> Iterator[Any]:
        if not connections:  # rosbags would take that for all
            return
        with damage_as_input_error(self._path):
            for connection, _, cdr in self._reader.messages(connections):
                yield self._reader.deserialize(cdr, connection.msgtype)
