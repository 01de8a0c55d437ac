"""What belongs to a bag's image topic: its calibration and its depth, sent with each image as a driver would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orpose_models.bag_topics import PassedTopics
from orpose_models.bags import stamp_ns_of

CAMERA_INFO, DEPTH = "camera_info", "depth/image_raw"
#: Name below the camera's -> type.
COMPANIONS = {CAMERA_INFO: "sensor_msgs/msg/CameraInfo", DEPTH: "sensor_msgs/msg/Image"}
#: Depth further from the image than this does not belong to it.
MAX_APART_NS = 50_000_000


@dataclass(frozen=True)
class Companion:
    """A topic of a bag that belongs to the images.

    Attributes:
        name: One of `COMPANIONS`, what the node calls it below the camera's name.
        topic: Its name in the bag.
    """

    name: str
    topic: str


def companions_of(path: Path, image_topic: str) -> list[Companion]:
    """The topics beside an image topic, such as `/cam1/camera_info` beside `/cam1/image_raw/compressed`."""
    base = image_topic.removesuffix("/compressed").rpartition("/")[0]
    wanted = {f"{base}/{name}": (name, msgtype) for name, msgtype in COMPANIONS.items()}
    found = PassedTopics(path, lambda topic, msgtype: topic in wanted and wanted[topic][1] == msgtype)
    return [Companion(wanted[topic][0], topic) for topic in found.names if topic != image_topic]


class NearestMessages:
    """Goes through one companion beside the images, holding two of its messages."""

    def __init__(self, path: Path, companion: Companion) -> None:
        self.name = companion.name
        self._messages = iter(PassedTopics(path, lambda topic, _: topic == companion.topic))
        self._before = self._after = next(self._messages, None)

    def at(self, stamp_ns: int) -> bytes | None:
        """The serialised message whose stamp is nearest; None for depth that is not within `MAX_APART_NS`.

        Stamps must be asked for in their order. Calibration holds until there is another.
        """
        while self._after is not None and stamp_ns_of(self._after.cdr) < stamp_ns:
            self._before, self._after = self._after, next(self._messages, None)
        held = [message.cdr for message in (self._before, self._after) if message is not None]
        nearest = min(held, key=lambda cdr: abs(stamp_ns_of(cdr) - stamp_ns), default=None)
        if nearest is None or self.name == CAMERA_INFO:
            return nearest
        return nearest if abs(stamp_ns_of(nearest) - stamp_ns) <= MAX_APART_NS else None
