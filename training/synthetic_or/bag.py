"""Sequences as rosbag2 recordings (MCAP): compressed images and camera infos, written without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from orpose_models.annotations import AnnotationSet, Camera, LabelledImage
from orpose_models.bags import write_raw_bag
from orpose_models.errors import ConfigError, InputError
from orpose_models.runtime.bags import RawMessage
from training.synthetic_or.config import SynthConfig

_STORE = get_typestore(Stores.LATEST)


def bag_paths(config: SynthConfig, bag: Path) -> list[Path]:
    """The bag folder of each scene: `bag` itself, or folders in it if there are several scenes.

    Raises:
        ConfigError: The settings ask for single moments, which are no recording.
        InputError: One of the folders exists already.
    """
    if config.sequence == 0:
        raise ConfigError("command line: bag: only sequences can be written as a bag; give --sequence as well")
    paths = [bag] if config.num_scenes == 1 else [bag / f"scene{index:07d}" for index in range(config.num_scenes)]
    for path in paths:
        if path.exists():
            raise InputError(f"{path}: exists already; choose another folder or remove it")
    return paths


def write_bags(config: SynthConfig, dataset: Path, labels: AnnotationSet, bag: Path) -> list[Path]:
    """Writes one bag a scene with all its cameras; the JPEG files of `dataset` go into it as they are.

    Topics are those of the labels, `/{camera}/image_raw/compressed`, and `/{camera}/camera_info` beside. Stamps are
    the labels' stamps, so that a recorded image finds its annotations.

    Raises:
        ConfigError: The settings ask for single moments.
        InputError: A bag exists already, an image cannot be read, or there is no image.
    """
    written = []
    for index, path in enumerate(bag_paths(config, bag)):
        images = [image for image in labels.images if image.sequence == f"scene{index:07d}"]
        if not images:
            raise InputError(f"{dataset}: scene {index} has no images, no camera saw enough; try another --seed")
        images.sort(key=lambda image: (image.stamp_ns, image.topic))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_raw_bag(path, _messages(dataset, images, labels))
        written.append(path)
    return written


def _messages(dataset: Path, images: list[LabelledImage], labels: AnnotationSet) -> Iterator[RawMessage]:
    for image in images:
        topic, stamp_ns = str(image.topic), int(image.stamp_ns or 0)
        base = topic.removesuffix("/image_raw/compressed")
        header = _header(stamp_ns, f"{base.strip('/')}_optical_frame")
        yield _raw(_camera_info(header, labels.cameras[str(image.camera_id)]), f"{base}/camera_info", stamp_ns)
        yield _raw(_compressed_image(header, dataset / image.file_name), topic, stamp_ns)


def _raw(message: Any, topic: str, stamp_ns: int) -> RawMessage:
    return RawMessage(topic, message.__msgtype__, stamp_ns, bytes(_STORE.serialize_cdr(message, message.__msgtype__)))


def _header(stamp_ns: int, frame_id: str) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = _STORE.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return _STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


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
