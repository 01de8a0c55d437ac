"""Records what the node publishes, serialised as it comes."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray
from orpose_msgs.msg import InferenceStats, PersonArray, SkeletonDefinition
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from visualization_msgs.msg import MarkerArray

from orpose_models.bags import stamp_ns_of
from orpose_models.runtime.bags import RawMessage
from orpose_ros.qos import LATCHED_QOS

#: Types without a stamp in front.
MARKERS, SKELETONS = "visualization_msgs/msg/MarkerArray", "orpose_msgs/msg/SkeletonDefinition"
#: Nothing may be missing in a recording.
RECORDING_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE)


class Recorder:
    """Keeps every message of one camera's answers in memory (about 4 kB for each person and frame).

    Attributes:
        persons: PersonArray messages.
        stats: InferenceStats messages.
        others: Markers, skeleton definitions and diagnostics.
    """

    def __init__(self, node: Node, camera: str) -> None:
        self.persons: list[RawMessage] = []
        self.stats: list[RawMessage] = []
        self.others: list[RawMessage] = []
        self._node = node
        self._subscriptions = [
            _record(node, PersonArray, f"orpose/{camera}/persons", self.persons, RECORDING_QOS),
            _record(node, InferenceStats, f"orpose/{camera}/stats", self.stats, RECORDING_QOS),
            _record(node, MarkerArray, f"orpose/{camera}/markers", self.others, RECORDING_QOS),
            _record(node, SkeletonDefinition, "orpose/skeletons", self.others, LATCHED_QOS),
            _record(node, DiagnosticArray, "diagnostics", self.others, RECORDING_QOS),
        ]

    def hears_the_node(self) -> bool:
        """Whether every subscription has its publisher."""
        return all(self._node.count_publishers(subscription.topic_name) for subscription in self._subscriptions)

    def has_account_of(self, stamp_ns: int) -> bool:
        """Whether the node told what became of the frame with this stamp."""
        return any(stamp_ns_of(message.cdr) == stamp_ns for message in reversed(self.stats))


def _record(node: Node, message_type: type, topic: str, into: list[RawMessage], qos: QoSProfile) -> Subscription:
    package = message_type.__module__.split(".")[0]

    def append(cdr: bytes) -> None:
        # Recorded under the name without the replay's namespace: as in a live system.
        into.append(RawMessage(f"/{topic}", f"{package}/msg/{message_type.__name__}", time.time_ns(), cdr))

    return node.create_subscription(message_type, topic, append, qos, raw=True)
