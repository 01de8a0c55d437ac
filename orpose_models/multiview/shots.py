"""Images that several cameras took at the same moments: out of a bag, a label file, or folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from orpose_models.annotations import Camera, read_annotations
from orpose_models.errors import CalibrationError, InputError
from orpose_models.intrinsics import lens_from_camera_info
from orpose_models.multiview.calibration import for_image_size
from orpose_models.multiview.moments import Moments
from orpose_models.runtime.bags import IMAGE_TYPES, BagImages
from orpose_models.runtime.frames import Unreadable
from orpose_models.runtime.sources import IMAGE_SUFFIXES
from orpose_models.units import MILLIMETRES_PER_METRE

_INFO_TYPE = "sensor_msgs/msg/CameraInfo"


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
        InputError: Not such a recording, or fewer than two cameras in it.
        CalibrationError: A bag's camera_info cannot be used.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix in (".mcap", ".db3") or (path / "metadata.yaml").is_file():
        recording = _bag(path, tolerance_s)
    elif path.suffix == ".json":
        recording = _labels(path)
    elif path.is_dir():
        recording = _folders(path)
    else:
        raise InputError(f"{path}: expected a bag, a label file (.json) or a folder with one folder for each camera")
    together = [moment for moment in recording.moments if len(moment) > 1]
    if not together:
        raise InputError(
            f"{path}: no moment has images of two cameras; the cameras must have recorded at the same time"
        )
    chosen = np.unique(np.linspace(0, len(together) - 1, min(most, len(together))).round().astype(int))
    return Recording([together[index] for index in chosen], recording.cameras)


def _labels(path: Path) -> Recording:
    annotations = read_annotations(path)
    groups: dict[tuple[str, int], dict[str, Shot]] = {}
    for image in annotations.images:
        if image.camera_id is None or image.sequence is None:
            raise InputError(f"{path}: image {image.image_id}: camera_id or sequence is missing")
        file = path.parent / image.file_name
        depth = path.parent / image.depth_file_name if image.depth_file_name else None
        shot = Shot(_reader(file), image.image_id, depth)
        groups.setdefault((image.sequence, image.frame_index or 0), {})[image.camera_id] = shot
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


def _bag(path: Path, tolerance_s: float) -> Recording:
    """Images stay encoded until they are looked at."""
    with AnyReader([path], default_typestore=get_typestore(Stores.LATEST)) as reader:
        topics = sorted({c.topic for c in reader.connections if c.msgtype in IMAGE_TYPES and "/depth/" not in c.topic})
        infos: dict[str, Any] = {}
        for connection, _, cdr in reader.messages([c for c in reader.connections if c.msgtype == _INFO_TYPE]):
            infos.setdefault(connection.topic, reader.deserialize(cdr, connection.msgtype))
    bases = {topic: topic.removesuffix("/compressed").removesuffix("/image_raw") for topic in topics}
    names = {topic: base.strip("/") for topic, base in bases.items()}
    moments: Moments[Shot] = Moments(names.values(), round(tolerance_s * 1e9), patience_s=1.0)
    stamped: list[tuple[int, str, Shot]] = []
    cameras: dict[str, Camera] = {}
    for topic in topics:
        images = BagImages(path, topic)
        for index, frame in enumerate(images):
            if isinstance(frame, Unreadable) or frame.stamp_ns is None:
                continue
            encoded = cv2.imencode(".png", frame.image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
            stamped.append((frame.stamp_ns, names[topic], Shot(_decoder(encoded))))
            if index == 0 and (info := infos.get(f"{bases[topic]}/camera_info")) is not None:
                size = (frame.image.shape[1], frame.image.shape[0])
                lens = lens_from_camera_info(info, size)
                cameras[names[topic]] = Camera(
                    names[topic], lens.model, size, lens.fx, lens.fy, lens.cx, lens.cy, lens.distortion
                )
    found = []
    for stamp_ns, name, shot in sorted(stamped, key=lambda each: each[0]):
        found += moments.add(name, stamp_ns, shot, stamp_ns / 1e9)
    return Recording([{name: entry.item for name, entry in moment.items()} for moment in found], cameras)


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
