"""What a load test records and measures."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import psutil
from orpose_msgs.msg import InferenceStats, PersonArray
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage

from orpose_models.bags import stamp_ns_of
from orpose_models.runtime.bags import RawMessage
from orpose_ros.account import StatsRecord
from orpose_ros.camera_input import AnyImage
from orpose_ros.load_report import Answered, Sample
from orpose_ros.messages import stamp_ns
from orpose_ros.qos import image_qos
from orpose_ros.recorder import RECORDING_QOS
from orpose_ros.replayed import STAGES

_SAMPLE_PERIOD_S = 1.0


class Recording:
    """What one camera's answers say, message by message; the messages themselves go to the bag.

    Attributes:
        arrived: Messages that have not been taken for the bag yet.
        stats: The node's statistics, one for each frame.
        persons_ns: Stamps of the answers.
        answered: The answered frames.
        ways_ms: From the stamp of each image to its arrival here, where images are subscribed to.
    """

    def __init__(self, node: Node, camera: str, images: type[AnyImage] | None = None) -> None:
        """Subscribes; `images`, if given, is the type of the camera's messages, which are then received, too."""
        self.arrived: list[RawMessage] = []
        self.stats: list[StatsRecord] = []
        self.persons_ns: list[int] = []
        self.answered: list[Answered] = []
        self.ways_ms: list[float] = []
        self._arrived_ns: dict[int, int] = {}
        self._node = node
        self._topics = {name: f"orpose/{camera}/{name}" for name in ("persons", "stats")}
        for name, message_type, take in (
            ("persons", PersonArray, self._persons),
            ("stats", InferenceStats, self._stats),
        ):
            node.create_subscription(message_type, self._topics[name], take, RECORDING_QOS, raw=True)
        if images is not None:
            topic = f"{camera}/image_raw{'/compressed' if images is CompressedImage else ''}"
            node.create_subscription(images, topic, self._image, image_qos(ReliabilityPolicy.BEST_EFFORT))

    def _image(self, image: AnyImage) -> None:
        self.ways_ms.append((time.time_ns() - stamp_ns(image.header)) / 1e6)

    def hears_the_node(self) -> bool:
        return all(self._node.count_publishers(topic) for topic in self._topics.values())

    def has_account_of(self, at_ns: int) -> bool:
        return any(record.stamp_ns == at_ns for record in reversed(self.stats[-20:]))

    def _persons(self, cdr: bytes) -> None:
        now_ns = time.time_ns()
        self.arrived.append(RawMessage(f"/{self._topics['persons']}", "orpose_msgs/msg/PersonArray", now_ns, cdr))
        self.persons_ns.append(stamp_ns_of(cdr))
        self._arrived_ns[self.persons_ns[-1]] = now_ns

    def _stats(self, cdr: bytes) -> None:
        """The node publishes them right after the answer."""
        self.arrived.append(
            RawMessage(f"/{self._topics['stats']}", "orpose_msgs/msg/InferenceStats", time.time_ns(), cdr)
        )
        message = deserialize_message(cdr, InferenceStats)
        at_ns, is_answer = stamp_ns(message.header), not math.isnan(message.infer_ms)
        self.stats.append(StatsRecord(at_ns, is_answer, message.received, message.dropped))
        if is_answer and (arrived_ns := self._arrived_ns.pop(at_ns, None)) is not None:
            stages_ms = {stage: getattr(message, f"{stage}_ms") for stage in STAGES}
            self.answered.append(Answered(at_ns, (arrived_ns - at_ns) / 1e6, message.age_ms, stages_ms))


class Meter:
    """Memory and processor time of processes, once a second.

    Attributes:
        samples: Process -> its samples.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.samples: dict[str, list[Sample]] = {name: [] for name in pids}
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._started_s = self._next_s = time.monotonic()

    def sample(self) -> None:
        """Does something once a second only."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _SAMPLE_PERIOD_S
        for name, process in self._processes.items():
            try:
                times, memory = process.cpu_times(), process.memory_info().rss
            except psutil.Error:  # a camera that has finished
                continue
            if memory:  # 0 of a process that has ended and not been waited for
                sample = Sample(now_s - self._started_s, memory, times.user + times.system)
                self.samples[name].append(sample)
