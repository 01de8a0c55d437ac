"""TF frames of persons' joints: optional, because TF is meant for few frames that last."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator

from geometry_msgs.msg import TransformStamped
from orpose_msgs.msg import Person, PersonArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile

from orpose_models.errors import ConfigError
from orpose_models.skeleton import H36M17

#: What TF's own broadcaster has.
_TF_QOS = QoSProfile(depth=100)
_PERSON = "person_"


class JointFrames:
    """Publishes them on /tf."""

    def __init__(self, node: LifecycleNode, joint_threshold: Callable[[], float]) -> None:
        """Raises:
        ConfigError: tf2_msgs is not installed.
        """
        try:
            self._message_type = importlib.import_module("tf2_msgs.msg").TFMessage
        except ImportError:
            raise ConfigError(
                "parameters: tf: tf2_msgs is not installed; apt install ros-$ROS_DISTRO-tf2-msgs, or leave tf off"
            ) from None
        self._node = node
        self._joint_threshold = joint_threshold
        self._publisher = node.create_lifecycle_publisher(self._message_type, "/tf", _TF_QOS)

    def publish(self, persons: PersonArray) -> None:
        """Publishes the frames of one answer, if there are any."""
        if transforms := list(joint_transforms(persons, self._joint_threshold())):
            self._publisher.publish(self._message_type(transforms=transforms))

    def destroy(self) -> None:
        self._node.destroy_publisher(self._publisher)


def is_joint_frame(parent: str, child: str) -> bool:
    """Whether a transform is one of `joint_transforms`, of whatever node."""
    return child.startswith(f"{parent}/{_PERSON}")


def joint_transforms(persons: PersonArray, joint_threshold: float) -> Iterator[TransformStamped]:
    """From the answer's frame to `{frame}/person_{track}/{joint}`, at the image's stamp.

    Only what is known gets a frame: joints in metres of persons that are tracked and were seen in this image. The
    orientation is that of the answer's frame.

    Args:
        persons: The answer to one image.
        joint_threshold: Joints with a lower score get none.
    """
    for person in persons.persons:
        if person.track_id < 0 or person.track_state == Person.TRACK_LOST:
            continue
        prefix = f"{persons.header.frame_id}/{_PERSON}{person.track_id}"
        for name, joint in zip(H36M17.joint_names, person.keypoints_3d_metric, strict=False):  # empty without depth
            if joint.score < joint_threshold or math.isnan(joint.position.x):
                continue
            transform = TransformStamped(header=persons.header, child_frame_id=f"{prefix}/{name}")
            translation, position = transform.transform.translation, joint.position
            translation.x, translation.y, translation.z = position.x, position.y, position.z
            transform.transform.rotation.w = 1.0
            yield transform
