"""The lifecycle node `orpose`: camera images in, persons out."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from orpose_msgs.msg import SkeletonDefinition
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool

from orpose_models.errors import ConfigError, OrposeError
from orpose_models.privacy import guard_process
from orpose_models.runtime import PoseEstimator
from orpose_models.skeleton import COCO17, H36M17
from orpose_ros.arguments import not_for_ros, require_ros_arguments, usage
from orpose_ros.camera import Camera
from orpose_ros.camera_input import AnyImage
from orpose_ros.config import NodeConfig
from orpose_ros.counts import DISABLED, RATE
from orpose_ros.messages import skeleton_definition, stamp_ns
from orpose_ros.namesakes import namesake_warnings
from orpose_ros.parameters import check_change, declare_parameters, read_config
from orpose_ros.qos import LATCHED_QOS
from orpose_ros.rate_limit import RateLimit
from orpose_ros.room import Room
from orpose_ros.room_calibration import calibration_source
from orpose_ros.tf_frames import JointFrames
from orpose_ros.worker import Worker

_DIAGNOSTICS_PERIOD_S = 1.0
_GRAPH_PERIOD_S = 0.25
#: How soon a signal ends the node, at the latest.
_SPIN_S = 0.2
_SOURCE_LINE = re.compile(r", at \S+:\d+")


class PoseNode(LifecycleNode):
    """See the README's tables for topics and parameters.

    Attributes:
        failure: Why the last transition failed, "" if it did not.
        cameras: Name -> camera, while configured.
        room: What fuses them, while configured and if asked for.
        estimator: The loaded model, while configured.
    """

    def __init__(self, node_name: str = "orpose", **options) -> None:
        super().__init__(node_name, **options)
        self.failure = ""
        self._config = NodeConfig()
        self._enabled = True
        self.estimator: PoseEstimator | None = None
        self.cameras: dict[str, Camera] = {}
        self.room: Room | None = None
        self._worker: Worker | None = None
        self._limits: dict[str, RateLimit] = {}
        self._frames: JointFrames | None = None
        self._owned = ExitStack()  # what configure made so far: it may fail half way
        declare_parameters(self)
        self.add_on_set_parameters_callback(self._change_parameters)

    @property
    def is_finalized(self) -> bool:
        """Whether it was shut down or could not recover from an error: no transition leads out of this state."""
        return self._state_machine.current_state[1] == "finalized"

    # --- transitions ----------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guarded("configure", self._configure, undo=self._release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)  # publishers first: the first image may come at once
        result = self._guarded("activate", self._start, undo=self._stop)
        if result != TransitionCallbackReturn.SUCCESS:
            super().on_deactivate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._guarded("deactivate", self._stop)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guarded("cleanup", self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guarded("shutdown", self._release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guarded("error handling", self._release)

    def _guarded(
        self, name: str, action: Callable[[], None], undo: Callable[[], None] | None = None
    ) -> TransitionCallbackReturn:
        """Runs a transition's action; what it raises is reported, and the transition fails."""
        self.failure = ""
        try:
            action()
        except Exception as error:
            self.failure = str(error) if isinstance(error, OrposeError) else f"{type(error).__name__}: {error}"
            self.get_logger().error(f"{name} failed: {self.failure}")
            if undo is not None:
                undo()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        self._config = read_config(self)
        calibration = calibration_source(self, self._config)
        own = self._owned.callback
        if self._config.tf:
            self._frames = JointFrames(self, lambda: self._config.joint_threshold)
            own(self._frames.destroy)
        self.estimator = PoseEstimator(self._config)
        width, height = self._config.frame_size or self.estimator.info.input_size
        self.estimator.estimate(np.zeros((height, width, 3), np.uint8))  # the first inference is slow
        if calibration is not None:
            self.room = Room(self, self._config, self.estimator.info.model_id, calibration, self._frames)
            own(self.room.destroy)
        for name in self._config.cameras:
            self.cameras[name] = Camera(self, name, self._frames)
            own(self.cameras[name].destroy)
        skeletons = self.create_publisher(SkeletonDefinition, "orpose/skeletons", LATCHED_QOS)
        own(self.destroy_publisher, skeletons)
        for skeleton in (COCO17, H36M17):
            skeletons.publish(skeleton_definition(skeleton))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        own(self.destroy_publisher, self._diagnostics)
        own(self.destroy_service, self.create_service(SetBool, "orpose/set_enabled", self._set_enabled))
        # Steady clock: with use_sim_time and no /clock, diagnostics must still come.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        own(self.destroy_timer, self.create_timer(_DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=steady))
        own(self.destroy_timer, self.create_timer(_GRAPH_PERIOD_S, self._follow_publishers, clock=steady))

    def _start(self) -> None:
        assert self.estimator is not None
        self._worker = Worker(self.cameras, self.estimator, lambda: self._config, self.get_logger(), self.room)
        self._worker.start()
        names = self._config.cameras
        if self.room is None:
            self._limits = {name: RateLimit() for name in names}
        else:
            self._limits = dict.fromkeys(names, RateLimit(round(self._config.sync_tolerance_ms * 1e6)))
        if self.room is not None:
            self.room.open()
        for camera in self.cameras.values():
            camera.open(self._config, partial(self._receive, camera))
        topics = ", ".join(camera.source.topic for camera in self.cameras.values() if camera.source is not None)
        downsampled = f", downsample {self._config.downsample:g}" if self._config.downsample != 1 else ""
        info = self.estimator.info
        self.get_logger().info(f"ready: {info.model_id}{downsampled}; waiting for images on {topics}")

    def _stop(self) -> None:
        for camera in self.cameras.values():
            camera.close()
        if self.room is not None:
            self.room.close()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def destroy_node(self) -> None:
        """Also of an active node: its worker would keep the DDS participant alive."""
        self._release()
        super().destroy_node()

    def _release(self) -> None:
        self._stop()
        self._owned.close()
        self.cameras = {}
        self.room = self._frames = self.estimator = None

    # --- callbacks ------------------------------------------------------------------------------------------------

    def _receive(self, camera: Camera, image: AnyImage) -> None:
        camera.counts.count_received()
        if self.room is not None:
            self.room.receive(camera.name, image.header)
        if self._worker is None or not self._enabled:
            camera.drop(image.header, DISABLED)
        elif not self._is_within_rate(camera, image):
            camera.drop(image.header, RATE)
        else:
            self._worker.hand_in(camera, image)

    def _is_within_rate(self, camera: Camera, image: AnyImage) -> bool:
        limit = self._limits[camera.name]
        return limit.accepts(camera.name, stamp_ns(image.header), time.monotonic(), self._config.max_fps)

    def _set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        response.success = True
        response.message = "images are answered" if self._enabled else "images are received and dropped"
        return response

    def _change_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        self._config, result = check_change(self._config, parameters)
        return result

    def _follow_publishers(self) -> None:
        for camera in self.cameras.values():
            camera.follow_publishers()

    def _publish_diagnostics(self) -> None:
        message = DiagnosticArray(status=[self._status(camera) for camera in self.cameras.values()])
        if self.room is not None:
            message.status.append(self.room.status())
        message.status += namesake_warnings(self)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _status(self, camera: Camera) -> DiagnosticStatus:
        name = self.get_fully_qualified_name()
        if camera.source is None or camera.health is None or self.estimator is None:
            return DiagnosticStatus(name=f"{name}: {camera.name}", message="inactive", hardware_id=camera.name)
        info = self.estimator.info
        facts = {
            "model": info.model_id,
            "backend": self.estimator.backend,
            "precision": info.precision,
            **({"engine": info.engine} if info.engine else {}),
            "downsample": f"{self._config.downsample:g}",
            "enabled": str(self._enabled).lower(),
            **({} if camera.space is None else camera.space.facts()),
        }
        problems = () if camera.space is None else tuple(camera.space.problems.values())
        return camera.health.status(
            name, camera.source, self._config.watchdog_s, facts, problems, is_enabled=self._enabled
        )


def main(args: list[str] | None = None) -> int:
    """Runs the node until SIGINT, SIGTERM or the transition `shutdown`. Returns 0, or 2 when it cannot start.

    Args:
        args: Command line without the program; None: the process' own.
    """
    words = sys.argv[1:] if args is None else args
    if {"-h", "--help"} & set(not_for_ros(words)):
        print(usage())
        return 0
    try:
        _init_ros(words)
        return _run()
    except (ParameterException, ConfigError) as error:
        print(f"orpose_node: {error}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()


def _init_ros(words: list[str]) -> None:
    """Raises:
    ConfigError: The command line has what is no ROS argument, or one that ROS cannot read.
    """
    require_ros_arguments(words)
    try:
        # rclpy's own handlers would shut the context down under a worker that still publishes.
        rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # of rcl: what it was given, and where in its own source it failed
        raise ConfigError(f"arguments: ROS cannot read them: {_SOURCE_LINE.sub('', str(error))}") from None


def _run() -> int:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    node = PoseNode()
    if node.get_parameter("downsample").value != 1:  # checked in configure only
        guard_process()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and not _autostart(node):
            return 2  # the transition has logged why
        while not stopped.is_set() and not node.is_finalized:
            executor.spin_once(timeout_sec=_SPIN_S)
        if not node.is_finalized:
            node.trigger_shutdown()
        return 0
    finally:
        executor.shutdown()
        node.destroy_node()


def _autostart(node: PoseNode) -> bool:
    success = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == success and node.trigger_activate() == success


if __name__ == "__main__":
    sys.exit(main())
