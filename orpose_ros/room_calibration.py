"""Where the node has its cameras' intrinsics and poses from: a calibration file, or camera_info and TF."""

from __future__ import annotations

import importlib
import threading
from functools import partial
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from orpose_models.annotations import Camera
from orpose_models.errors import CalibrationError, ConfigError
from orpose_models.intrinsics import lens_from_camera_info
from orpose_models.multiview.calibration import for_image_size, read_cameras
from orpose_models.multiview.transforms import TransformTree, UnknownTransformError, pose_matrix
from orpose_ros.config import NodeConfig
from orpose_ros.messages import stamp_ns
from orpose_ros.tf_frames import is_joint_frame

#: What TF's own listener has.
_TF_QOS = QoSProfile(depth=100)
_TF_STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class CalibrationSource(Protocol):
    """Gives each image its camera's calibration."""

    def open(self) -> None:
        """Starts listening, where there is something to listen to."""

    def close(self) -> None: ...

    def camera(self, name: str, header: Header, image_size: tuple[int, int]) -> Camera | None:
        """The camera, with its pose at the image's stamp, for images of that size; None while it is not known."""
        ...

    def problems(self) -> list[str]:
        """What keeps cameras from being known."""
        ...

    def describe(self) -> str:
        """Where the calibration is from, for diagnostics."""
        ...


def calibration_source(node: Node, config: NodeConfig) -> CalibrationSource | None:
    """As the configuration says; None if nothing is to be fused.

    Raises:
        CalibrationError: The file cannot be used, or lacks a camera.
        ConfigError: Parameters that contradict each other, or poses are to come from TF and tf2_msgs is not installed.
    """
    if not config.fuse:
        if config.calibration:
            raise ConfigError("parameters: calibration is for fuse, which is off")
        return None
    if len(config.cameras) < 2:
        raise ConfigError(f"parameters: fuse needs two cameras or more; cameras is {list(config.cameras)}")
    if config.calibration:
        return FileCalibration(config.calibration, config.cameras)
    return TfCalibration(node, config)


class FileCalibration:
    """See `CalibrationSource`. Cameras are found by their names.

    Raises:
        CalibrationError: The file cannot be used, or lacks a camera.
    """

    def __init__(self, path: str, names: tuple[str, ...]) -> None:
        self._path = path
        self._cameras = read_cameras(path)
        if missing := [name for name in names if name not in self._cameras]:
            raise CalibrationError(
                f"{path}: no camera '{missing[0]}', it has {', '.join(self._cameras)}; name the cameras like them"
            )
        self._problems: dict[str, str] = {}

    def open(self) -> None:
        self._problems = {}

    def close(self) -> None: ...

    def camera(self, name: str, header: Header, image_size: tuple[int, int]) -> Camera | None:
        try:
            camera = for_image_size(self._cameras[name], image_size)
        except CalibrationError as error:
            self._problems[name] = str(error)
            return None
        self._problems.pop(name, None)
        return camera

    def problems(self) -> list[str]:
        return list(self._problems.values())

    def describe(self) -> str:
        return self._path


class TfCalibration:
    """See `CalibrationSource`. Lenses come from {camera}/camera_info, poses from TF at the image's stamp.

    Raises:
        ConfigError: tf2_msgs is not installed.
    """

    def __init__(self, node: Node, config: NodeConfig) -> None:
        try:
            self._message_type = importlib.import_module("tf2_msgs.msg").TFMessage
        except ImportError:
            raise ConfigError(
                "parameters: fuse: without a calibration file poses come from TF, and tf2_msgs is not installed; "
                "apt install ros-$ROS_DISTRO-tf2-msgs, or give calibration"
            ) from None
        self._node, self._config = node, config
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []
        self._forget()

    def _forget(self) -> None:
        self._tree = TransformTree()
        self._infos: dict[str, CameraInfo] = {}
        self._problems: dict[str, str] = {}

    def open(self) -> None:
        self._forget()
        create = self._node.create_subscription
        self._subscriptions = [
            create(self._message_type, "/tf", partial(self._receive, is_static=False), _TF_QOS),
            create(self._message_type, "/tf_static", partial(self._receive, is_static=True), _TF_STATIC_QOS),
        ]
        for name in self._config.cameras:
            receive = partial(self._infos.__setitem__, name)
            self._subscriptions.append(create(CameraInfo, f"{name}/camera_info", receive, qos_profile_sensor_data))

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _receive(self, message: Any, *, is_static: bool) -> None:
        with self._lock:
            for each in message.transforms:
                parent, child = (name.lstrip("/") for name in (each.header.frame_id, each.child_frame_id))
                if is_joint_frame(parent, child):
                    continue  # this node's own, with `tf`: no camera hangs on a person
                place, turn = each.transform.translation, each.transform.rotation
                try:
                    pose = pose_matrix((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
                except ValueError:
                    continue  # not usable; that the frame is unknown shows in diagnostics
                self._tree.add(parent, child, pose, None if is_static else stamp_ns(each.header))

    def camera(self, name: str, header: Header, image_size: tuple[int, int]) -> Camera | None:
        try:
            if (info := self._infos.get(name)) is None:
                topic = self._node.resolve_topic_name(f"{name}/camera_info")
                raise UnknownTransformError(f"no camera_info yet on {topic}")
            lens = lens_from_camera_info(info, image_size)
            with self._lock:
                pose = self._tree.lookup(self._config.room_frame, header.frame_id.lstrip("/"), stamp_ns(header))
        except (CalibrationError, UnknownTransformError) as error:
            self._problems[name] = f"{name}: {error}"
            return None
        self._problems.pop(name, None)
        return Camera(name, lens.model, image_size, lens.fx, lens.fy, lens.cx, lens.cy, lens.distortion, pose)

    def problems(self) -> list[str]:
        return list(self._problems.values())

    def describe(self) -> str:
        return f"camera_info and TF ('{self._config.room_frame}')"
