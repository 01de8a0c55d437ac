"""The one thread that infers, for all cameras: one model in memory, one frame at a time, always the newest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from rclpy.impl.rcutils_logger import RcutilsLogger

from orpose_models.errors import ImageError
from orpose_models.privacy import error_text
from orpose_models.runtime import PoseEstimator
from orpose_ros.camera import Camera
from orpose_ros.camera_input import AnyImage
from orpose_ros.config import NodeConfig
from orpose_ros.counts import BAD_IMAGE, DEACTIVATED, FAILED, NEWER_FRAME
from orpose_ros.image_messages import bgr8_from_ros
from orpose_ros.mailbox import Mailbox


class Worker:
    """Answers the images that are handed in, from `start` to `stop`."""

    def __init__(
        self,
        cameras: Mapping[str, Camera],
        estimator: PoseEstimator,
        current_config: Callable[[], NodeConfig],
        logger: RcutilsLogger,
    ) -> None:
        self._cameras = cameras
        self._estimator = estimator
        self._current_config = current_config
        self._logger = logger
        self._mailbox: Mailbox[AnyImage] = Mailbox(cameras)
        self._thread = threading.Thread(target=self._work, name="orpose-worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finishes the frame at hand; one that still waits is dropped."""
        for name, image in self._mailbox.close():
            self._cameras[name].drop(image.header, DEACTIVATED)
        self._thread.join()

    def hand_in(self, camera: Camera, image: AnyImage) -> None:
        """Takes an image; one of the same camera that still waits is dropped."""
        if (displaced := self._mailbox.put(camera.name, image)) is not None:
            camera.drop(displaced.header, NEWER_FRAME)

    def _work(self) -> None:
        while (taken := self._mailbox.take()) is not None:
            name, image = taken
            camera = self._cameras[name]
            try:
                self._answer(camera, image)
            except ImageError as error:
                camera.drop(image.header, BAD_IMAGE, str(error))
                self._logger.warning(f"{name}: frame dropped: {error}", throttle_duration_sec=5.0)
            except Exception as error:
                # One frame must not end the node; diagnostics show that it happened.
                text = error_text(error, self._current_config().downsample)
                camera.drop(image.header, FAILED, text)
                self._logger.error(f"{name}: frame dropped: {text}", throttle_duration_sec=5.0)

    def _answer(self, camera: Camera, image: AnyImage) -> None:
        started = time.perf_counter()
        pixels = bgr8_from_ros(image)
        decode_ms = (time.perf_counter() - started) * 1e3
        prepared = self._estimator.prepare(pixels)
        config = self._current_config()
        result = self._estimator.infer(prepared)
        started = time.perf_counter()
        result = camera.follow(image.header, result, config)
        result.timings_ms["post"] += (time.perf_counter() - started) * 1e3
        result.timings_ms["decode"] = decode_ms
        camera.answer(image.header, result, self._estimator.info.model_id)
        if config.overlay:
            camera.show(image.header, prepared, result)
