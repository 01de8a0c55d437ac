"""Times of a replay -> times of the bag that was played: the answers lie beside the images they belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from visualization_msgs.msg import MarkerArray

from orpose_models.bags import stamp_ns_of, with_stamp
from orpose_models.runtime.bags import RawMessage
from orpose_models.units import NANOSECONDS_PER_SECOND
from orpose_ros.messages import stamp_ns
from orpose_ros.recorder import MARKERS, SKELETONS
from orpose_ros.replay import SentFrame


class RecordedTime:
    """Gives recorded answers the stamps that their images have in the bag.

    An answer was recorded as long after its image as it arrived after the image was sent.
    """

    def __init__(self, sent: Sequence[SentFrame]) -> None:
        self._frames = {frame.stamp_ns: frame for frame in sent}
        self._sent_ns = np.array([frame.stamp_ns for frame in sent])
        self._recorded_ns = np.array([frame.recorded_ns for frame in sent])

    def message(self, message: RawMessage) -> RawMessage:
        """The message at the time it would have in the bag, its stamps as well."""
        if message.msgtype == SKELETONS:  # no stamp; sent once, before the first image
            return RawMessage(message.topic, message.msgtype, self._moment(message.recorded_ns), message.cdr)
        now_ns = _markers_stamp_ns(message.cdr) if message.msgtype == MARKERS else stamp_ns_of(message.cdr)
        frame = self._frames.get(now_ns)
        if frame is None:  # diagnostics have the time of their own making
            stamp, recorded_ns = self._moment(now_ns), self._moment(message.recorded_ns)
        else:
            stamp, recorded_ns = frame.original_ns, frame.recorded_ns + message.recorded_ns - frame.stamp_ns
        stamped = _with_markers_stamp if message.msgtype == MARKERS else with_stamp
        return RawMessage(message.topic, message.msgtype, recorded_ns, stamped(message.cdr, stamp))

    def _moment(self, now_ns: int) -> int:
        """Between the frames around it; not before the first one, as long after the last one as it was."""
        if now_ns >= self._sent_ns[-1]:
            return int(self._recorded_ns[-1] + now_ns - self._sent_ns[-1])
        first_ns = int(self._recorded_ns[0])  # interpolated from there: a float holds days to the ns, not decades
        passed_ns = np.interp(now_ns - self._sent_ns[0], self._sent_ns - self._sent_ns[0], self._recorded_ns - first_ns)
        return first_ns + int(passed_ns)


def _markers_stamp_ns(cdr: bytes) -> int:
    markers = deserialize_message(cdr, MarkerArray).markers
    return stamp_ns(markers[0].header) if markers else 0


def _with_markers_stamp(cdr: bytes, stamp: int) -> bytes:
    message = deserialize_message(cdr, MarkerArray)
    for marker in message.markers:
        marker.header.stamp.sec, marker.header.stamp.nanosec = divmod(stamp, NANOSECONDS_PER_SECOND)
    return bytes(serialize_message(message))
