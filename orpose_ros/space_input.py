"""What places people in metres: one camera's calibration and its registered depth, matched to images by stamp.

Depth stays in here: a few values at joints are read from it, and it is gone with the next messages.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from orpose_models.depth import DepthImage, depth_from_message, nearest_stamp
from orpose_models.errors import CalibrationError, ImageError
from orpose_models.intrinsics import lens_from_camera_info
from orpose_models.lens import Lens
from orpose_models.metric3d import located
from orpose_models.runtime.types import Person
from orpose_ros.config import NodeConfig
from orpose_ros.messages import stamp_ns
from orpose_ros.qos import image_qos, wanted_reliability

#: Depth messages that wait for an image to be answered: half a second and more at 15 a second.
_WAITING = 8
NANOSECONDS_PER_MILLISECOND = 1e6


class SpaceInput:
    """Subscribes to {camera}/camera_info and, with `depth`, to {camera}/depth/image_raw.

    Attributes:
        info_topic: Full names, after remapping; likewise `depth_topic`.
        problems: What is wrong with the newest calibration and depth, by what it is of; for diagnostics.
    """

    def __init__(self, node: Node, camera: str, config: NodeConfig) -> None:
        self._node, self._config = node, config
        self._info_name, self._depth_name = f"{camera}/camera_info", f"{camera}/depth/image_raw"
        self.info_topic = node.resolve_topic_name(self._info_name)
        self.depth_topic = node.resolve_topic_name(self._depth_name)
        self.problems: dict[str, str] = {}
        self._lock = threading.Lock()
        self._info: CameraInfo | None = None
        self._lens: Lens | None = None
        self._lens_of: Any = None
        self._waiting: deque[Image] = deque(maxlen=_WAITING)
        self._with_depth = self._without_depth = 0
        # Best effort takes what anybody offers, and calibrations are small enough to arrive.
        self._info_subscription = node.create_subscription(
            CameraInfo, self._info_name, self._take_info, image_qos(ReliabilityPolicy.BEST_EFFORT)
        )
        self._depth_subscription: Subscription | None = None
        self._reliability: ReliabilityPolicy | None = None
        self.follow_publishers()

    def close(self) -> None:
        self._node.destroy_subscription(self._info_subscription)
        if self._depth_subscription is not None:
            self._node.destroy_subscription(self._depth_subscription)
        self._waiting.clear()

    def follow_publishers(self) -> None:
        """Subscribes to depth, anew when another reliability fits its publishers better."""
        if not self._config.depth:
            return
        publishers = self._node.get_publishers_info_by_topic(self._depth_name)
        wanted = wanted_reliability(self._config.qos, publishers)
        if self._depth_subscription is not None and (not publishers or wanted == self._reliability):
            return
        if self._depth_subscription is not None:
            self._node.destroy_subscription(self._depth_subscription)
        self._reliability = wanted
        self._depth_subscription = self._node.create_subscription(
            Image, self._depth_name, self._take_depth, image_qos(wanted)
        )

    def placer(
        self, header: Header, frame_size: tuple[int, int], config: NodeConfig
    ) -> Callable[[Person], Person] | None:
        """What finds a person's place in the image with that header; None without a calibration."""
        lens = self._current_lens(frame_size)
        if lens is None:
            return None
        depth = self._depth_of(header, frame_size, config.depth_sync_ms)
        with self._lock:
            self._with_depth += depth is not None
            self._without_depth += depth is None
        return partial(located, lens=lens, depth=depth, frame_size=frame_size)

    def facts(self) -> dict[str, str]:
        """For diagnostics: what places are made of, since activation."""
        with self._lock:
            calibration = "-" if self._info is None else self._info.distortion_model or "no distortion model"
            return {
                "metric: calibration": f"{self.info_topic}: {calibration}",
                "metric: answers with depth": str(self._with_depth),
                "metric: answers with calibration only": str(self._without_depth),
            }

    def _take_info(self, info: CameraInfo) -> None:
        with self._lock:
            self._info = info

    def _take_depth(self, depth: Image) -> None:
        with self._lock:
            self._waiting.append(depth)

    def _current_lens(self, frame_size: tuple[int, int]) -> Lens | None:
        with self._lock:
            info, has_depth = self._info, bool(self._waiting)
        if info is None:
            if has_depth:
                self.problems["calibration"] = (
                    f"nobody is placed in metres: depth comes on {self.depth_topic}, and no camera_info on "
                    f"{self.info_topic}"
                )
            return None
        roi = info.roi
        key = (
            frame_size, info.width, info.height, info.distortion_model, tuple(info.k), tuple(info.d),
            (roi.x_offset, roi.y_offset, roi.width, roi.height),
        )  # fmt: skip
        if key != self._lens_of:
            self._lens_of, self._lens = key, None
            self.problems.pop("calibration", None)
            try:
                self._lens = lens_from_camera_info(info, frame_size)
            except CalibrationError as error:
                self.problems["calibration"] = f"nobody is placed in metres, {self.info_topic}: {error}"
        return self._lens

    def _depth_of(self, header: Header, frame_size: tuple[int, int], sync_ms: float) -> DepthImage | None:
        """Depth of the image's stamp, or the nearest that is near enough."""
        with self._lock:
            by_stamp = {stamp_ns(message.header): message for message in self._waiting}
        tolerance_ns = round(sync_ms * NANOSECONDS_PER_MILLISECOND)
        nearest_ns = nearest_stamp(by_stamp, stamp_ns(header), tolerance_ns)
        if nearest_ns is None:
            return None
        message = by_stamp[nearest_ns]
        try:
            if message.header.frame_id != header.frame_id:
                raise ImageError(
                    f"depth is in frame {message.header.frame_id[:99]!r}, the image in {header.frame_id[:99]!r}: not "
                    "registered to it; use the driver's depth that is aligned to colour"
                )
            depth = depth_from_message(message)
            depth.require_registered(frame_size)
        except ImageError as error:
            self.problems["depth"] = f"depth is not used, {self.depth_topic}: {error}"
            return None
        self.problems.pop("depth", None)
        return depth
