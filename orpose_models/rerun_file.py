"""Results for the Rerun viewer: camera image, 2D and 3D skeletons, the room, latency, on one time line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera, PersonLabel
from orpose_models.draw import person_color, side_color
from orpose_models.errors import BackendError, InputError
from orpose_models.files import cannot_be_written, remove_if_possible, temporary_path
from orpose_models.placing import FOCAL_OVER_WIDTH, shown_joints_m
from orpose_models.runtime.types import FrameResult, Person
from orpose_models.skeleton import COCO17, H36M17, Skeleton
from orpose_models.units import MILLIMETRES_PER_METRE

ROOM, CAMERA, IMAGE, TIMES = "room", "room/camera", "room/camera/image", "times"
SUFFIX = ".rrd"
_JPEG_QUALITY = 85
_LABEL_COLOR = (148, 163, 184)
_LIMB_RADIUS_M, _JOINT_RADIUS_M = 0.015, 0.025
_FLUSH_S = 60.0
#: Writing ends when less of the disk is free: Rerun's writer stops at its first error without a word, and whoever logs
#: more waits for it for ever.
_FREE_BYTES = 32 * 2**20
#: Every recording begins and ends so.
_MAGIC = b"RRF2"


@dataclass(frozen=True, eq=False)
class Shown:
    """One frame.

    Attributes:
        index: Of the frame.
        frame_size: Width and height that results refer to, px.
        time_ns: Since 1970 where the input has stamps, else since its first frame, ns.
        image: `(h, w, 3)` BGR at the resolution privacy allows.
        result: What was found in it; None without an answer.
        times_ms: Name -> ms, for the plot.
        labels: People labelled in it.
    """

    index: int
    frame_size: tuple[int, int]
    time_ns: int
    image: NDArray[np.uint8]
    result: FrameResult | None
    times_ms: Mapping[str, float]
    labels: Sequence[PersonLabel] = ()


class RerunFile:
    """An .rrd file, written under a temporary name until it is complete.

    Example:
        with RerunFile(Path("clip.rrd"), camera, has_stamps=True) as recording:
            recording.add(shown)
    """

    def __init__(self, path: Path, camera: Camera | None, *, has_stamps: bool) -> None:
        """Opens the file.

        Args:
            path: Its name.
            camera: The calibration; None: an ordinary lens, and the room's axes are the camera's.
            has_stamps: Times are dates.

        Raises:
            BackendError: Rerun is not installed.
            InputError: The file cannot be written.
        """
        self._path, self._temporary = path, temporary_path(path)
        self._camera, self._has_stamps = camera, has_stamps
        self._rerun = require_rerun()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.touch()
        except OSError as error:
            raise cannot_be_written(path, error) from None
        if not self._has_room():
            remove_if_possible(self._temporary)
            raise self._incomplete()
        self._recording = self._rerun.RecordingStream("orpose")
        self._recording.save(self._temporary, self._blueprint())
        self._log_place(camera)

    def add(self, shown: Shown) -> None:
        """Writes one frame.

        Raises:
            InputError: The disk is full.
        """
        if not self._has_room():
            raise self._incomplete()
        self._recording.set_time("frame", sequence=shown.index)
        if self._has_stamps:
            self._recording.set_time("time", timestamp=np.datetime64(shown.time_ns, "ns"))
        else:
            self._recording.set_time("time", duration=np.timedelta64(shown.time_ns, "ns"))
        self._log_image(shown.image, shown.frame_size)
        persons = shown.result.persons if shown.result else ()
        self._log_2d(persons, shown.image.shape[1] / shown.frame_size[0])
        self._log_3d(persons, shown.labels, shown.frame_size)
        for name, duration_ms in shown.times_ms.items():
            self._recording.log(f"{TIMES}/{name}", self._rerun.Scalars([duration_ms]))
        self._flush()

    def close(self) -> None:
        """Completes the file and gives it its name.

        Raises:
            InputError: It could not be written to the end.
        """
        try:
            self._flush()
            self._recording.disconnect()  # writes the table of contents
            if not _is_complete(self._temporary):  # of which Rerun tells nobody
                raise self._incomplete()
        except InputError:
            self._discard()
            raise
        os.replace(self._temporary, self._path)

    def __enter__(self) -> RerunFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()

    def _discard(self) -> None:
        self._recording.disconnect()
        remove_if_possible(self._temporary)

    def _has_room(self) -> bool:
        return shutil.disk_usage(self._temporary).free >= _FREE_BYTES

    def _flush(self) -> None:
        """Each frame, so that the free space seen is what it left."""
        try:
            self._recording.flush(timeout_sec=_FLUSH_S)
        except RuntimeError:
            raise self._incomplete() from None

    def _incomplete(self) -> InputError:
        return InputError(f"{self._path}: could not be written to the end; free the disk or choose another --rerun")

    def _blueprint(self) -> Any:
        import rerun.blueprint as views

        left = views.Vertical(
            views.Spatial2DView(origin=IMAGE, name="camera"),
            views.TimeSeriesView(origin=TIMES, name="ms"),
            row_shares=[3, 1],
        )
        return views.Blueprint(views.Horizontal(left, views.Spatial3DView(origin=ROOM, name="room")))

    def _log_place(self, camera: Camera | None) -> None:
        rerun = self._rerun
        pose = None if camera is None else camera.room_from_camera
        axes = rerun.ViewCoordinates.RDF if pose is None else rerun.ViewCoordinates.RIGHT_HAND_Z_UP
        self._recording.log(ROOM, axes, static=True)
        if pose is not None:
            place = rerun.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])
            self._recording.log(CAMERA, place, static=True)

    def _log_image(self, image: NDArray[np.uint8], frame_size: tuple[int, int]) -> None:
        """The image as it is, and the lens in its pixels."""
        is_reduced = image.shape[1] < frame_size[0]
        suffix, media_type = (".png", "image/png") if is_reduced else (".jpg", "image/jpeg")
        options = [] if is_reduced else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, encoded = cv2.imencode(suffix, image, options)
        self._recording.log(IMAGE, self._rerun.EncodedImage(contents=encoded.tobytes(), media_type=media_type))
        focal, center = self._lens_px(frame_size)
        scale = image.shape[1] / frame_size[0]
        lens = self._rerun.Pinhole(
            focal_length=[scale * side for side in focal],
            principal_point=[scale * side for side in center],
            width=image.shape[1],
            height=image.shape[0],
            camera_xyz=self._rerun.ViewCoordinates.RDF,
            image_plane_distance=0.5,
        )
        self._recording.log(IMAGE, lens)

    def _lens_px(self, frame_size: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
        """Focal lengths and principal point in px of the frame."""
        width, height = frame_size
        if self._camera is None:
            focal = FOCAL_OVER_WIDTH * width
            return (focal, focal), (width / 2, height / 2)
        scale = width / self._camera.image_size[0]
        camera = self._camera
        return (scale * camera.fx, scale * camera.fy), (scale * camera.cx, scale * camera.cy)

    def _log_2d(self, persons: Sequence[Person], scale: float) -> None:
        rerun = self._rerun
        boxes = np.array([person.bbox_xywh for person in persons]).reshape(-1, 4) * scale
        colors = [person_color(index, person)[::-1] for index, person in enumerate(persons)]
        names = [_name(person) for person in persons]
        self._recording.log(
            f"{IMAGE}/persons/boxes",
            rerun.Boxes2D(mins=boxes[:, :2], sizes=boxes[:, 2:], colors=colors, labels=names),
        )
        joints = [person.keypoints[:, :2] * scale for person in persons]
        strips, limb_colors = _limbs(joints, COCO17)
        self._recording.log(f"{IMAGE}/persons/limbs", rerun.LineStrips2D(strips, colors=limb_colors))
        points = np.concatenate(joints) if joints else np.zeros((0, 2))
        point_colors = [color for color in colors for _ in COCO17.joint_names]
        self._recording.log(f"{IMAGE}/persons/joints", rerun.Points2D(points, colors=point_colors))

    def _log_3d(self, persons: Sequence[Person], labels: Sequence[PersonLabel], frame_size: tuple[int, int]) -> None:
        rerun = self._rerun
        joints = [shown_joints_m(person, frame_size) for person in persons]
        strips, colors = _limbs(joints, H36M17)
        self._recording.log(f"{CAMERA}/persons/limbs", rerun.LineStrips3D(strips, colors=colors, radii=_LIMB_RADIUS_M))
        points = np.concatenate(joints) if joints else np.zeros((0, 3))
        own = [person_color(index, person)[::-1] for index, person in enumerate(persons) for _ in H36M17.joint_names]
        self._recording.log(f"{CAMERA}/persons/joints", rerun.Points3D(points, colors=own, radii=_JOINT_RADIUS_M))
        wanted = [
            np.where(label.keypoints_3d[:, 3:] > 0, label.keypoints_3d[:, :3] / MILLIMETRES_PER_METRE, np.nan)
            for label in labels
            if label.keypoints_3d is not None and not label.is_crowd
        ]
        known = [strip for strip in _limbs(wanted, H36M17)[0] if np.isfinite(strip).all()]
        self._recording.log(
            f"{CAMERA}/labels", rerun.LineStrips3D(known, colors=[_LABEL_COLOR] * len(known), radii=_LIMB_RADIUS_M)
        )


def require_rerun() -> Any:
    """The module `rerun`.

    Raises:
        BackendError: It is not installed.
    """
    os.environ.setdefault("RUST_LOG", "off")  # what goes wrong is said once, by us
    try:
        import rerun
    except ImportError as error:
        raise BackendError(f"rerun cannot be imported ({error}): pip install 'orpose[rerun]'") from None
    return rerun


def check_name(path: str) -> Path:
    """Raises InputError if no recording can have this name, so that this shows before it is made."""
    if Path(path).suffix.lower() != SUFFIX:
        raise InputError(f"{path}: expected a file name that ends in {SUFFIX} for --rerun")
    if Path(path).is_dir():
        raise InputError(f"{path}: is a folder; give the file's name with --rerun")
    return Path(path)


def _limbs(
    skeletons: Sequence[NDArray[np.floating]], skeleton: Skeleton
) -> tuple[list[NDArray[np.floating]], list[tuple[int, int, int]]]:
    """Each limb as a line, and its colour (RGB)."""
    strips = [joints[list(limb)] for joints in skeletons for limb in skeleton.limbs]
    colors = [side_color(skeleton, limb)[::-1] for _ in skeletons for limb in skeleton.limbs]
    return strips, colors


def _name(person: Person) -> str:
    return f"{person.score:.2f}" if person.track_id < 0 else f"#{person.track_id} {person.score:.2f}"


def _is_complete(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
        file.seek(max(0, path.stat().st_size - 64))
        return start == _MAGIC and _MAGIC[:3] in file.read()
