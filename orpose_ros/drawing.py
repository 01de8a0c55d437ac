"""Each frame of a replay as it passes by on its way into the bag: into the pictures, and to Rerun."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera
from orpose_models.bag_camera import camera_of_bag
from orpose_models.rerun_file import RerunFile, Shown
from orpose_models.runtime.bags import BagImages
from orpose_ros.accuracy import Labels
from orpose_ros.pictures import Pictures
from orpose_ros.replayed import ReplayedFrame


class Drawing:
    """What is shown of each frame."""

    def __init__(
        self,
        frames: Sequence[ReplayedFrame],
        labels: Labels | None,
        pictures: Pictures,
        recording: RerunFile | None,
    ) -> None:
        self._frames = {frame.index: frame for frame in frames}
        self._labels, self._pictures, self._recording = labels, pictures, recording

    def add(self, index: int, image: NDArray[np.uint8], frame_size: tuple[int, int]) -> NDArray[np.uint8]:
        """The frame with its answer drawn on it, `(H, W, 3)` BGR.

        Args:
            index: Of a frame that was sent.
            image: `(h, w, 3)` BGR as privacy allows.
            frame_size: Width and height of the frame, px.
        """
        frame = self._frames[index]
        if self._recording is not None:
            people = (self._labels.people_of(index) if self._labels else None) or []
            times_ms = {**frame.stages_ms, **({"latency": frame.latency_ms} if frame.latency_ms is not None else {})}
            self._recording.add(Shown(index, frame_size, frame.original_ns, image, frame.result, times_ms, people))
        return self._pictures.add(frame, image, frame_size)


def camera_of_frames(bag: BagImages, labels: Labels | None) -> Camera | None:
    """The calibration of the labels where all of them are of one camera, else the bag's."""
    if labels is not None:
        names = {image.camera_id for image in labels.annotations.images}
        cameras = [labels.annotations.cameras.get(str(name)) for name in names]
        if len(cameras) == 1 and cameras[0] is not None:
            return cameras[0]
    return camera_of_bag(bag.path, str(bag.topic))
