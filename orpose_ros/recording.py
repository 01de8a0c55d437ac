"""The bag of a replay: the topics of the bag that was played, and beside them what the node published."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from orpose_models.bag_topics import TYPES_WITHOUT_PICTURES, PassedTopics
from orpose_models.bags import LATCHED, compressed_message, frame_id_of, stamp_ns_of, write_raw_bag
from orpose_models.runtime.bags import OWN_TOPICS, BagImages, RawMessage
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.frames import Frame
from orpose_models.runtime.images import to_bgr8
from orpose_ros.bag_types import typestore
from orpose_ros.drawing import Drawing
from orpose_ros.recorded_time import RecordedTime
from orpose_ros.recorder import Recorder
from orpose_ros.replay import SentFrame

_OVERLAY_QUALITY = 85


def write_bag(
    path: Path,
    bag: BagImages,
    sent: Sequence[SentFrame],
    recorder: Recorder,
    drawing: Drawing,
    config: RuntimeConfig,
    camera: str,
) -> PassedTopics:
    """Writes a rosbag2 folder (MCAP) and draws the pictures on the way; all times are those of the bag played.

    Without privacy downsampling every topic of the bag is in it, byte for byte. With it, the images are the reduced
    ones, under a name that says so, and of the other topics only those whose type shows nobody.

    Returns:
        The topics that were passed on and left out.
    """
    others = PassedTopics(bag.path, lambda topic, msgtype: _is_passed(topic, msgtype, bag, config.downsample))
    answers = _in_the_bags_time([*recorder.persons, *recorder.stats, *recorder.others], RecordedTime(sent))
    images = _images(bag, {item.index: item for item in sent}, drawing, config, camera)
    store = typestore()
    others.add_types_to(store)
    qos = {**others.offered_qos, f"{OWN_TOPICS}skeletons": [LATCHED]}
    write_raw_bag(path, heapq.merge(images, others, answers, key=_recorded_ns), store, qos)
    return others


def _in_the_bags_time(messages: list[RawMessage], times: RecordedTime) -> list[RawMessage]:
    """In the order they came in: played faster than recorded, an answer may lie after the next image and its answer."""
    found: list[RawMessage] = []
    for message in map(times.message, sorted(messages, key=_recorded_ns)):
        latest_ns = found[-1].recorded_ns if found else 0
        found.append(dataclasses.replace(message, recorded_ns=max(latest_ns, message.recorded_ns)))
    return found


def reduced_topic(topic: str) -> str:
    """Where the reduced images of an image topic are written."""
    base = topic.removesuffix("/compressed")
    return f"{base.removesuffix('/image_raw')}/image_reduced/compressed"


def _is_passed(topic: str, msgtype: str, bag: BagImages, downsample: float) -> bool:
    if topic == bag.topic or topic.startswith(OWN_TOPICS):  # the answers of an earlier replay
        return False
    return downsample == 1 or msgtype in TYPES_WITHOUT_PICTURES


def _images(
    bag: BagImages, sent: Mapping[int, SentFrame], drawing: Drawing, config: RuntimeConfig, camera: str
) -> Iterator[RawMessage]:
    """The images as privacy allows, each with its drawing."""
    for raw, frame in bag.with_messages():
        is_original = config.downsample == 1
        if is_original:
            yield raw
        if not isinstance(frame, Frame) or frame.index not in sent:
            continue
        picture = privacy_downsample(to_bgr8(frame.image), config.downsample)
        stamp_ns, frame_id = stamp_ns_of(raw.cdr), frame_id_of(raw.cdr)
        if not is_original:
            message = compressed_message(picture, reduced_topic(raw.topic), stamp_ns, "png", frame_id=frame_id)
            yield dataclasses.replace(message, recorded_ns=raw.recorded_ns)
        frame_size = config.frame_size or (frame.image.shape[1], frame.image.shape[0])
        drawn = drawing.add(frame.index, picture, frame_size)
        topic = f"{OWN_TOPICS}{camera}/overlay/compressed"
        message = compressed_message(drawn, topic, stamp_ns, "jpeg", _OVERLAY_QUALITY, frame_id)
        yield dataclasses.replace(message, recorded_ns=raw.recorded_ns)


def _recorded_ns(message: RawMessage) -> int:
    return message.recorded_ns
