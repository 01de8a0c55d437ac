"""The node's several cameras as one: answers of one moment fused into people in the room."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point
from orpose_msgs.msg import Keypoint3D, PersonArray
from orpose_msgs.msg import Person as PersonMessage
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from orpose_models.draw import track_color
from orpose_models.multiview.associate import fuse_views
from orpose_models.multiview.fuse import FusedPerson
from orpose_models.multiview.moments import Moments, Stamped
from orpose_models.multiview.room_tracks import RoomTracker
from orpose_models.multiview.sights import Sight, sights_of
from orpose_models.multiview.watch import ClockWatch, DriftWatch
from orpose_models.runtime.types import FrameResult, RootSource, TrackState
from orpose_models.skeleton import H36M17
from orpose_models.units import NANOSECONDS_PER_SECOND
from orpose_ros.config import NodeConfig
from orpose_ros.markers import marker_color, skeleton_markers
from orpose_ros.messages import stamp_ns
from orpose_ros.qos import OUTPUT_QOS
from orpose_ros.room_calibration import CalibrationSource
from orpose_ros.tf_frames import JointFrames

#: A camera that has delivered nothing for so long is not waited for, s.
_PATIENCE_S = 1.0
#: Clocks that differ by more than this many tolerances of a moment are reported; half as much is a slow network.
_CLOCK_TOLERANCES = 2.0
#: How often people are compared for watching the calibration, s: it changes slowly.
_WATCH_PERIOD_S = 0.5
#: Moments that find no partners are a problem from this share on.
_DROPPED_SHARE = 0.5


class Room:
    """Publishes orpose/room/persons and markers. `add` is called by the worker's thread, the rest by the executor's."""

    def __init__(
        self,
        node: LifecycleNode,
        config: NodeConfig,
        model_id: str,
        calibration: CalibrationSource,
        frames: JointFrames | None = None,
    ) -> None:
        self._node, self._config, self._model_id = node, config, model_id
        self._calibration, self._frames = calibration, frames
        self._persons = node.create_lifecycle_publisher(PersonArray, "orpose/room/persons", OUTPUT_QOS)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "orpose/room/markers", OUTPUT_QOS)
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        """Forgets what was seen."""
        tolerance_s = self._config.sync_tolerance_ms / 1e3
        self._moments: Moments[list[Sight]] = Moments(
            self._config.cameras, round(tolerance_s * NANOSECONDS_PER_SECOND), _PATIENCE_S
        )
        self._tracker = RoomTracker()
        self._drift = DriftWatch(self._config.moved_deg)
        self._clocks = ClockWatch(_CLOCK_TOLERANCES * tolerance_s)
        self._watched_s = 0.0
        self._published = self._published_before = self._dropped_before = 0
        self._last_status_s = time.monotonic()

    def open(self) -> None:
        """Starts anew."""
        with self._lock:
            self._begin()
        self._calibration.open()

    def close(self) -> None:
        self._calibration.close()

    def destroy(self) -> None:
        for publisher in (self._persons, self._markers):
            self._node.destroy_publisher(publisher)

    def receive(self, camera: str, header: Header) -> None:
        """Notes when an image arrived, whether or not it will be answered."""
        with self._lock:
            self._clocks.add(camera, stamp_ns(header), time.monotonic())

    def add(self, camera: str, header: Header, result: FrameResult) -> None:
        """Takes the answer to one image; publishes the people of each moment that is complete with it."""
        calibrated = self._calibration.camera(camera, header, result.image_size)
        if calibrated is None:
            return
        seen = [p for p in result.persons if p.track_state != TrackState.LOST]
        with self._lock:
            sights = sights_of(calibrated, seen)
            for moment in self._moments.add(camera, stamp_ns(header), sights, time.monotonic()):
                self._publish(moment)

    def _publish(self, moment: dict[str, Stamped[list[Sight]]]) -> None:
        sights = {camera: entry.item for camera, entry in moment.items()}
        newest_ns = max(entry.stamp_ns for entry in moment.values())
        persons = self._tracker.update(fuse_views(sights), newest_ns)
        if (now_s := time.monotonic()) - self._watched_s >= _WATCH_PERIOD_S:
            self._watched_s = now_s
            self._drift.add(sights)
        header = Header(stamp=_time(newest_ns), frame_id=self._config.room_frame)
        message = self._message(header, persons)
        self._persons.publish(message)
        self._published += 1
        if self._frames is not None:
            self._frames.publish(message)
        if self._markers.get_subscription_count():
            self._markers.publish(room_markers(header, persons))

    def _message(self, header: Header, persons: Sequence[FusedPerson]) -> PersonArray:
        return PersonArray(
            header=header,
            format_3d=H36M17.name,
            model_id=self._model_id,
            downsample=float(self._config.downsample),
            persons=[
                room_person(person, confirmed=self._tracker.state(person.track_id).confirmed) for person in persons
            ],
        )

    def status(self) -> DiagnosticStatus:
        """What became of the moments since the last call, and whether calibration and clocks hold."""
        with self._lock:
            dropped, now_s = sum(self._moments.dropped.values()), time.monotonic()
            moments = self._published - self._published_before
            lost = dropped - self._dropped_before
            movement = self._drift.movement()
            problems = [
                *self._calibration.problems(),
                *([self._clocks.disagreement()] if self._clocks.disagreement() else []),
                *([f"{movement}; calibrate anew (`orpose calibrate`)"] if movement else []),
            ]
            if lost > _DROPPED_SHARE * (lost + moments * len(self._config.cameras)):
                problems.append(
                    f"{lost} answers found no partners within {self._config.sync_tolerance_ms:g} ms: are the cameras "
                    "triggered together? else raise sync_tolerance_ms"
                )
            values = {
                "moments (1/s)": f"{moments / max(now_s - self._last_status_s, 1e-6):.1f}",
                "answers without partners": str(dropped),
                "calibration": self._calibration.describe(),
                **{f"clock ahead: {name} (s)": f"{ahead:.3f}" for name, ahead in self._clocks.ahead_s().items()},
                **{f"rays miss: {a}, {b} (m, median)": f"{m:.3f}" for (a, b), m in self._drift.misses_m().items()},
            }
            self._published_before, self._dropped_before, self._last_status_s = self._published, dropped, now_s
        return DiagnosticStatus(
            level=DiagnosticStatus.WARN if problems else DiagnosticStatus.OK,
            name=f"{self._node.get_fully_qualified_name()}: {self._config.room_frame}",
            message="; ".join(problems) or "OK",
            hardware_id=self._config.room_frame,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


def room_person(person: FusedPerson, *, confirmed: bool) -> PersonMessage:
    """A person in the room: no box and no 2D, joints in m in the room's frame."""
    pelvis_x, pelvis_y, pelvis_z = person.joints[H36M17.root, :3].tolist()
    return PersonMessage(
        track_id=person.track_id,
        track_state=PersonMessage.TRACK_CONFIRMED if confirmed else PersonMessage.TRACK_TENTATIVE,
        score=float(person.score),
        **dict.fromkeys(("bbox_x", "bbox_y", "bbox_w", "bbox_h"), math.nan),
        keypoints_3d_metric=[
            Keypoint3D(position=Point(x=x, y=y, z=z), score=score) for x, y, z, score in person.joints.tolist()
        ],
        root_source=int(RootSource.VIEWS),
        root=Point(x=pelvis_x, y=pelvis_y, z=pelvis_z),
        root_covariance=np.full(9, np.nan),
    )


def room_markers(header: Header, persons: Sequence[FusedPerson]) -> MarkerArray:
    """Skeletons in the room, each in the colour of its track, after the removal of all earlier markers."""
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for index, person in enumerate(persons):
        color = marker_color(track_color(person.track_id))
        markers += skeleton_markers(header, index, person.joints[:, :3], color)
    return MarkerArray(markers=markers)


def _time(total_ns: int) -> Time:
    seconds, nanoseconds = divmod(total_ns, NANOSECONDS_PER_SECOND)
    return Time(sec=seconds, nanosec=nanoseconds)
