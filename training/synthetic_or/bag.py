"""Sequences as rosbag2 recordings (MCAP): images, depth, calibration and camera poses, written without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from orpose_models.annotations import AnnotationSet, Camera, LabelledImage
from orpose_models.bags import write_raw_bag
from orpose_models.errors import ConfigError, InputError
from orpose_models.runtime.bags import RawMessage
from training.synthetic_or.config import SynthConfig

#: The frame of /tf_static that cameras are placed in: x and y on the floor from its middle, z up.
ROOM_FRAME = "room"
_STORE = get_typestore(Stores.LATEST)


def bag_paths(config: SynthConfig, bag: Path) -> list[Path]:
    """The bag folder of each scene: `bag` itself, or folders in it if there are several scenes.

    Raises:
        ConfigError: The settings ask for single moments, which are no recording.
        InputError: One of the folders exists already, or none can be made there.
    """
    if config.sequence == 0:
        raise ConfigError("command line: bag: only sequences can be written as a bag; give --sequence as well")
    paths = [bag] if config.num_scenes == 1 else [bag / f"scene{index:07d}" for index in range(config.num_scenes)]
    for path in paths:
        if path.exists():
            raise InputError(f"{path}: exists already; choose another folder or remove it")
    if any(parent.exists() and not parent.is_dir() for parent in paths[0].parents):
        raise InputError(f"{bag}: cannot be written (not in a folder); choose another --bag")
    return paths


def write_bags(config: SynthConfig, dataset: Path, labels: AnnotationSet, bag: Path) -> list[Path]:
    """Writes one bag a scene with all its cameras; the JPEG files of `dataset` go into it as they are.

    Topics are those of the labels, `/{camera}/image_raw/compressed`, beside them `/{camera}/camera_info`, with depth
    `/{camera}/depth/image_raw` (16UC1, mm, 0 where there is nothing) and `/{camera}/depth/camera_info`, and once
    `/tf_static` with every `{camera}_optical_frame` in the frame `room`. Stamps are the labels' stamps, so that a
    recorded image finds its annotations.

    Raises:
        ConfigError: The settings ask for single moments.
        InputError: A bag exists already or cannot be written, an image cannot be read, or there is no image.
    """
    written = []
    for index, path in enumerate(bag_paths(config, bag)):
        images = [image for image in labels.images if image.sequence == f"scene{index:07d}"]
        if not images:
            raise InputError(f"{dataset}: scene {index} has no images, no camera saw enough; try another --seed")
        images.sort(key=lambda image: (image.stamp_ns, image.topic))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_raw_bag(path, _messages(dataset, images, labels))
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --bag") from None
        written.append(path)
    return written


def _messages(dataset: Path, images: list[LabelledImage], labels: AnnotationSet) -> Iterator[RawMessage]:
    cameras = {_base(image): labels.cameras[str(image.camera_id)] for image in images}
    started_ns = int(images[0].stamp_ns or 0)
    poses = [_transform(started_ns, _frame_id(base), camera) for base, camera in sorted(cameras.items())]
    yield _raw(_STORE.types["tf2_msgs/msg/TFMessage"](transforms=poses), "/tf_static", started_ns)
    for image in images:
        base, stamp_ns = _base(image), int(image.stamp_ns or 0)
        header = _header(stamp_ns, _frame_id(base))
        info = _camera_info(header, cameras[base])
        yield _raw(info, f"{base}/camera_info", stamp_ns)
        yield _raw(_compressed_image(header, dataset / image.file_name), str(image.topic), stamp_ns)
        if image.depth_file_name:
            yield _raw(info, f"{base}/depth/camera_info", stamp_ns)
            yield _raw(_depth_image(header, dataset / image.depth_file_name), f"{base}/depth/image_raw", stamp_ns)


def _base(image: LabelledImage) -> str:
    """`/camera0` of `/camera0/image_raw/compressed`."""
    return str(image.topic).removesuffix("/image_raw/compressed")


def _frame_id(base: str) -> str:
    return f"{base.strip('/')}_optical_frame"


def _raw(message: Any, topic: str, stamp_ns: int) -> RawMessage:
    return RawMessage(topic, message.__msgtype__, stamp_ns, bytes(_STORE.serialize_cdr(message, message.__msgtype__)))


def _header(stamp_ns: int, frame_id: str) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = _STORE.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return _STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def _transform(stamp_ns: int, frame_id: str, camera: Camera) -> Any:
    """A camera's pose in the room."""
    if camera.room_from_camera is None:
        raise InputError(f"annotations.json: camera {camera.camera_id}: room_from_camera: missing; render again")
    x, y, z, w = Rotation.from_matrix(camera.room_from_camera[:3, :3]).as_quat()
    position = camera.room_from_camera[:3, 3]
    types = _STORE.types
    return types["geometry_msgs/msg/TransformStamped"](
        header=_header(stamp_ns, ROOM_FRAME),
        child_frame_id=frame_id,
        transform=types["geometry_msgs/msg/Transform"](
            translation=types["geometry_msgs/msg/Vector3"](*(float(value) for value in position)),
            rotation=types["geometry_msgs/msg/Quaternion"](float(x), float(y), float(z), float(w)),
        ),
    )


def _depth_image(header: Any, path: Path) -> Any:
    depth_mm = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if depth_mm is None or depth_mm.dtype != np.uint16 or depth_mm.ndim != 2:
        raise InputError(f"{path}: not a 16-bit depth image; use an empty --out and render again")
    height, width = depth_mm.shape
    return _STORE.types["sensor_msgs/msg/Image"](
        header=header, height=height, width=width, encoding="16UC1", is_bigendian=0, step=2 * width,
        data=np.ascontiguousarray(depth_mm, "<u2").view(np.uint8).reshape(-1),
    )  # fmt: skip


def _compressed_image(header: Any, path: Path) -> Any:
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); use an empty --out and render again") from None
    return _STORE.types["sensor_msgs/msg/CompressedImage"](header=header, format="jpeg", data=encoded)


def _camera_info(header: Any, camera: Camera) -> Any:
    # Our pixels count from the image's edge, ROS' from the middle of the first pixel.
    cx, cy = camera.cx - 0.5, camera.cy - 0.5
    fx, fy = camera.fx, camera.fy
    region = _STORE.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return _STORE.types["sensor_msgs/msg/CameraInfo"](
        header=header,
        width=camera.image_size[0],
        height=camera.image_size[1],
        distortion_model=camera.model,
        d=np.array(camera.distortion, np.float64),
        k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1], np.float64),
        r=np.eye(3).ravel(),
        p=np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0], np.float64),
        binning_x=0,
        binning_y=0,
        roi=region,
    )
