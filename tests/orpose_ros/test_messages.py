"""Results as messages: units, order, headers, and the way back."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from orpose_msgs.msg import Person as PersonMessage
from orpose_msgs.msg import PersonArray
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from orpose_models.bags import stamp_ns_of, with_stamp
from orpose_models.runtime.types import FrameResult, Person, Root, RootSource, TrackState
from orpose_models.skeleton import COCO17, H36M17
from orpose_ros.bag_types import message_folder, typestore
from orpose_ros.messages import image_message, inference_stats, person_array, skeleton_definition, stamp_ns
from orpose_ros.replayed import result_from_message


@pytest.fixture
def header() -> Header:
    header = Header(frame_id="or1_optical")
    header.stamp.sec, header.stamp.nanosec = 1_700_000_000, 123_456_789
    return header


@pytest.fixture
def person() -> Person:
    random = np.random.default_rng(3)
    return Person(
        score=0.75,
        bbox_xywh=np.array([10, 20, 30, 40], np.float32),
        keypoints=random.random((17, 3), np.float32) * [640, 480, 1],
        keypoints_3d=(random.random((17, 4), np.float32) * [1000, 1000, 1000, 1]).astype(np.float32),
    )


def test_units_and_header(person, header):
    result = FrameResult(persons=(person,), image_size=(640, 480), downsample=12.0)
    message = person_array(result, header, "lite@1a2b3c4d")
    assert message.header == header
    assert (message.image_width, message.image_height, message.downsample) == (640, 480, 12.0)
    assert (message.format_2d, message.format_3d, message.model_id) == ("coco17", "h36m17", "lite@1a2b3c4d")
    out = message.persons[0]
    assert (out.bbox_x, out.bbox_y, out.bbox_w, out.bbox_h) == (10, 20, 30, 40)
    assert (out.track_id, out.track_state) == (-1, out.TRACK_NONE)
    assert len(out.keypoints_2d) == len(out.keypoints_3d_rel) == 17
    assert out.keypoints_2d[5].x == pytest.approx(person.keypoints[5, 0])
    assert out.keypoints_3d_rel[5].position.y == pytest.approx(person.keypoints_3d[5, 1] / 1000)
    assert out.keypoints_3d_metric == []


def test_the_way_back_gives_the_same_result(person, header):
    result = FrameResult(persons=(person, person), image_size=(1920, 1080), downsample=4.0)
    sent = serialize_message(person_array(result, header, "m"))
    back = result_from_message(deserialize_message(sent, PersonArray))
    assert back.image_size == (1920, 1080)
    assert back.downsample == 4.0
    for name in ("bbox_xywh", "keypoints", "keypoints_3d"):
        np.testing.assert_allclose(getattr(back.persons[1], name), getattr(person, name), rtol=1e-5, atol=1e-4)


def test_identities_and_places_go_there_and_back(person, header):
    metric = np.random.default_rng(5).uniform(-1, 4, (17, 4)).astype(np.float32)
    metric[7] = (np.nan, np.nan, np.nan, 0)
    root = Root(np.array([0.5, -0.25, 3.0]), np.arange(9.0).reshape(3, 3), RootSource.DEPTH)
    placed = dataclasses.replace(
        person, track_id=12, track_state=TrackState.LOST, keypoints_3d_metric=metric, root=root
    )
    message = person_array(FrameResult(persons=(placed, person), image_size=(8, 8)), header, "m")
    first, second = message.persons
    assert (first.track_id, first.track_state, first.root_source) == (12, first.TRACK_LOST, first.ROOT_DEPTH)
    assert first.keypoints_3d_metric[2].position.z == pytest.approx(metric[2, 2]), "metres stay metres"
    assert math.isnan(first.keypoints_3d_metric[7].position.x)
    assert (first.root.x, first.root.y, first.root.z) == (0.5, -0.25, 3.0)
    assert list(first.root_covariance) == list(range(9))
    assert (second.root_source, math.isnan(second.root.x)) == (second.ROOT_NONE, True)
    back = result_from_message(deserialize_message(serialize_message(message), PersonArray)).persons
    np.testing.assert_allclose(back[0].keypoints_3d_metric, metric, rtol=1e-6)
    np.testing.assert_array_equal(back[0].root.covariance_m2, root.covariance_m2)
    assert (back[0].track_id, back[0].track_state, back[0].root.source) == (12, TrackState.LOST, RootSource.DEPTH)
    assert (back[1].keypoints_3d_metric, back[1].root) == (None, None)


@pytest.mark.parametrize("states", [TrackState, RootSource])
def test_numbers_of_states_are_those_of_the_message(states):
    prefix = "TRACK_" if states is TrackState else "ROOT_"
    assert {state.name: int(state) for state in states} == {
        state.name: getattr(PersonMessage, prefix + state.name) for state in states
    }


def test_nobody_is_an_empty_array(header):
    message = person_array(FrameResult(persons=(), image_size=(8, 8)), header, "m")
    assert message.persons == []


def test_a_dropped_frame_has_no_stage_times(header):
    stats = inference_stats(header, {}, age_ms=12.0, received=5, dropped=2)
    assert all(math.isnan(value) for value in (stats.decode_ms, stats.preprocess_ms, stats.infer_ms, stats.post_ms))
    assert (stats.age_ms, stats.received, stats.dropped) == (12.0, 5, 2)


@pytest.mark.parametrize("skeleton", [COCO17, H36M17])
def test_skeleton_definitions(skeleton):
    message = skeleton_definition(skeleton)
    assert message.joint_names == list(skeleton.joint_names)
    assert list(zip(message.edge_from, message.edge_to, strict=True)) == list(skeleton.limbs)
    assert message.root == skeleton.root


def test_stamps_are_read_and_changed_in_the_serialised_message(header):
    cdr = serialize_message(image_message(np.zeros((2, 3, 3), np.uint8), header))
    assert stamp_ns_of(cdr) == stamp_ns(header) == 1_700_000_000_123_456_789
    changed = deserialize_message(
        with_stamp(cdr, 5_000_000_007), type(image_message(np.zeros((1, 1, 3), np.uint8), header))
    )
    assert stamp_ns(changed.header) == 5_000_000_007
    assert (changed.header.frame_id, changed.width, changed.step) == ("or1_optical", 3, 9)


def test_recordings_know_every_message_of_ours():
    names = {f"orpose_msgs/msg/{path.stem}" for path in message_folder().glob("*.msg")}
    assert len(names) == 6
    assert names <= set(typestore().fielddefs)
