"""Quality of service: what we ask for, and what publishers offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from orpose_ros.config import QosName

#: Answers: nothing is lost on a busy machine, and a slow subscriber gets the newest few.
OUTPUT_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE)
#: What a late subscriber must get as well.
LATCHED_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=2,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_IMAGE_DEPTH = 10


class Endpoint(Protocol):
    """What rclpy knows of a publisher or subscription."""

    node_name: str
    node_namespace: str
    topic_type: str
    qos_profile: QoSProfile


def image_qos(reliability: ReliabilityPolicy) -> QoSProfile:
    """For images.

    The mailbox keeps the newest one only, and counts the others. A middleware queue of 1 would do the same without
    counting: on a busy machine frames would be lost on the way, and nobody would know.
    """
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=_IMAGE_DEPTH, reliability=reliability)


def wanted_reliability(name: QosName, publishers: Sequence[Endpoint]) -> ReliabilityPolicy:
    """The reliability to subscribe with.

    `auto`: a reliable subscription gets nothing from a best effort publisher, and a best effort subscription loses
    nearly all large images on Fast DDS' default transports. So reliable where every publisher offers it, else (as long
    as there is none, too) best effort.
    """
    if name == "reliable":
        return ReliabilityPolicy.RELIABLE
    if name == "auto" and publishers and all(is_reliable(publisher) for publisher in publishers):
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT


def is_reliable(endpoint: Endpoint) -> bool:
    return bool(endpoint.qos_profile.reliability == ReliabilityPolicy.RELIABLE)


def reliability_text(reliability: ReliabilityPolicy) -> str:
    return "reliable" if reliability == ReliabilityPolicy.RELIABLE else "best effort"


def publishers_text(publishers: Sequence[Endpoint]) -> str:
    """One line about the publishers of a topic."""
    described = [
        f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name} "
        f"({publisher.topic_type}, {reliability_text(publisher.qos_profile.reliability)})"
        for publisher in publishers
    ]
    return ", ".join(described) or "none"
