"""Camera image in, persons out: the same steps over every backend."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import ImageError, ModelError
from orpose_models.runtime.backends import Outputs, load_backend
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.images import to_bgr8
from orpose_models.runtime.letterbox import Letterbox
from orpose_models.runtime.models import ModelInfo
from orpose_models.runtime.types import FrameResult, Person


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image ready for the network.

    Attributes:
        image: `(h, w, 3)` uint8 BGR at the resolution privacy allows: what may be drawn on, shown and stored.
        network_input: `(1, H, W, 3)` uint8 BGR.
        letterbox: Where the frame lies in it.
        preprocess_ms: How long this took.
    """

    image: NDArray[np.uint8]
    network_input: NDArray[np.uint8]
    letterbox: Letterbox
    preprocess_ms: float


class PoseEstimator:
    """Finds the persons in camera images.

    Example:
        estimator = PoseEstimator(RuntimeConfig(model="lite", downsample=12))
        for person in estimator.estimate(cv2.imread("frame.png")).persons:
            print(person.score, person.keypoints)

    Raises:
        BackendError: The backend, provider or device is not installed or not there.
        ModelError: The model file is missing, corrupt or not ours.
    """

    def __init__(self, config: RuntimeConfig | None = None) -> None:
        self.config = config or RuntimeConfig()
        self._backend = load_backend(self.config)

    @property
    def info(self) -> ModelInfo:
        """What the loaded model says about itself."""
        return self._backend.info

    @property
    def backend(self) -> str:
        """What runs the network: `onnxruntime (cpu)`."""
        return self._backend.name

    def estimate(self, image: NDArray) -> FrameResult:
        """The persons in one image.

        Args:
            image: BGR, grey or BGRA; 8 or 16 bit or float, see `to_bgr8`.

        Raises:
            ImageError: An image that cannot be used.
        """
        return self.infer(self.prepare(image))

    def prepare(self, image: NDArray) -> PreparedImage:
        """First half of `estimate`: downsamples, then letterboxes. Nothing of the full resolution is kept.

        Raises:
            ImageError: An image that cannot be used, or whose shape is not that of the configured frame size.
        """
        started = time.perf_counter()
        reduced = privacy_downsample(to_bgr8(image), self.config.downsample)
        frame_size = self.config.frame_size or (image.shape[1], image.shape[0])
        if self.config.frame_size:
            _check_aspect(frame_size, (image.shape[1], image.shape[0]))
        letterbox = Letterbox.fit(frame_size, self.info.input_size)
        network_input = letterbox.apply(reduced)[None]
        return PreparedImage(reduced, network_input, letterbox, _ms_since(started))

    def infer(self, prepared: PreparedImage) -> FrameResult:
        """Second half of `estimate`: the network, then coordinates in the frame's pixels."""
        return self.infer_batch([prepared])[0]

    def infer_batch(self, prepared: Sequence[PreparedImage]) -> list[FrameResult]:
        """`infer` for several images, `info.batch` of them in each call of the network; its time counts for each.

        A model exported with `--batch N` always computes N images: what is missing in the last call is black.
        """
        size = self.info.batch
        groups = [prepared[first : first + size] for first in range(0, len(prepared), size)]
        return [result for group in groups for result in self._infer_group(group)]

    def _infer_group(self, prepared: Sequence[PreparedImage]) -> list[FrameResult]:
        started = time.perf_counter()
        outputs = self._backend.infer(_stacked([image.network_input for image in prepared], self.info.batch))
        infer_ms = _ms_since(started)
        return [self._result(outputs, place, image, infer_ms) for place, image in enumerate(prepared)]

    def _result(self, outputs: Outputs, place: int, prepared: PreparedImage, infer_ms: float) -> FrameResult:
        started = time.perf_counter()
        candidates = persons_from_outputs(outputs, prepared.letterbox, self.config.min_score, place)
        persons = tuple(person for person in candidates if person.score >= self.config.score_threshold)
        timings = {"preprocess": prepared.preprocess_ms, "infer": infer_ms, "post": _ms_since(started)}
        return FrameResult(
            persons=persons,
            image_size=prepared.letterbox.frame_size,
            timings_ms=timings,
            downsample=self.config.downsample,
            candidates=candidates,
            nms_converged=bool(np.asarray(outputs["nms_converged"]).reshape(-1)[place]),
        )


def _stacked(images: Sequence[NDArray[np.uint8]], size: int) -> NDArray[np.uint8]:
    """`(size, H, W, 3)` of images `(1, H, W, 3)`, black where there are fewer; a single image is not copied."""
    if len(images) == size == 1:
        return images[0]
    batch = np.zeros((size, *images[0].shape[1:]), np.uint8)
    for place, image in enumerate(images):
        batch[place] = image[0]
    return batch


def persons_from_outputs(
    outputs: Outputs, letterbox: Letterbox, min_score: float, place: int = 0
) -> tuple[Person, ...]:
    """The network's valid slots as persons in frame px, best first. Boxes are clipped to the frame, joints are not.

    Args:
        outputs: Of `Backend.infer`.
        letterbox: Where the frame lies in the network's input.
        min_score: Slots with a lower score are left out.
        place: Of the image in the batch.

    Raises:
        ModelError: A valid slot holds values that are not finite.
    """
    scores = outputs["scores"][place]
    kept = np.flatnonzero((outputs["valid"][place] > 0) & (scores >= min_score))
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    boxes, keypoints, keypoints_3d = (
        np.asarray(outputs[name][place][kept], np.float32) for name in ("boxes", "keypoints", "keypoints_3d")
    )
    if not all(np.isfinite(values).all() for values in (scores[kept], boxes, keypoints, keypoints_3d)):
        raise ModelError("the network's output holds values that are not finite; are its weights damaged?")
    corners = letterbox.points_to_frame(boxes.reshape(-1, 2, 2))
    corners = np.clip(corners, 0, np.array(letterbox.frame_size, np.float32))
    keypoints = np.concatenate([letterbox.points_to_frame(keypoints[..., :2]), keypoints[..., 2:]], axis=-1)
    return tuple(
        Person(
            score=float(scores[slot]),
            bbox_xywh=np.concatenate([corners[i, 0], corners[i, 1] - corners[i, 0]]),
            keypoints=keypoints[i],
            keypoints_3d=keypoints_3d[i],
        )
        for i, slot in enumerate(kept)
        if (corners[i, 1] > corners[i, 0]).all()  # a box wholly in the padding is nobody
    )


def _check_aspect(frame_size: tuple[int, int], image_size: tuple[int, int]) -> None:
    """Downsampling rounds a side by less than a pixel; more than that is another frame's image."""
    width, height = image_size
    aspect = frame_size[0] / frame_size[1]
    if not (width - 1) / (height + 1) <= aspect <= (width + 1) / max(height - 1, 0.5):
        raise ImageError(
            f"image is {width}x{height}, which is no reduced {frame_size[0]}x{frame_size[1]} frame; "
            "check frame_size, the camera's own size"
        )


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
