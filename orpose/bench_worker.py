"""A process of its own for each runtime that `orpose bench` measures: two runtimes' thread pools disturb each other."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orpose.bench_gpu import gpu_memory_mib, gpu_name
from orpose_models.errors import BackendError, OrposeError
from orpose_models.machine import peak_memory_mib
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.person_buckets import Arrays, BucketBackend, smallest_bucket

if TYPE_CHECKING:
    from orpose_models.runtime import PoseEstimator
    from orpose_models.runtime.models import ModelInfo

#: Stage -> ms, of one call.
Timings = dict[str, float]
Step = Callable[[], Timings]


@dataclass(frozen=True)
class Contestant:
    """What a worker process runs.

    Attributes:
        name: For tables.
        frame_size: Width and height of the frames, px.
        threads: Processor threads.
        config: Of our runtime; None is a peer.
        batch: Images per call that were asked for; a model's file has its own. More than one is the network alone,
            without what comes before and after.
        persons: People in view: the slots that torchvision and our two-graph models fill; 0 leaves it to the model.
        yolo: The YOLO graph, if it is that peer.
        device: Where torchvision's network computes.
        precision: Of the exported graph, if it is one.
    """

    name: str
    frame_size: tuple[int, int]
    threads: int
    config: RuntimeConfig | None = None
    batch: int = 1
    persons: int = 0
    yolo: Path | None = None
    device: str = "cpu"
    precision: str = "fp32"

    @property
    def is_on_gpu(self) -> bool:
        """Of what torch runs: torch knows how much of the GPU's memory it takes."""
        return "cuda" in (self.device, self.config.torch_device if self.config else "")


class Worker:
    """A process that runs frames on demand. Use as a context manager.

    It imports its libraries as soon as it is made, so that several do at once what takes a while.
    """

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
        """Lets it load its model and waits for that.

        Raises:
            OrposeError: It could not be.
        """
        self.info = self._answer("load")
        return self.info

    def run(self, frames: int) -> list[Timings]:
        """Runs frames and returns the timings of each."""
        timings: list[Timings] = self._answer(frames)
        return timings

    def peak_memory_mib(self) -> float:
        return float(self._answer("memory"))

    def gpu_memory_mib(self) -> dict[str, float] | None:
        """The most that torch had in use, and reserved, of the GPU's memory, without CUDA's own; None without a GPU."""
        memory: dict[str, float] | None = self._answer("gpu memory")
        return memory

    def close(self) -> None:
        self._connection.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, request: int | str) -> Any:
        try:
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
    _import(contestant)
    try:
        connection.recv()
        started = time.perf_counter()
        step, info = _step(contestant)
        if contestant.is_on_gpu:
            info["gpu"] = gpu_name()
        connection.send({**info, "load_s": round(time.perf_counter() - started, 2)})
    except OrposeError as error:
        connection.send(error)
        return
    except (EOFError, KeyboardInterrupt):
        return
    answers: dict[object, Callable[[], object]] = {
        "memory": peak_memory_mib,
        "gpu memory": gpu_memory_mib if contestant.is_on_gpu else lambda: None,
    }
    while True:
        try:
            request = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        answer = answers.get(request)
        connection.send(answer() if answer else [step() for _ in range(request)])


def _import(contestant: Contestant) -> None:
    """What takes seconds of those that use torch; what is missing is said when it loads."""
    module = "orpose_models.runtime.backend_torch" if contestant.config else "torchvision.models.detection"
    is_of_torch = contestant.config.backend == "torch" if contestant.config else contestant.yolo is None
    if is_of_torch:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _step(contestant: Contestant) -> tuple[Step, dict[str, Any]]:
    from orpose.bench_peers import torchvision_step, yolo_step

    frame = example_frame(contestant.frame_size)
    if contestant.config:
        return _our_step(contestant, frame)
    if contestant.yolo:
        step, info = yolo_step(frame, contestant.threads, contestant.yolo)
    else:
        step, info = torchvision_step(frame, contestant.threads, contestant.persons, contestant.device)
    return step, {**info, "batch": 1}


def _our_step(contestant: Contestant, frame: NDArray[np.uint8]) -> tuple[Step, dict[str, Any]]:
    import cv2

    from orpose_models.runtime import PoseEstimator
    from orpose_models.runtime.images import decode_image

    assert contestant.config is not None
    if contestant.threads:
        cv2.setNumThreads(contestant.threads)
    estimator = PoseEstimator(contestant.config)
    if estimator.info.batch > 1:
        return _batch_step(estimator)
    persons = _put_in_view(estimator, contestant.persons)
    jpeg = cv2.imencode(".jpg", frame)[1]

    def step() -> Timings:
        started = time.perf_counter()
        image = decode_image(jpeg)
        decoded = time.perf_counter()
        result = estimator.estimate(image)
        total_ms = (time.perf_counter() - decoded) * 1e3
        return {"decode": (decoded - started) * 1e3, **result.timings_ms, "total": total_ms}

    return step, {
        **_facts(estimator.info),
        "persons": persons,
        "graphs": 1 + isinstance(estimator._backend, BucketBackend),
    }


def _facts(info: ModelInfo) -> dict[str, Any]:
    return {
        "model_id": info.model_id,
        "input_size": list(info.input_size),
        "precision": info.precision,
        "batch": info.batch,
    }


def _put_in_view(estimator: PoseEstimator, persons: int) -> int:
    """Makes a two-graph model find `persons` people in every frame; the slots that are run for them.

    Random weights find nobody or everybody, so the first graph's answer is overruled: its time does not depend on it.
    One graph always runs all its slots.
    """
    most = estimator.info.max_persons
    backend = estimator._backend
    if not (persons and isinstance(backend, BucketBackend)):
        return most
    persons = min(persons, most)
    detect = backend.detect

    def forced(inputs: Arrays) -> Arrays:
        found = dict(detect(inputs))
        found["valid"] = (np.arange(most) < persons).astype(np.int32)[None]
        return found

    backend.detect = forced
    return smallest_bucket(persons, most)


def _batch_step(estimator: PoseEstimator) -> tuple[Step, dict[str, Any]]:
    """The network alone on several images: the runtime's own way is one image after the other."""
    run, info = estimator._backend.infer, estimator.info
    width, height = info.input_size
    image = np.asarray(example_frame((width, height)))
    images = np.stack([np.roll(image, 31 * number, axis=1) for number in range(info.batch)])

    def step() -> Timings:
        started = time.perf_counter()
        run(images)
        total_ms = (time.perf_counter() - started) * 1e3
        return {"infer": total_ms, "total": total_ms}

    return step, {**_facts(info), "persons": info.max_persons}


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
