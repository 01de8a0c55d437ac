"""A ROS context of its own for each test: private domain, this machine only, a namespace nobody else has."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import os
import subprocess
import sys
import sysconfig
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


#: hri_msgs/Skeleton2D numbers them in this order.
_HRI_JOINTS = """
    NOSE NECK RIGHT_SHOULDER RIGHT_ELBOW RIGHT_WRIST LEFT_SHOULDER LEFT_ELBOW LEFT_WRIST RIGHT_HIP RIGHT_KNEE
    RIGHT_ANKLE LEFT_HIP LEFT_KNEE LEFT_ANKLE LEFT_EYE RIGHT_EYE LEFT_EAR RIGHT_EAR
"""
#: Stand-ins for message packages that are on no package index: package -> its messages, as far as we use them.
FOREIGN_MESSAGES = {
    "tf2_msgs": {"TFMessage": ["geometry_msgs/TransformStamped[] transforms"]},
    "hri_msgs": {
        "IdsList": ["std_msgs/Header header", "string[] ids"],
        "NormalizedPointOfInterest2D": ["float32 x", "float32 y", "float32 c"],
        "NormalizedRegionOfInterest2D": [
            "std_msgs/Header header", "float32 xmin", "float32 ymin", "float32 xmax", "float32 ymax", "float32 c",
        ],
        "Skeleton2D": [
            "std_msgs/Header header",
            *(f"uint8 {joint}={index}" for index, joint in enumerate(_HRI_JOINTS.split())),
            "NormalizedPointOfInterest2D[18] skeleton",
        ],
    },
}  # fmt: skip
_PACKAGE_XML = """<package format="3">
  <name>{name}</name><version>0.0.1</version><description>Stand-in.</description>
  <maintainer email="maintainers@example.com">orpose maintainers</maintainer><license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend><depend>geometry_msgs</depend><depend>std_msgs</depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
_CMAKE_LISTS = """cmake_minimum_required(VERSION 3.16)
project({name})
find_package(geometry_msgs REQUIRED)
find_package(std_msgs REQUIRED)
find_package(rosidl_default_generators REQUIRED)
rosidl_generate_interfaces({name} {files} DEPENDENCIES geometry_msgs std_msgs)
# All sources of one of these as one, whose headers are read once.
foreach(kind fastrtps_c fastrtps_cpp introspection_cpp)
  set_target_properties({name}__rosidl_typesupport_${{kind}} PROPERTIES UNITY_BUILD ON)
endforeach()
ament_package()
"""


@pytest.fixture(scope="session")
def foreign_messages(request) -> dict[str, str]:
    """Environment of processes that can import tf2_msgs and hri_msgs.

    Built by colcon, which takes a while: pytest's cache keeps the result for as long as nothing of it changes.
    """
    colcon = Path(sysconfig.get_path("scripts")) / "colcon"
    if not colcon.exists():
        pytest.skip("colcon is not installed in this environment")
    key = hashlib.sha256(repr((FOREIGN_MESSAGES, _PACKAGE_XML, _CMAKE_LISTS, sys.executable)).encode()).hexdigest()[:12]
    workspace = request.config.cache.mkdir(f"foreign_messages_{key}").resolve()
    if not (workspace / "finished").exists():
        _build_foreign_messages(workspace, colcon)
        (workspace / "finished").touch()
    (packages,) = (workspace / "install").glob("lib/python*/site-packages")

    def prepended(name: str, folder: Path) -> str:
        return f"{folder}{os.pathsep}{os.environ.get(name, '')}"

    return {
        "PYTHONPATH": prepended("PYTHONPATH", packages),
        "LD_LIBRARY_PATH": prepended("LD_LIBRARY_PATH", workspace / "install/lib"),
    }


def _build_foreign_messages(workspace: Path, colcon: Path) -> None:
    for name, messages in FOREIGN_MESSAGES.items():
        source = workspace / "src" / name
        (source / "msg").mkdir(parents=True, exist_ok=True)
        files = " ".join(f"msg/{message}.msg" for message in messages)
        (source / "package.xml").write_text(_PACKAGE_XML.format(name=name))
        (source / "CMakeLists.txt").write_text(_CMAKE_LISTS.format(name=name, files=files))
        for message, lines in messages.items():
            (source / "msg" / f"{message}.msg").write_text("\n".join(lines) + "\n")
    environment = os.environ | {
        "AMENT_PREFIX_PATH": sys.prefix,
        "CMAKE_PREFIX_PATH": sys.prefix,
        "PATH": f"{colcon.parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [colcon, "--log-base", "log", "build", "--base-paths", "src", "--merge-install", "--cmake-args"]
    sooner = ("-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0", "-DCMAKE_CXX_FLAGS_DEBUG=-O0")
    options = ["-G", "Ninja", f"-DPython3_EXECUTABLE={sys.executable}", *sooner]
    ended = subprocess.run([*command, *options], cwd=workspace, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def make_node(ros, namespace, fake_model) -> Callable[..., Any]:
    """Builds a node of the fake model with these parameters."""
    from rclpy.parameter import Parameter

    from orpose_ros.node import PoseNode

    def make(**parameters: Any) -> PoseNode:
        values = {"model": str(fake_model), "threads": 1, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        return ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))

    return make
