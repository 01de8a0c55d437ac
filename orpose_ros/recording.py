"""Files of a replay: the bag with images and answers, the overlay video, the contact sheet."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.bags import compressed_message, with_stamp, write_raw_bag
from orpose_models.draw import VideoWriter, contact_sheet, overlay
from orpose_models.runtime.bags import BagImages, RawMessage
from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.frames import Frame
from orpose_models.runtime.images import to_bgr8
from orpose_models.runtime.types import FrameResult
from orpose_ros.bag_types import typestore
from orpose_ros.recorder import Recorder
from orpose_ros.replay import SentFrame
from orpose_ros.replayed import ReplayedFrame

#: Pictures in the contact sheet and in the report.
STILLS = 12


def write_bag(path: Path, bag: BagImages, sent: Sequence[SentFrame], recorder: Recorder, downsample: float) -> None:
    """Writes a rosbag2 folder (MCAP) with what was sent, stamped as sent, and everything the node published.

    With privacy downsampling the camera's images stay out; a topic image_reduced holds what the network saw.
    """
    answers = sorted([*recorder.persons, *recorder.stats, *recorder.others], key=_recorded_ns)
    images = _sent_images(bag, sent) if downsample == 1 else _reduced_images(bag, sent, downsample)
    write_raw_bag(path, heapq.merge(images, answers, key=_recorded_ns), typestore())


def draw(
    folder: Path, bag: BagImages, frames: Sequence[ReplayedFrame], downsample: float
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Writes overlay.mp4 and contact_sheet.png, at the resolution privacy allows.

    Returns:
        Captions and pictures of the stills.
    """
    replayed = {frame.index: frame for frame in frames}
    wanted = {round(index) for index in np.linspace(0, len(frames) - 1, min(STILLS, len(frames)))}
    stills = []
    with VideoWriter(folder / "overlay.mp4", bag.frames_per_second or 10.0) as video:
        for frame in _readable(bag):
            if frame.index not in replayed:
                continue
            picture = _draw_frame(privacy_downsample(to_bgr8(frame.image), downsample), frame, replayed[frame.index])
            video.write(picture)
            if frame.index in wanted:
                stills.append((_caption(replayed[frame.index]), picture))
    if stills:
        sheet = contact_sheet([picture for _, picture in stills], [caption for caption, _ in stills])
        cv2.imwrite(str(folder / "contact_sheet.png"), sheet)
    return stills


def _draw_frame(image: NDArray[np.uint8], frame: Frame, replayed: ReplayedFrame) -> NDArray[np.uint8]:
    nobody = FrameResult(persons=(), image_size=(frame.image.shape[1], frame.image.shape[0]))
    return overlay(image, replayed.result or nobody)


def _caption(frame: ReplayedFrame) -> str:
    if frame.result is None:
        return f"{frame.time_s:.1f} s: {'dropped' if frame.was_received else 'lost'}"
    return f"{frame.time_s:.1f} s: {len(frame.result.persons)} persons, {frame.latency_ms:.0f} ms"


def _sent_images(bag: BagImages, sent: Sequence[SentFrame]) -> Iterator[RawMessage]:
    stamps = {item.index: item.stamp_ns for item in sent}
    for index, message in enumerate(bag.raw_messages()):
        if index in stamps:
            cdr = with_stamp(message.cdr, stamps[index])
            yield RawMessage(message.topic, message.msgtype, stamps[index], cdr)


def _reduced_images(bag: BagImages, sent: Sequence[SentFrame], downsample: float) -> Iterator[RawMessage]:
    stamps = {item.index: item.stamp_ns for item in sent}
    for frame in _readable(bag):
        if frame.index in stamps:
            reduced = privacy_downsample(to_bgr8(frame.image), downsample)
            yield compressed_message(reduced, "/camera/image_reduced/compressed", stamps[frame.index], "png")


def _readable(bag: BagImages) -> Iterator[Frame]:
    return (item for item in bag if isinstance(item, Frame))


def _recorded_ns(message: RawMessage) -> int:
    return message.recorded_ns
