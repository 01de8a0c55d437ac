"""The subscription to one camera's images: follows what the publishers offer, and knows what did not arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from orpose_models.runtime.messages import printable
from orpose_ros.config import NodeConfig
from orpose_ros.counts import StampCadence
from orpose_ros.messages import stamp_ns
from orpose_ros.qos import Endpoint, image_qos, publishers_text, reliability_text, wanted_reliability

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # its name in Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

AnyImage: TypeAlias = Image | CompressedImage


class CameraInput:
    """One camera's images, and the statistics of their way here.

    Attributes:
        topic: The full name of the topic that is subscribed to.
        reliability: What is subscribed with at present.
        cadence: Counts stamps that never arrived, as far as the camera's rhythm tells.
        transport_lost: Messages that the middleware itself counted as lost.
        has_begun: Whether an image has come.
    """

    def __init__(self, node: Node, camera: str, config: NodeConfig, on_image: Callable[[AnyImage], None]) -> None:
        self._node = node
        self._qos_name = config.qos
        self._on_image = on_image
        self._type = CompressedImage if config.compressed else Image
        self._name = f"{camera}/image_raw"
        if config.compressed:
            # Who remaps camera/image_raw gets the compressed stream of the same camera. ROS remaps the whole name then.
            self._name = node.resolve_topic_name(self._name) + "/compressed"
        self.reliability = ReliabilityPolicy.BEST_EFFORT
        self.cadence = StampCadence()
        self.transport_lost = 0
        self._lost_before = 0
        self._last_image_s = time.monotonic()
        self._subscription: Subscription | None = None
        self.has_begun = False
        self._is_silent = False
        self._subscribe(wanted_reliability(config.qos, self.publishers()))

    def follow_publishers(self) -> None:
        """Subscribes anew when publishers came or went and another reliability fits them better."""
        publishers = self.publishers()
        wanted = wanted_reliability(self._qos_name, publishers)
        if publishers and wanted != self.reliability:
            self._node.get_logger().info(f"{self.topic}: subscribing {reliability_text(wanted)}")
            self._subscribe(wanted)

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def publishers(self) -> Sequence[Endpoint]:
        """Everybody who publishes on the topic, whether their QoS and type match ours or not."""
        return list(self._node.get_publishers_info_by_topic(self._name))

    def silence(self, watchdog_s: float) -> str:
        """What is wrong if no image came for longer than `watchdog_s`, else ""; logged when it begins and ends."""
        silent_s = time.monotonic() - self._last_image_s
        was_silent, self._is_silent = self._is_silent, silent_s > watchdog_s
        if not self._is_silent:
            if was_silent:
                self._node.get_logger().info(f"{self.topic}: images come again")
            return ""
        problem = f"no image for {silent_s:.0f} s on {self.describe()}"
        if not was_silent:
            self._node.get_logger().warning(problem)
        return problem

    def describe(self) -> str:
        """Topic, our side and the publishers' side, in one line."""
        kind = f"sensor_msgs/msg/{self._type.__name__}"
        ours = f"{self.topic} ({kind}, {reliability_text(self.reliability)})"
        return f"{ours}; publishers: {publishers_text(self.publishers())}"

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        self.close()
        self.reliability = reliability
        self._lost_before = self.transport_lost
        counting = SubscriptionEventCallbacks(message_lost=self._count_lost)
        try:
            self._subscription = self._create(reliability, counting)
        except UnsupportedEventTypeError:  # a middleware that cannot tell; the cadence of stamps still does
            self._subscription = self._create(reliability, None)
        self.topic: str = self._subscription.topic_name

    def _create(self, reliability: ReliabilityPolicy, events: SubscriptionEventCallbacks | None) -> Subscription:
        return self._node.create_subscription(
            self._type, self._name, self._receive, image_qos(reliability), event_callbacks=events
        )

    def _receive(self, image: AnyImage) -> None:
        self._last_image_s = time.monotonic()
        if not self.has_begun:
            self.has_begun, self._is_silent = True, False
            self._node.get_logger().info(f"{self.topic}: first image, {_kind(image)}")
        self.cadence.observe(stamp_ns(image.header))
        self._on_image(image)

    def _count_lost(self, event) -> None:
        self.transport_lost = self._lost_before + event.total_count


def _kind(image: AnyImage) -> str:
    """Size and encoding, as the message claims them."""
    if isinstance(image, CompressedImage):
        return f"compressed, '{printable(image.format)}'"
    return f"{image.width}x{image.height} {printable(image.encoding)}"
