"""One camera of the node: its images, its answers, and the account of both."""

from __future__ import annotations

from collections.abc import Callable

from orpose_msgs.msg import InferenceStats, PersonArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from orpose_models.draw import draw_persons
from orpose_models.people import People
from orpose_models.runtime.estimator import PreparedImage
from orpose_models.runtime.types import FrameResult
from orpose_ros.camera_input import AnyImage, CameraInput
from orpose_ros.config import NodeConfig
from orpose_ros.counts import FrameCounts
from orpose_ros.diagnostics import CameraHealth
from orpose_ros.markers import marker_array
from orpose_ros.messages import image_message, inference_stats, person_array, stamp_ns
from orpose_ros.qos import OUTPUT_QOS
from orpose_ros.space_input import SpaceInput
from orpose_ros.tf_frames import JointFrames

NANOSECONDS_PER_MILLISECOND = 1e6


class Camera:
    """Publishers live from configure to cleanup, subscription and counts from activate to deactivate."""

    def __init__(self, node: LifecycleNode, name: str, frames: JointFrames | None = None) -> None:
        self._node = node
        self.name = name
        self._frames = frames
        self.source: CameraInput | None = None
        self.counts = FrameCounts()
        self.health: CameraHealth | None = None
        self.space: SpaceInput | None = None
        self._people: People | None = None
        prefix = f"orpose/{name}"
        self._persons = node.create_lifecycle_publisher(PersonArray, f"{prefix}/persons", OUTPUT_QOS)
        self._stats = node.create_lifecycle_publisher(InferenceStats, f"{prefix}/stats", OUTPUT_QOS)
        self._markers = node.create_lifecycle_publisher(MarkerArray, f"{prefix}/markers", OUTPUT_QOS)
        self._overlay = node.create_lifecycle_publisher(Image, f"{prefix}/overlay", OUTPUT_QOS)

    def open(self, config: NodeConfig, on_image: Callable[[AnyImage], None]) -> None:
        """Subscribes and starts counting anew."""
        self.counts = FrameCounts()
        self.health = CameraHealth(self.name, self.counts)
        self._people = People(config, tracking=config.tracking)
        self.space = SpaceInput(self._node, self.name, config)
        self.source = CameraInput(self._node, self.name, config, on_image)

    def close(self) -> None:
        """Unsubscribes."""
        if self.source is not None:
            self.source.close()
            self.source = None
        if self.space is not None:
            self.space.close()
            self.space = None

    def destroy(self) -> None:
        for publisher in (self._persons, self._stats, self._markers, self._overlay):
            self._node.destroy_publisher(publisher)

    def follow_publishers(self) -> None:
        """Subscribes as the publishers of images and depth now want it."""
        for subscribed in (self.source, self.space):
            if subscribed is not None:
                subscribed.follow_publishers()

    def follow(self, header: Header, result: FrameResult, config: NodeConfig) -> FrameResult:
        """The people of one image with identities, places and smoothed joints."""
        people, space = self._people, self.space
        assert people is not None
        people.config = config
        place = None if space is None else space.placer(header, result.image_size, config)
        return people.update(result, stamp_ns(header), config.score_threshold, place)

    def answer(self, header: Header, result: FrameResult, model_id: str) -> tuple[PersonArray, float]:
        """Publishes what was found in one image. From here on it is answered, whatever becomes of the rest.

        Returns:
            The answer, and how old its image was when it went out, ms.
        """
        message = person_array(result, header, model_id)
        age_ms = self._age_ms(header)
        self._persons.publish(message)
        self.counts.count_answered()
        return message, age_ms

    def accompany(
        self, answer: PersonArray, age_ms: float, result: FrameResult, prepared: PreparedImage | None
    ) -> None:
        """Publishes what goes with an answer: statistics, and markers, TF and overlay for those who listen.

        Args:
            answer: Of the image.
            age_ms: Of the image, when the answer went out.
            result: The same, as it was found.
            prepared: The image for the overlay; None: no overlay.
        """
        header = answer.header
        if self.health is not None:
            self.health.ages_ms.append(age_ms)
        self._publish_stats(header, result.timings_ms, age_ms)
        if self._markers.get_subscription_count():
            self._markers.publish(marker_array(result.persons, result.image_size, header))
        if self._frames is not None:
            self._frames.publish(answer)
        if prepared is not None and self._overlay.get_subscription_count():
            self._overlay.publish(image_message(draw_persons(prepared.image, result), header))

    def drop(self, header: Header, reason: str, problem: str = "") -> None:
        """Accounts for an image that gets no answer."""
        self.counts.count_dropped(reason, problem)
        self._publish_stats(header, {}, self._age_ms(header))

    def _publish_stats(self, header: Header, timings_ms: dict[str, float], age_ms: float) -> None:
        totals = self.counts.totals()
        self._stats.publish(inference_stats(header, timings_ms, age_ms, totals.received, totals.dropped))

    def _age_ms(self, header: Header) -> float:
        now_ns = self._node.get_clock().now().nanoseconds
        return float((now_ns - stamp_ns(header)) / NANOSECONDS_PER_MILLISECOND)
