"""A replay put together again: each frame with its answer, latency and statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from orpose_msgs.msg import InferenceStats, PersonArray
from orpose_msgs.msg import Person as PersonMessage
from rclpy.serialization import deserialize_message

from orpose_models.bags import stamp_ns_of
from orpose_models.runtime.types import FrameResult, Person, Root, RootSource, TrackState
from orpose_models.units import MILLIMETRES_PER_METRE
from orpose_ros.account import Account, StatsRecord, account_of
from orpose_ros.messages import stamp_ns
from orpose_ros.recorder import Recorder
from orpose_ros.replay import SentFrame

STAGES = ("decode", "preprocess", "infer", "post")


@dataclass(frozen=True, eq=False)
class ReplayedFrame:
    """One frame that was sent.

    Attributes:
        index: Position in the bag.
        stamp_ns: Header stamp it was sent with, ns.
        original_ns: Header stamp in the bag, ns.
        time_s: In the recording, since its first frame, s.
        result: What the node found; None without an answer.
        latency_ms: From the image's stamp to the arrival of the answer at the recorder; None without an answer.
        age_ms: From the image's stamp to publication in the node; None if it was never received.
        stages_ms: The node's stage times; empty without an answer.
        was_received: By the node.
    """

    index: int
    stamp_ns: int
    original_ns: int
    time_s: float
    result: FrameResult | None
    latency_ms: float | None
    age_ms: float | None
    stages_ms: dict[str, float]
    was_received: bool

    @property
    def node_added_ms(self) -> float | None:
        """What transport, waiting and messages add to the stages, up to publication."""
        return None if self.age_ms is None or not self.stages_ms else self.age_ms - sum(self.stages_ms.values())


def put_together(sent: Sequence[SentFrame], recorder: Recorder) -> tuple[list[ReplayedFrame], Account]:
    """The frames in the order they were sent, and the account of them."""
    stats = [deserialize_message(message.cdr, InferenceStats) for message in recorder.stats]
    stats_by_stamp = {stamp_ns(message.header): message for message in stats}
    answers = {stamp_ns_of(message.cdr): message for message in recorder.persons}
    frames = []
    for item in sent:
        answer, statistics = answers.get(item.stamp_ns), stats_by_stamp.get(item.stamp_ns)
        frames.append(
            ReplayedFrame(
                index=item.index,
                stamp_ns=item.stamp_ns,
                original_ns=item.original_ns,
                time_s=(item.recorded_ns - sent[0].recorded_ns) / 1e9,
                result=result_from_message(deserialize_message(answer.cdr, PersonArray)) if answer else None,
                latency_ms=(answer.recorded_ns - item.stamp_ns) / 1e6 if answer else None,
                age_ms=statistics.age_ms if statistics else None,
                stages_ms=_stages(statistics) if statistics else {},
                was_received=statistics is not None,
            )
        )
    records = [
        StatsRecord(stamp_ns(message.header), not math.isnan(message.infer_ms), message.received, message.dropped)
        for message in stats
    ]
    persons_ns = [stamp_ns_of(message.cdr) for message in recorder.persons]
    return frames, account_of([item.stamp_ns for item in sent], records, persons_ns)


def result_from_message(message: PersonArray) -> FrameResult:
    """A PersonArray as the runtime's result; the inverse of `messages.person_array`."""
    return FrameResult(
        persons=tuple(_person(person) for person in message.persons),
        image_size=(message.image_width, message.image_height),
        downsample=message.downsample,
    )


def _person(message: PersonMessage) -> Person:
    joints_3d = [(k.position.x, k.position.y, k.position.z, k.score) for k in message.keypoints_3d_rel]
    scale = np.array([MILLIMETRES_PER_METRE] * 3 + [1.0])
    return Person(
        score=message.score,
        bbox_xywh=np.array([message.bbox_x, message.bbox_y, message.bbox_w, message.bbox_h], np.float32),
        keypoints=np.array([(k.x, k.y, k.score) for k in message.keypoints_2d], np.float32).reshape(17, 3),
        keypoints_3d=(np.array(joints_3d).reshape(17, 4) * scale).astype(np.float32),
        track_id=message.track_id,
        track_state=TrackState(message.track_state),
        keypoints_3d_metric=_metric(message),
        root=_root(message),
    )


def _metric(message: PersonMessage) -> NDArray[np.float32] | None:
    joints = [(k.position.x, k.position.y, k.position.z, k.score) for k in message.keypoints_3d_metric]
    return np.array(joints, np.float32).reshape(17, 4) if joints else None


def _root(message: PersonMessage) -> Root | None:
    if message.root_source == RootSource.NONE:
        return None
    position_m = np.array([message.root.x, message.root.y, message.root.z])
    covariance_m2 = np.array(message.root_covariance, np.float64).reshape(3, 3)
    return Root(position_m, covariance_m2, RootSource(message.root_source))


def _stages(message: InferenceStats) -> dict[str, float]:
    stages = {stage: float(getattr(message, f"{stage}_ms")) for stage in STAGES}
    return {} if math.isnan(stages["infer"]) else stages
