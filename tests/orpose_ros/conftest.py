"""A ROS context of its own for each test: private domain, this machine only, a namespace nobody else has."""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

if importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("orpose_msgs") is None:
    collect_ignore_glob = ["test_*.py"]  # no ROS 2 for this platform

os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

_numbers = itertools.count()


@pytest.fixture
def namespace() -> str:
    return f"/test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture
def ros() -> Iterator[Any]:
    """Nodes of this process: `ros.add(node)`, then `ros.until(condition)`."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    class Ros:
        def __init__(self) -> None:
            self.executor = SingleThreadedExecutor()
            self.nodes: list[Any] = []

        def add(self, node: Any) -> Any:
            self.nodes.append(node)
            self.executor.add_node(node)
            return node

        def until(self, condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
            """Spins until the condition holds; fails after a while."""
            deadline_s = time.monotonic() + timeout_s
            while not condition():
                assert time.monotonic() < deadline_s, "waited in vain"
                self.executor.spin_once(timeout_sec=0.05)

        def spin_for(self, duration_s: float) -> None:
            deadline_s = time.monotonic() + duration_s
            while time.monotonic() < deadline_s:
                self.executor.spin_once(timeout_sec=0.05)

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    spinner = Ros()
    yield spinner
    for node in spinner.nodes:
        node.destroy_node()
    spinner.executor.shutdown()
    rclpy.try_shutdown()


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -m module arguments` in a process that does not outlive the test."""
    processes: list[subprocess.Popen[str]] = []

    def run(module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def make_bag(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bag of 640x480 frames with one bright blue box, a person to the fake model."""
    import numpy as np

    from orpose_models.bags import write_image_bag

    def make(frames: int, frames_per_second: float, compressed: bool) -> Path:
        image = np.zeros((480, 640, 3), np.uint8)
        image[100:300, 200:260] = (255, 0, 0)
        path = tmp_path / f"bag_{next(_numbers)}"
        stamps_ns = [10**18 + round(index * 1e9 / frames_per_second) for index in range(frames)]
        topic = "/camera/image_raw" + ("/compressed" if compressed else "")
        write_image_bag(path, [image] * frames, topic, stamps_ns, compressed=compressed)
        return path

    return make
