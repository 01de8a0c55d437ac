"""Writes rosbag2 recordings (MCAP) without ROS, and changes stamps in serialised messages."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from orpose_models.errors import InputError
from orpose_models.runtime.bags import RawMessage
from orpose_models.units import NANOSECONDS_PER_SECOND

#: A serialised message: four bytes that tell the byte order, then the header with the stamp first of all.
_STAMP_OFFSET = 4
_FOREVER = QosTime(2147483647, 4294967295)
#: Of topics whose last message every new listener gets.
LATCHED = Qos(
    history=QosHistory.KEEP_LAST,
    depth=1,
    reliability=QosReliability.RELIABLE,
    durability=QosDurability.TRANSIENT_LOCAL,
    deadline=_FOREVER,
    lifespan=_FOREVER,
    liveliness=QosLiveliness.AUTOMATIC,
    liveliness_lease_duration=_FOREVER,
    avoid_ros_namespace_conventions=False,
)


def write_image_bag(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    topic: str,
    stamps_ns: Sequence[int],
    *,
    compressed: bool = True,
    picture_format: Literal["jpeg", "png"] = "jpeg",
    jpeg_quality: int = 90,
    frame_id: str = "camera",
) -> None:
    """Writes a bag folder with one image topic.

    Args:
        path: The folder to create.
        frames: `(H, W, 3)` BGR, one for each stamp; consumed one at a time.
        topic: Full topic name; by convention that of compressed images ends in /compressed.
        stamps_ns: Header stamp and recording time of each frame, ns since 1970, increasing.
        compressed: CompressedImage messages; otherwise Image messages with bgr8.
        picture_format: Of compressed images; PNG loses nothing.
        jpeg_quality: 0 to 100.
        frame_id: The camera's optical frame.

    Raises:
        InputError: The folder exists already.
        ValueError: Another number of frames than of stamps.
    """

    def messages() -> Iterable[RawMessage]:
        for frame, stamp_ns in zip(frames, stamps_ns, strict=True):
            if compressed:
                yield compressed_message(frame, topic, stamp_ns, picture_format, jpeg_quality, frame_id)
            else:
                yield _as_raw(_image(_header(stamp_ns, frame_id), frame), topic, stamp_ns)

    write_raw_bag(path, messages())


def compressed_message(
    frame: NDArray[np.uint8],
    topic: str,
    stamp_ns: int,
    picture_format: Literal["jpeg", "png"] = "jpeg",
    jpeg_quality: int = 90,
    frame_id: str = "camera",
) -> RawMessage:
    """A CompressedImage message; arguments as in `write_image_bag`."""
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if picture_format == "jpeg" else []
    _, encoded = cv2.imencode(f".{picture_format}", frame, options)
    message = _store().types["sensor_msgs/msg/CompressedImage"](
        header=_header(stamp_ns, frame_id), format=picture_format, data=encoded.reshape(-1)
    )
    return _as_raw(message, topic, stamp_ns)


def write_raw_bag(
    path: str | Path,
    messages: Iterable[RawMessage],
    typestore: Typestore | None = None,
    offered_qos: Mapping[str, Sequence[Qos]] = MappingProxyType({}),
) -> None:
    """Writes a bag folder with serialised messages, in the given order.

    Args:
        path: The folder to create.
        messages: In order of recording; /tf_static is marked as latched, so that a player offers it to late listeners.
        typestore: Knows their types, by default those of ROS 2 itself; the definitions go into the file.
        offered_qos: Topic -> qualities of service that its publishers offered, for a player to offer again.

    Raises:
        InputError: The folder exists already.
    """
    if Path(path).exists():
        raise InputError(f"{path}: exists already; choose another folder or remove it")
    connections: dict[tuple[str, str], Connection] = {}
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for message in messages:
            key = (message.topic, message.msgtype)
            if key not in connections:
                latched = [LATCHED] if message.topic == "/tf_static" else []
                qos = offered_qos.get(message.topic) or latched
                connections[key] = writer.add_connection(
                    *key, typestore=typestore or _store(), offered_qos_profiles=qos
                )
            writer.write(connections[key], message.recorded_ns, message.cdr)


def stamp_ns_of(cdr: bytes) -> int:
    """The header stamp, ns, of a serialised message that begins with a header."""
    seconds, nanoseconds = struct.unpack_from(_stamp_format(cdr), cdr, _STAMP_OFFSET)
    return int(seconds * NANOSECONDS_PER_SECOND + nanoseconds)


def with_stamp(cdr: bytes, stamp_ns: int) -> bytes:
    """The same serialised message with another header stamp, ns."""
    changed = bytearray(cdr)
    struct.pack_into(_stamp_format(cdr), changed, _STAMP_OFFSET, *divmod(stamp_ns, NANOSECONDS_PER_SECOND))
    return bytes(changed)


def frame_id_of(cdr: bytes) -> str:
    """The header's frame_id of a serialised message that begins with a header."""
    start = _STAMP_OFFSET + 12
    (length,) = struct.unpack_from(_stamp_format(cdr)[0] + "I", cdr, start - 4)
    return cdr[start : start + length].split(b"\0")[0].decode("utf-8", errors="replace")


def _stamp_format(cdr: bytes) -> str:
    return "<iI" if cdr[1] & 1 else ">iI"


@functools.cache
def _store() -> Typestore:
    return get_typestore(Stores.LATEST)


def _as_raw(message: Any, topic: str, recorded_ns: int) -> RawMessage:
    cdr = bytes(_store().serialize_cdr(message, message.__msgtype__))
    return RawMessage(topic, message.__msgtype__, recorded_ns, cdr)


def _header(stamp_ns: int, frame_id: str) -> Any:
    types = _store().types
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS_PER_SECOND)
    stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def _image(header: Any, pixels: NDArray[np.uint8]) -> Any:
    height, width = pixels.shape[:2]
    return _store().types["sensor_msgs/msg/Image"](
        header=header,
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(pixels).reshape(-1),
    )
