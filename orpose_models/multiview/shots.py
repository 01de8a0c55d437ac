"""Images that several cameras took at the same moments: out of a bag, a label file, or folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera, read_annotations
from orpose_models.bags import stamp_ns_of
from orpose_models.errors import AnnotationError, CalibrationError, InputError
from orpose_models.files import image_folder
from orpose_models.intrinsics import lens_from_camera_info
from orpose_models.multiview.calibration import for_image_size
from orpose_models.multiview.moments import Moments
from orpose_models.runtime.bag_depth import CAMERA_INFO, camera_base
from orpose_models.runtime.bags import IMAGE_TYPES, OWN_TOPICS, BagImages, damage_as_input_error, open_bag
from orpose_models.runtime.frames import Unreadable
from orpose_models.runtime.sources import IMAGE_SUFFIXES
from orpose_models.units import MILLIMETRES_PER_METRE

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, eq=False)
class Shot:
    """One camera's image of a moment.

    Attributes:
        read: Gives the pixels, `(H, W, 3)` BGR.
        image_id: Of a label file, else None.
        depth_file: 16-bit PNG in mm, of a label file that has depth.
    """

    read: Callable[[], NDArray[np.uint8]]
    image_id: int | None = None
    depth_file: Path | None = None

    def depth_m(self) -> NDArray[np.float64] | None:
        """`(H, W)` m along the optical axis, NaN where there is none; None without depth."""
        if self.depth_file is None:
            return None
        depth = cv2.imread(str(self.depth_file), cv2.IMREAD_UNCHANGED)
        if depth is None or depth.ndim != 2:
            raise InputError(f"{self.depth_file}: not a 16-bit depth image")
        return np.where(depth > 0, depth / MILLIMETRES_PER_METRE, np.nan)


@dataclass(frozen=True, eq=False)
class Recording:
    """Moments, camera -> shot, and what the input itself knows of the cameras (lenses, perhaps poses)."""

    moments: list[dict[str, Shot]]
    cameras: Mapping[str, Camera] = field(default_factory=dict)


def open_recording(path: Path, most: int, tolerance_s: float) -> Recording:
    """The moments of a recording, at most so many, evenly over its length; all of one sequence of a label file.

    Args:
        path: A rosbag2 (image topics, camera_info beside them), a label file, or a folder with one of images for each
            camera; there, files of the same name are of one moment.
        most: Moments to keep.
        tolerance_s: Largest difference of stamps in a bag's moment, s.

    Raises:
        InputError: Not such a recording, a damaged bag, or fewer than two cameras in it.
        AnnotationError: An image of a label file has neither frame_index nor stamp_ns.
        CalibrationError: A bag's camera_info cannot be used.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix in (".mcap", ".db3") or (path / "metadata.yaml").is_file():
        return _bag(path, most, tolerance_s)
    if path.suffix == ".json":
        recording = _labels(path)
    elif path.is_dir():
        recording = _folders(path)
    else:
        raise InputError(f"{path}: expected a bag, a label file (.json) or a folder with one folder for each camera")
    return replace(recording, moments=_chosen(recording.moments, most, path))


def _chosen(moments: Iterable[dict[str, ItemT]], most: int, path: Path) -> list[dict[str, ItemT]]:
    """At most so many of the moments that several cameras have seen, evenly."""
    together = [moment for moment in moments if len(moment) > 1]
    if not together:
        raise InputError(
            f"{path}: no moment has images of two cameras; the cameras must have recorded at the same time"
        )
    chosen = np.unique(np.linspace(0, len(together) - 1, min(most, len(together))).round().astype(int))
    return [together[index] for index in chosen]


def _labels(path: Path) -> Recording:
    annotations = read_annotations(path)
    folder = path.parent
    if annotations.images:
        folder = image_folder(path, (image.file_name for image in annotations.images)) or folder
    groups: dict[tuple[str, int], dict[str, Shot]] = {}
    for image in annotations.images:
        if image.camera_id is None or image.sequence is None:
            raise InputError(f"{path}: image {image.image_id}: camera_id or sequence is missing")
        depth = folder / image.depth_file_name if image.depth_file_name else None
        shot = Shot(_reader(folder / image.file_name), image.image_id, depth)
        try:
            groups.setdefault((image.sequence, image.moment), {})[image.camera_id] = shot
        except AnnotationError as error:
            raise AnnotationError(f"{path}: {error}") from None
    if len({sequence for sequence, _ in groups}) > 1:
        raise InputError(f"{path}: holds several sequences, whose cameras differ; give the labels of one (--sequence)")
    return Recording([dict(sorted(moment.items())) for _, moment in sorted(groups.items())], annotations.cameras)


def _folders(path: Path) -> Recording:
    groups: dict[str, dict[str, Shot]] = {}
    for folder in sorted(each for each in path.iterdir() if each.is_dir()):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                groups.setdefault(file.stem, {})[folder.name] = Shot(_reader(file))
    return Recording([moment for _, moment in sorted(groups.items())])


def _reader(file: Path) -> Callable[[], NDArray[np.uint8]]:
    def read() -> NDArray[np.uint8]:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f"{file}: not an image that can be read")
        return np.asarray(image, np.uint8)

    return read


class _Place(NamedTuple):
    """Where an image is in a bag: the topic, and how many messages of it come before."""

    topic: str
    before: int


def _bag(path: Path, most: int, tolerance_s: float) -> Recording:
    """Two passes: stamps alone first, then the images of the chosen moments, which stay encoded until looked at."""
    names, infos = _image_topics(path)
    stamped: list[tuple[int, _Place]] = []
    for topic in names:
        for index, raw in enumerate(BagImages(path, topic).raw_messages()):
            with damage_as_input_error(path):
                stamped.append((stamp_ns_of(raw.cdr), _Place(topic, index)))
    grouped: Moments[_Place] = Moments(names.values(), round(tolerance_s * 1e9), patience_s=1.0)
    found: list[dict[str, _Place]] = []
    for stamp_ns, place in sorted(stamped):
        for moment in grouped.add(names[place.topic], stamp_ns, place, stamp_ns / 1e9):
            found.append({name: entry.item for name, entry in moment.items()})
    chosen = _chosen(found, most, path)
    shots: dict[_Place, Shot] = {}
    cameras: dict[str, Camera] = {}
    for topic, name in names.items():
        wanted = {place.before for moment in chosen for place in moment.values() if place.topic == topic}
        for _, frame in BagImages(path, topic).with_messages(wanted):
            if isinstance(frame, Unreadable):
                continue
            encoded = cv2.imencode(".png", frame.image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
            shots[_Place(topic, frame.index)] = Shot(_decoder(encoded))
            if name not in cameras and topic in infos:
                size = (frame.image.shape[1], frame.image.shape[0])
                lens = lens_from_camera_info(infos[topic], size)
                cameras[name] = Camera(name, lens.model, size, lens.fx, lens.fy, lens.cx, lens.cy, lens.distortion)
    readable = [{name: shots[place] for name, place in moment.items() if place in shots} for moment in chosen]
    return Recording(_chosen(readable, most, path), cameras)


def _image_topics(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Image topic -> camera, one topic a camera; and image topic -> its first CameraInfo, where there is one."""
    infos: dict[str, Any] = {}
    with open_bag(path) as reader, damage_as_input_error(path):
        topics: dict[str, str] = {}
        for topic in sorted({c.topic for c in reader.connections if c.msgtype in IMAGE_TYPES and c.msgcount}):
            if "/depth/" not in topic and not topic.startswith(OWN_TOPICS):
                topics.setdefault(camera_base(topic), topic)  # raw before compressed, and before rectified
        beside = {f"{base}/camera_info": topic for base, topic in topics.items()}
        connections = [c for c in reader.connections if c.msgtype == CAMERA_INFO and c.topic in beside]
        # rosbags would take an empty list for all connections
        for connection, _, cdr in reader.messages(connections) if connections else ():
            infos.setdefault(beside[connection.topic], reader.deserialize(cdr, connection.msgtype))
            if len(infos) == len({c.topic for c in connections}):
                break
    return {topic: (base or topic).strip("/") for base, topic in topics.items()}, infos


def _decoder(encoded: NDArray[np.uint8]) -> Callable[[], NDArray[np.uint8]]:
    return lambda: np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def with_lenses(
    recording: Recording, given: Mapping[str, Camera], size_of: Mapping[str, tuple[int, int]]
) -> dict[str, Camera]:
    """The recording's cameras with the lenses given, else the recording's own, for images of these sizes.

    Raises:
        CalibrationError: A camera's lens is not known.
    """
    cameras = {}
    for name, size in sorted(size_of.items()):
        camera = given.get(name, recording.cameras.get(name))
        if camera is None:
            raise CalibrationError(
                f"camera '{name}': its lens is not known (no camera_info in the recording); give --intrinsics, a file "
                "with 'cameras' or camera_calibration's YAML"
            )
        cameras[name] = for_image_size(camera, size)
    return cameras
