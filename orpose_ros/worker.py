"""The one thread that infers, for all cameras: one model in memory, always the newest frames.

One frame at a time; a model exported with `--batch N` gets the frames of up to N cameras in one call. With a room, one
frame of each camera at a time: were they taken one by one, a worker slower than the cameras would find the others'
frames of that moment displaced by newer ones, and no moment would be complete.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rclpy.impl.rcutils_logger import RcutilsLogger

from orpose_models.errors import ImageError
from orpose_models.privacy import error_text
from orpose_models.runtime import FrameResult, PoseEstimator
from orpose_models.runtime.estimator import PreparedImage
from orpose_ros.camera import NANOSECONDS_PER_MILLISECOND, Camera
from orpose_ros.camera_input import AnyImage
from orpose_ros.config import NodeConfig
from orpose_ros.counts import BAD_IMAGE, DEACTIVATED, FAILED, NEWER_FRAME
from orpose_ros.image_messages import bgr8_from_ros
from orpose_ros.mailbox import Mailbox
from orpose_ros.messages import stamp_ns
from orpose_ros.room import Room

#: How long the first frame of a batch or moment waits for those of the other cameras, s.
_PARTNERS_WAIT_S = 0.02


@dataclass(frozen=True, eq=False)
class _Frame:
    """An image on its way to its answer."""

    camera: Camera
    image: AnyImage
    prepared: PreparedImage
    decode_ms: float


class Worker:
    """Answers the images that are handed in, from `start` to `stop`."""

    def __init__(
        self,
        cameras: Mapping[str, Camera],
        estimator: PoseEstimator,
        current_config: Callable[[], NodeConfig],
        logger: RcutilsLogger,
        room: Room | None = None,
    ) -> None:
        self._cameras = cameras
        self._estimator = estimator
        self._current_config = current_config
        self._logger = logger
        self._room = room
        self._mailbox: Mailbox[AnyImage] = Mailbox(cameras)
        self._thread = threading.Thread(target=self._work, name="orpose-worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finishes the frames at hand; one that still waits is dropped."""
        for name, image in self._mailbox.close():
            self._cameras[name].drop(image.header, DEACTIVATED)
        self._thread.join()

    def hand_in(self, camera: Camera, image: AnyImage) -> None:
        """Takes an image; one of the same camera that still waits is dropped."""
        if (displaced := self._mailbox.put(camera.name, image)) is not None:
            camera.drop(displaced.header, NEWER_FRAME)

    def _work(self) -> None:
        batch, most = self._estimator.info.batch, self._largest_batch()
        if self._room is not None:
            most = len(self._cameras)
        while taken := self._mailbox.take_some(most, _PARTNERS_WAIT_S, self._is_enough):
            for first in range(0, len(taken), batch):
                group = taken[first : first + batch]
                frames = [self._prepare(self._cameras[name], image) for name, image in group]
                self._answer_all([frame for frame in frames if frame is not None])

    def _largest_batch(self) -> int:
        return min(self._estimator.info.batch, len(self._cameras))

    def _is_enough(self, images: Sequence[AnyImage]) -> bool:
        """A full batch; with a room, of one moment: one camera's next image may be here before the others'."""
        if len(images) < self._largest_batch():
            return False
        stamps_ns = [stamp_ns(image.header) for image in images]
        tolerance_ms = self._current_config().sync_tolerance_ms
        return self._room is None or max(stamps_ns) - min(stamps_ns) <= tolerance_ms * NANOSECONDS_PER_MILLISECOND

    def _prepare(self, camera: Camera, image: AnyImage) -> _Frame | None:
        try:
            started = time.perf_counter()
            pixels = bgr8_from_ros(image)
            decode_ms = (time.perf_counter() - started) * 1e3
            return _Frame(camera, image, self._estimator.prepare(pixels), decode_ms)
        except Exception as error:
            self._drop(camera, image, error)
            return None

    def _answer_all(self, frames: Sequence[_Frame]) -> None:
        """Answers the frames of one call of the network; if that fails, all of them are dropped."""
        try:
            results = self._estimator.infer_batch([frame.prepared for frame in frames])
        except Exception as error:
            for frame in frames:
                self._drop(frame.camera, frame.image, error)
            return
        for frame, result in zip(frames, results, strict=True):
            try:
                self._answer(frame, result)
            except Exception as error:
                self._drop(frame.camera, frame.image, error)

    def _answer(self, frame: _Frame, result: FrameResult) -> None:
        config = self._current_config()
        started = time.perf_counter()
        result = frame.camera.follow(frame.image.header, result, config)
        result.timings_ms["post"] += (time.perf_counter() - started) * 1e3
        result.timings_ms["decode"] = frame.decode_ms
        answer, age_ms = frame.camera.answer(frame.image.header, result, self._estimator.info.model_id)
        steps = [partial(frame.camera.accompany, answer, age_ms, result, frame.prepared if config.overlay else None)]
        if self._room is not None:
            steps.append(partial(self._room.add, frame.camera.name, frame.image.header, result))
        for step in steps:
            try:
                step()
            except Exception as error:  # the frame is answered, and not dropped as well
                text = error_text(error, config.downsample)
                frame.camera.counts.count_incomplete(text)
                self._logger.error(f"{frame.camera.name}: answer incomplete: {text}", throttle_duration_sec=5.0)

    def _drop(self, camera: Camera, image: AnyImage, error: Exception) -> None:
        """One frame must not end the node: what went wrong is counted, and diagnostics show that it happened."""
        if isinstance(error, ImageError):
            camera.drop(image.header, BAD_IMAGE, str(error))
            self._logger.warning(f"{camera.name}: frame dropped: {error}", throttle_duration_sec=5.0)
        else:
            text = error_text(error, self._current_config().downsample)
            camera.drop(image.header, FAILED, text)
            self._logger.error(f"{camera.name}: frame dropped: {text}", throttle_duration_sec=5.0)
