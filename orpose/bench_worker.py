"""A process of its own for each runtime that `orpose bench` measures: two runtimes' thread pools disturb each other."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import BackendError, OrposeError
from orpose_models.machine import peak_memory_mib
from orpose_models.runtime.config import RuntimeConfig

#: Stage -> ms, of one frame.
Timings = dict[str, float]
Step = Callable[[], Timings]

PEER_NAME = "torchvision keypointrcnn_resnet50_fpn"


@dataclass(frozen=True)
class Contestant:
    """What a worker process runs.

    Attributes:
        name: For tables.
        frame_size: Width and height of the frames, px.
        config: Of our runtime; None is the peer.
        threads: Processor threads.
        persons: Slots the peer fills (ours has its graph's number).
    """

    name: str
    frame_size: tuple[int, int]
    config: RuntimeConfig | None
    threads: int
    persons: int = 0


class Worker:
    """A process that runs frames on demand. Use as a context manager."""

    def __init__(self, contestant: Contestant) -> None:
        self.name = contestant.name
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contestant), daemon=True)
        self._process.start()
        theirs.close()
        #: What the process said about its model after loading it.
        self.info: dict[str, Any] = {}

    def load(self) -> dict[str, Any]:
        """Waits until the model is loaded.

        Raises:
            OrposeError: It could not be.
        """
        self.info = self._answer()
        return self.info

    def run(self, frames: int) -> list[Timings]:
        """Runs frames and returns the timings of each."""
        timings: list[Timings] = self._answer(frames)
        return timings

    def peak_memory_mib(self) -> float:
        return float(self._answer("memory"))

    def close(self) -> None:
        self._connection.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, request: int | str | None = None) -> Any:
        try:
            if request is not None:
                self._connection.send(request)
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(timeout=10)
            raise BackendError(f"{self.name}: its process ended with exit code {self._process.exitcode}") from None
        if isinstance(answer, OrposeError):
            raise answer
        return answer


def _serve(connection: Connection, contestant: Contestant) -> None:
    """The worker process: loads, then answers a number of frames with their timings."""
    try:
        started = time.perf_counter()
        step, info = _our_step(contestant) if contestant.config else _peer_step(contestant)
        connection.send({**info, "load_s": round(time.perf_counter() - started, 2)})
    except OrposeError as error:
        connection.send(error)
        return
    while True:
        try:
            request = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        connection.send(peak_memory_mib() if request == "memory" else [step() for _ in range(request)])


def _our_step(contestant: Contestant) -> tuple[Step, dict[str, Any]]:
    import cv2

    from orpose_models.runtime import PoseEstimator
    from orpose_models.runtime.images import decode_image

    assert contestant.config is not None
    if contestant.threads:
        cv2.setNumThreads(contestant.threads)
    estimator = PoseEstimator(contestant.config)
    jpeg = cv2.imencode(".jpg", example_frame(contestant.frame_size))[1]

    def step() -> Timings:
        started = time.perf_counter()
        image = decode_image(jpeg)
        decoded = time.perf_counter()
        result = estimator.estimate(image)
        total_ms = (time.perf_counter() - decoded) * 1e3
        return {"decode": (decoded - started) * 1e3, **result.timings_ms, "total": total_ms}

    info = estimator.info
    return step, {
        "model_id": info.model_id,
        "input_size": list(info.input_size),
        "persons": info.max_persons,
        "precision": info.precision,
    }


def _peer_step(contestant: Contestant) -> tuple[Step, dict[str, Any]]:
    try:
        import torch
        from torchvision.models.detection import keypointrcnn_resnet50_fpn
    except ImportError as error:
        raise BackendError(f"the peer needs torchvision ({error}): pip install 'orpose[train]'") from None
    if contestant.threads:
        torch.set_num_threads(contestant.threads)
    torch.manual_seed(0)
    width, height = contestant.frame_size
    # Random weights: every box passes the threshold 0, so exactly `persons` of them reach the keypoint head. The sizes
    # keep torchvision from enlarging the image to 800 px.
    model = keypointrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        min_size=min(width, height),
        max_size=max(width, height),
        box_score_thresh=0.0,
        box_detections_per_img=contestant.persons,
    ).eval()
    frame = example_frame(contestant.frame_size)

    def prepare() -> list[torch.Tensor]:
        return [torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1).float() / 255]

    def step() -> Timings:
        started = time.perf_counter()
        with torch.inference_mode():
            image = prepare()
            prepared = time.perf_counter()
            model(image)
        done = time.perf_counter()
        return {
            "preprocess": (prepared - started) * 1e3,
            "infer": (done - prepared) * 1e3,
            "total": (done - started) * 1e3,
        }

    with torch.inference_mode():
        persons = len(model(prepare())[0]["scores"])
    return step, {"model_id": "random weights", "input_size": [width, height], "persons": persons, "precision": "fp32"}


def example_frame(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A deterministic picture: soft colour fields, some edges, a little noise. `(H, W, 3)` BGR."""
    import cv2

    width, height = size
    random = np.random.default_rng(0)
    coarse = random.integers(40, 200, (6, 8, 3), np.uint8)
    picture = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)).astype(np.int16)
    for _ in range(8):
        x, y = random.integers(0, width), random.integers(0, height)
        picture[y : y + height // 3, x : x + width // 8] += random.integers(-60, 60, 3, np.int16)
    picture += random.normal(0, 3, picture.shape).astype(np.int16)
    return np.clip(picture, 0, 255).astype(np.uint8)
