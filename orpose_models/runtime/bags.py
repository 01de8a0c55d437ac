"""Images of a rosbag2 recording (MCAP or SQLite), read without ROS."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from orpose_models.errors import ImageError, InputError
from orpose_models.runtime.frames import Frame, Unreadable
from orpose_models.runtime.messages import bgr8_from_message
from orpose_models.runtime.models import first_line

#: How the names of our own topics begin in a recording without a namespace.
OWN_TOPICS = "/orpose/"
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


@dataclass(frozen=True, eq=False)
class RawMessage:
    """A message as it is stored.

    Attributes:
        topic: Name of its topic.
        msgtype: Its type, such as "sensor_msgs/msg/Image".
        recorded_ns: When it was recorded, ns since 1970.
        cdr: The serialised message.
    """

    topic: str
    msgtype: str
    recorded_ns: int
    cdr: bytes


class BagImages:
    """The messages of one image topic, in the order of recording.

    Attributes:
        is_compressed: The topic holds CompressedImage messages.
    """

    frames_per_second: float | None

    def __init__(self, path: Path, topic: str | None = None) -> None:
        """Opens the bag and finds the topic.

        Raises:
            InputError: The bag is damaged, has no image topic or not this one, or several and none was named.
        """
        self.path = path
        with self._reader() as reader:
            connections = [c for c in reader.connections if c.msgtype in IMAGE_TYPES]
            self.topic: str | None = _choose_topic(path, connections, topic)
            self.is_compressed = any(c.msgtype == IMAGE_TYPES[1] for c in connections if c.topic == self.topic)
            self._count = sum(c.msgcount for c in connections if c.topic == self.topic)
            self.frames_per_second = (self._count - 1) * 1e9 / reader.duration if self._count > 1 else None
        if self._count == 0:
            raise InputError(f"{path}: topic {self.topic} has no messages")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame | Unreadable]:
        return (frame for _, frame in self.with_messages())

    def with_messages(self, wanted: Container[int] | None = None) -> Iterator[tuple[RawMessage, Frame | Unreadable]]:
        """Every message as it is stored, and its picture; with `wanted` only those whose index is in it."""
        with self._reader() as reader:
            started = time.perf_counter()
            for index, raw in enumerate(self._raw_messages(reader)):
                if wanted is not None and index not in wanted:
                    continue
                with damage_as_input_error(self.path):
                    message: Any = reader.deserialize(raw.cdr, raw.msgtype)
                stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                name = f"{self.topic}#{stamp_ns}"
                try:
                    image = bgr8_from_message(message)
                except ImageError as error:
                    yield raw, Unreadable(index, name, str(error))
                else:
                    yield raw, Frame(index, name, image, (time.perf_counter() - started) * 1e3, stamp_ns)
                started = time.perf_counter()

    def raw_messages(self) -> Iterator[RawMessage]:
        """The messages undecoded, for who passes them on."""
        with self._reader() as reader:
            yield from self._raw_messages(reader)

    def _raw_messages(self, reader: AnyReader) -> Iterator[RawMessage]:
        messages = reader.messages([c for c in reader.connections if c.topic == self.topic])
        for index in range(self._count):
            with damage_as_input_error(self.path):
                if (item := next(messages, None)) is None:
                    raise InputError(f"{self.path}: ends after {index} of {self._count} images; it is truncated")
            connection, recorded_ns, cdr = item
            yield RawMessage(connection.topic, connection.msgtype, recorded_ns, bytes(cdr))

    def _reader(self) -> AbstractContextManager[AnyReader]:
        return open_bag(self.path)


@contextmanager
def open_bag(path: Path) -> Iterator[AnyReader]:
    """A reader of the bag. Raises InputError if it is damaged."""
    # Older recordings hold no message definitions; those of images have never changed.
    with damage_as_input_error(path):
        reader = AnyReader([path], default_typestore=get_typestore(Stores.LATEST))
        reader.open()
    try:
        yield reader
    finally:
        reader.close()


@contextmanager
def damage_as_input_error(path: Path) -> Iterator[None]:
    """A damaged file shows in many libraries' errors (SQLite, zstd, struct, CDR): all mean the same to the user."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: the bag cannot be read, it is truncated or damaged ({first_line(error)})") from None


def _choose_topic(path: Path, connections: list[Connection], wanted: str | None) -> str:
    topics = sorted({c.topic for c in connections})
    if not topics:
        raise InputError(f"{path}: the bag has no topic of type {' or '.join(IMAGE_TYPES)}")
    if wanted is not None:
        if wanted not in topics:
            raise InputError(f"{path}: no image topic '{wanted}' in the bag, it has {', '.join(topics)}")
        return wanted
    # Depth is no picture to find people in, nor what an earlier replay drew.
    topics = [topic for topic in topics if not ("/depth/" in topic or topic.startswith(OWN_TOPICS))] or topics
    if len(topics) > 1:
        raise InputError(f"{path}: the bag has several image topics, choose one with --topic: {', '.join(topics)}")
    return topics[0]
