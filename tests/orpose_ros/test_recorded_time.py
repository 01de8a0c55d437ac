"""Stamps of a replay become those of the bag."""

from __future__ import annotations

from orpose_msgs.msg import PersonArray, SkeletonDefinition
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from orpose_models.runtime.bags import RawMessage
from orpose_ros.messages import stamp_ns
from orpose_ros.recorded_time import RecordedTime
from orpose_ros.replay import SentFrame

SECOND = 10**9
#: Sent at 1000 s and 1001 s, recorded at 50 s and 52 s with stamps 0.1 s earlier: played at double speed.
SENT = [
    SentFrame(0, 1000 * SECOND, 50 * SECOND, 50 * SECOND - SECOND // 10),
    SentFrame(1, 1001 * SECOND, 52 * SECOND, 52 * SECOND - SECOND // 10),
]
TIMES = RecordedTime(SENT)


def header(seconds: float) -> Header:
    made = Header(frame_id="camera")
    made.stamp.sec, made.stamp.nanosec = divmod(round(seconds * SECOND), SECOND)
    return made


def raw(msgtype: str, message, seconds: float) -> RawMessage:
    return RawMessage("/topic", msgtype, round(seconds * SECOND), bytes(serialize_message(message)))


def test_an_answer_comes_as_long_after_its_image_as_it_did():
    found = TIMES.message(raw("orpose_msgs/msg/PersonArray", PersonArray(header=header(1001)), 1001.03))
    assert found.recorded_ns == round(52.03 * SECOND)
    assert stamp_ns(deserialize_message(found.cdr, PersonArray).header) == round(51.9 * SECOND)


def test_markers_have_their_stamps_inside():
    markers = MarkerArray(markers=[Marker(header=header(1000), id=number) for number in range(3)])
    found = TIMES.message(raw("visualization_msgs/msg/MarkerArray", markers, 1000.2))
    inside = deserialize_message(found.cdr, MarkerArray).markers
    assert {stamp_ns(marker.header) for marker in inside} == {round(49.9 * SECOND)}
    assert [marker.id for marker in inside] == [0, 1, 2]
    assert found.recorded_ns == round(50.2 * SECOND)


def test_what_belongs_to_no_image_lies_between_them():
    def recorded_s(seconds: float) -> float:
        definition = raw("orpose_msgs/msg/SkeletonDefinition", SkeletonDefinition(name="coco17"), seconds)
        return TIMES.message(definition).recorded_ns / SECOND

    assert recorded_s(900) == 50, "the node came up long before the first image"
    assert recorded_s(1000.5) == 51
    assert recorded_s(1003) == 54
