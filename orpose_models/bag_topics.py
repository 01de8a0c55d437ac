"""The topics of a recording that are passed on as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2, Qos
from rosbags.typesys.store import Typestore

from orpose_models.runtime.bags import RawMessage, damage_as_input_error, open_bag

#: Types whose messages show nobody: with privacy downsampling, only these are passed on.
TYPES_WITHOUT_PICTURES = frozenset(
    {
        "sensor_msgs/msg/CameraInfo",
        "sensor_msgs/msg/Imu",
        "sensor_msgs/msg/JointState",
        "tf2_msgs/msg/TFMessage",
    }
)


class PassedTopics:
    """Some topics of a bag, undecoded.

    Attributes:
        names: The topics that are passed on, sorted.
        left_out: The others.
        offered_qos: Topic -> qualities of service that its publishers offered.
    """

    def __init__(self, path: Path, is_passed: Callable[[str, str], bool]) -> None:
        """Args:
        path: The bag.
        is_passed: Whether a topic of this name and type is passed on.

        Raises:
            InputError: The bag is damaged.
        """
        self._path, self._is_passed = path, is_passed
        with open_bag(path) as reader:
            passed = self._connections(reader)
            self.names = sorted({connection.topic for connection in passed})
            self.left_out = sorted({connection.topic for connection in reader.connections} - set(self.names))
            self.offered_qos: dict[str, list[Qos]] = {
                connection.topic: connection.ext.offered_qos_profiles
                for connection in passed
                if isinstance(connection.ext, ConnectionExtRosbag2)
            }

    def add_types_to(self, typestore: Typestore) -> None:
        """Registers the types that only the bag knows."""
        with open_bag(self._path) as reader:
            known = typestore.fielddefs
            typestore.register(
                {name: fields for name, fields in reader.typestore.fielddefs.items() if name not in known}
            )

    def __iter__(self) -> Iterator[RawMessage]:
        """The messages in order of recording."""
        with open_bag(self._path) as reader:
            connections = self._connections(reader)
            if not connections:  # rosbags takes an empty list for all of them
                return
            messages = reader.messages(connections)
            while True:
                with damage_as_input_error(self._path):
                    item = next(messages, None)
                if item is None:
                    return
                connection, recorded_ns, cdr = item
                yield RawMessage(connection.topic, connection.msgtype, recorded_ns, bytes(cdr))

    def _connections(self, reader: AnyReader) -> list[Connection]:
        return [item for item in reader.connections if self._is_passed(item.topic, item.msgtype)]
