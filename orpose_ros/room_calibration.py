"""Where the node has its cameras' intrinsics and poses from: a calibration file, or camera_info and TF."""

from __future__ import annotations

from typing import Protocol

from rclpy.node import Node
from std_msgs.msg import Header

from orpose_models.annotations import Camera
from orpose_models.errors import CalibrationError
from orpose_models.multiview.calibration import for_image_size, read_cameras
from orpose_ros.config import NodeConfig


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


def calibration_source(node: Node, config: NodeConfig) -> CalibrationSource:
    """As the configuration says.

    Raises:
        CalibrationError: The file cannot be used, or lacks a camera.
        ConfigError: Poses are to come from TF, and tf2_msgs is not installed.
    """
    return FileCalibration(config.calibration, config.cameras)


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
            return for_image_size(self._cameras[name], image_size)
        except CalibrationError as error:
            self._problems[name] = str(error)
            return None

    def problems(self) -> list[str]:
        return list(self._problems.values())

    def describe(self) -> str:
        return self._path
