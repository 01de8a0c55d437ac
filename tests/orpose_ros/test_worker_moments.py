"""How many complete moments a worker slower than the cameras gives the room: the real worker, mailbox and moments.

Time is simulated: images arrive while the network computes or the worker waits, so that figures do not depend on the
machine. `python tests/orpose_ros/test_worker_moments.py` prints the table of docs/several_cameras.md.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from orpose_models.multiview.moments import Moments
from orpose_ros.config import NodeConfig
from orpose_ros.messages import stamp_ns
from orpose_ros.worker import Worker

CAMERAS = ("cam1", "cam2", "cam3")
DURATION_S = 20.0


class Simulation:
    """Cameras, a network and a room on a clock of their own, s.

    Args:
        images_per_second: Of each camera.
        frame_s: What one call of the network takes.
        batch: Images of one call.
        jitter_s: Images arrive up to so much after they were taken.
        phases_s: Camera -> how much later than the others it takes its images.
        silent: A camera that sends nothing.
        fuse: With a room.
    """

    def __init__(
        self,
        images_per_second: float,
        frame_s: float,
        *,
        batch: int = 1,
        jitter_s: float = 0.005,
        phases_s: dict[str, float] | None = None,
        silent: str = "",
        fuse: bool = True,
    ) -> None:
        self.now_s = 0.0
        self.calls: list[int] = []
        self.moments: Moments[None] = Moments(CAMERAS, 50_000_000, patience_s=1.0)
        self.whole = 0
        self._frame_s, self._live = frame_s, [name for name in CAMERAS if name != silent]
        rng = random.Random(0)
        taken = [
            (index / images_per_second + (phases_s or {}).get(name, 0.0), name)
            for index in range(int(DURATION_S * images_per_second))
            for name in self._live
        ]
        self._arrivals = sorted((taken_s + rng.uniform(0, jitter_s), taken_s, name) for taken_s, name in taken)
        self.cameras: dict[str, Any] = {name: _Camera(name) for name in CAMERAS}
        estimator: Any = SimpleNamespace(
            info=SimpleNamespace(batch=batch, model_id="simulated"), prepare=lambda _: None, infer_batch=self._infer
        )
        logger: Any = logging.getLogger("test")
        room: Any = SimpleNamespace(add=self._add) if fuse else None
        config = NodeConfig(cameras=CAMERAS)
        self.worker = Worker(self.cameras, estimator, lambda: config, logger, room)
        self.worker._mailbox._changed.wait_for = self._wait_for  # type: ignore[method-assign]

    def run(self) -> Simulation:
        self.worker._work()
        return self

    @property
    def moments_per_second(self) -> float:
        """Moments of all cameras that send."""
        return self.whole / DURATION_S

    @property
    def answers_per_second(self) -> float:
        """Of all cameras together."""
        return sum(camera.answered for camera in self.cameras.values()) / DURATION_S

    def _infer(self, prepared: Sequence[None]) -> list[Any]:
        self.calls.append(len(prepared))
        self._go_on_until(self.now_s + self._frame_s)
        return [SimpleNamespace(timings_ms={"post": 0.0}) for _ in prepared]

    def _wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        deadline_s = float("inf") if timeout is None else self.now_s + timeout
        while not (result := predicate()):
            if self._arrivals and self._arrivals[0][0] <= deadline_s:
                self._go_on_until(self._arrivals[0][0])
            elif timeout is None:
                self.worker._mailbox.close()  # the recording has ended
            else:
                self.now_s = deadline_s
                return predicate()
        return result

    def _go_on_until(self, until_s: float) -> None:
        while self._arrivals and self._arrivals[0][0] <= until_s:
            self.now_s, taken_s, name = self._arrivals.pop(0)
            stamp = Time(sec=int(taken_s), nanosec=int(taken_s % 1 * 1e9))
            image = Image(header=Header(stamp=stamp), height=1, width=1, encoding="bgr8", step=3, data=bytes(3))
            self.worker.hand_in(self.cameras[name], image)
        self.now_s = until_s

    def _add(self, camera: str, header: Header, result: Any) -> None:
        closed = self.moments.add(camera, stamp_ns(header), None, self.now_s)
        self.whole += sum(len(moment) == len(self._live) for moment in closed)


class _Camera:
    """Counts what the worker does with a camera's images."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answered = self.dropped = 0

    def follow(self, header: Header, result: Any, config: NodeConfig) -> Any:
        return result

    def answer(self, header: Header, result: Any, model_id: str) -> tuple[None, float]:
        self.answered += 1
        return None, 0.0

    def accompany(self, answer: Any, age_ms: float, result: Any, prepared: Any) -> None: ...

    def drop(self, header: Header, reason: str, problem: str = "") -> None:
        self.dropped += 1


@pytest.mark.parametrize("images_per_second", [15, 30])
@pytest.mark.parametrize("frame_s", [0.015, 0.035, 0.1, 0.6])
def test_nearly_every_answer_is_part_of_a_whole_moment(images_per_second, frame_s):
    done = Simulation(images_per_second, frame_s).run()
    possible = min(images_per_second, 1 / (len(CAMERAS) * frame_s))
    assert done.moments_per_second > 0.9 * possible - 2 / DURATION_S


@pytest.mark.parametrize(
    "changes",
    [{"batch": 2}, {"phases_s": {"cam2": 0.02, "cam3": 0.04}}, {"jitter_s": 0.03}],
    ids=["batch", "cameras in turn", "late images"],
)
def test_so_with(changes):
    done = Simulation(15, 0.035, **changes).run()
    assert done.moments_per_second > 0.95 * done.answers_per_second / len(CAMERAS)


def test_a_silent_camera_costs_no_moments():
    done = Simulation(15, 0.035, silent="cam2").run()
    assert done.moments_per_second > 0.9 / (2 * 0.035)


def test_a_batch_is_no_larger_than_the_models():
    assert set(Simulation(15, 0.035, batch=2).run().calls) == {1, 2}


def test_without_a_room_cameras_are_answered_one_by_one_with_their_newest_images():
    done = Simulation(30, 0.1, fuse=False).run()
    answered = [camera.answered for camera in done.cameras.values()]
    assert max(answered) - min(answered) <= 1


def test_every_image_is_answered_or_dropped():
    done = Simulation(30, 0.035).run()
    for camera in done.cameras.values():
        assert camera.answered + camera.dropped == 30 * DURATION_S


def table() -> str:
    """Moments a second, by images a second and what a frame takes."""
    settings = [(rate, frame_s) for rate in (15, 30) for frame_s in (0.015, 0.035, 0.1)]
    found = [(rate, frame_s, Simulation(rate, frame_s).run()) for rate, frame_s in settings]
    return "\n".join(
        f"| {rate} | {1e3 * frame_s:.0f} | {done.moments_per_second:.1f} | {done.answers_per_second:.1f} |"
        for rate, frame_s, done in found
    )


if __name__ == "__main__":
    print(table())
