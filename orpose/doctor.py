"""`orpose doctor`: what is installed, which backends work, and why not."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from orpose_models.errors import OrposeError
from orpose_models.runtime.config import BackendName, RuntimeConfig
from orpose_models.settings import build_settings

State = Literal["ok", "absent", "BROKEN"]

#: Module -> distribution of what every use of orpose needs.
_NEEDED = {
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "yaml": "PyYAML",
    "tqdm": "tqdm",
    "rosbags": "rosbags",
    "rosbags.image": "rosbags-image",
}
_OLDEST_PYTHON = (3, 10)
#: From this numpy on, the cv_bridge of Humble and Jazzy crashes (vision_opencv issue 535).
_CRASHING_NUMPY = 2


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        name: What was looked at.
        state: "absent" is no problem, "BROKEN" is.
        text: What was found, and what to do about it.
    """

    name: str
    state: State
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit code 0: the default path works. 1: something is BROKEN."


def run(args: argparse.Namespace) -> int:
    checks = [check_python(), *(check_package(*item) for item in _NEEDED.items()), *check_backends(), *check_ros()]
    print(table(checks))
    broken = [check.name for check in checks if check.state == "BROKEN"]
    print(f"\n{len(broken)} BROKEN: {', '.join(broken)}" if broken else "\nThe default path works.")
    return 1 if broken else 0


def table(checks: list[Check]) -> str:
    return "\n".join(f"{check.name:<26}{check.state:<8}{check.text}" for check in checks)


def check_python() -> Check:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.executable})"
    if sys.version_info < _OLDEST_PYTHON:
        return Check("Python", "BROKEN", f"{version}: expected 3.10 or later")
    return Check("Python", "ok", version)


def check_package(module: str, distribution: str) -> Check:
    """A package that every use needs."""
    try:
        importlib.import_module(module)
    except Exception as error:  # built for another numpy, it is not only an ImportError
        return Check(distribution, "BROKEN", f"{error}: pip install {distribution}")
    return Check(distribution, "ok", _version(distribution))


def check_backends() -> list[Check]:
    """Each backend, tried with the shipped model; only the default one has to work.

    Those that first build an engine, which takes minutes, are only asked whether library and GPU are there.
    """
    default = RuntimeConfig()
    return [
        check_backend("backend onnxruntime", {}, is_needed=default.backend == "onnxruntime"),
        check_backend("  provider cuda", {"provider": "cuda"}),
        check_engine_backend("  provider tensorrt", lambda: _probe("onnxruntime", "tensorrt")),
        check_backend("backend openvino", {"backend": "openvino"}),
        check_backend("backend torch", {"backend": "torch"}),
        check_backend("  on cuda", {"backend": "torch", "torch_device": "cuda"}),
        check_compiler(),
        check_engine_backend("backend torch-tensorrt", lambda: _probe("torch-tensorrt")),
        check_engine_backend("backend tensorrt", lambda: _probe("tensorrt")),
        check_gpu(),
        check_engine_cache(),
    ]


def check_backend(title: str, options: dict[str, str], is_needed: bool = False) -> Check:
    """Loads a model into a backend and runs it on a black image.

    Args:
        title: Name of the line.
        options: Of `RuntimeConfig`.
        is_needed: Whether it is BROKEN where it cannot be loaded, rather than absent.
    """
    try:
        import numpy as np

        from orpose_models.runtime import PoseEstimator

        estimator = PoseEstimator(build_settings(RuntimeConfig, options, "doctor"))
        width, height = estimator.info.input_size
        black = np.zeros((height, width, 3), np.uint8)
        estimator.estimate(black)
        started = time.perf_counter()
        estimator.estimate(black)
    except (OrposeError, ImportError) as error:
        return Check(title, "BROKEN" if is_needed else "absent", str(error))
    except Exception as error:
        return Check(title, "BROKEN", f"{type(error).__name__}: {error}")
    duration_ms = (time.perf_counter() - started) * 1e3
    return Check(title, "ok", f"{estimator.info.model_id}, {estimator.info.precision}: {duration_ms:.0f} ms a frame")


def check_engine_backend(title: str, probe: Callable[[], str]) -> Check:
    """A backend that would build an engine first."""
    try:
        return Check(title, "ok", f"{probe()}; engines are built at the first start")
    except OrposeError as error:
        return Check(title, "absent", str(error))


def _probe(name: BackendName, *arguments: str) -> str:
    from orpose_models.runtime.backends import probe_backend

    return probe_backend(name, *arguments)


def check_compiler() -> Check:
    """What torch_mode compile needs besides torch."""
    compiler = os.environ.get("CXX", "g++")
    title = "  mode compile"
    if importlib.util.find_spec("torch") is None:
        return Check(title, "absent", "torch is not installed: pip install 'orpose[train]'")
    if found := shutil.which(compiler):
        return Check(title, "ok", f"{found}; compiled at the first start")
    return Check(title, "absent", f"no C++ compiler '{compiler}': apt install g++")


def check_gpu() -> Check:
    from orpose_models.runtime.cuda_runtime import CudaRuntime

    try:
        cuda = CudaRuntime()
        text = f"{cuda.device_name()}, compute capability {cuda.compute_capability() / 10:.1f}"
    except OrposeError as error:
        return Check("GPU", "absent", str(error))
    return Check("GPU", "ok", text)


def check_engine_cache() -> Check:
    """Where built engines are kept, and whether they can be."""
    from orpose_models.runtime.engine_cache import EngineCache

    folder = EngineCache(RuntimeConfig().engine_cache).folder
    engines = list(folder.glob("*.engine"))
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(parent, os.W_OK):
        return Check("engine cache", "absent", f"{folder}: cannot be written, engines are built at every start")
    return Check("engine cache", "ok", f"{folder}: {len(engines)} engines")


def check_ros() -> list[Check]:
    """ROS 2, our messages, and what is known to go wrong with them."""
    if importlib.util.find_spec("rclpy") is None:
        return [Check("rclpy", "absent", "no ROS 2 in this Python: `make .venv`, or source /opt/ros/.../setup.bash")]
    return [check_rclpy(), check_messages(), check_cv_bridge(), check_transport()]


def check_rclpy() -> Check:
    try:
        middleware = importlib.import_module("rclpy").get_rmw_implementation_identifier()
    except Exception as error:  # a missing shared library, an RMW_IMPLEMENTATION that is not there
        return Check("rclpy", "BROKEN", f"{type(error).__name__}: {' '.join(str(error).split())}")
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    return Check("rclpy", "ok", f"{_version('rclpy')}, middleware {middleware}, domain {domain}")


def check_messages() -> Check:
    try:
        messages = importlib.import_module("orpose_msgs.msg")
        messages.PersonArray()
    except Exception as error:
        return Check("orpose_msgs", "BROKEN", f"{error}: `make msgs`, or build and source your colcon workspace")
    return Check("orpose_msgs", "ok", "importable")


def check_cv_bridge() -> Check:
    """Never imported here: with a numpy it was not built for, it ends the process."""
    if importlib.util.find_spec("cv_bridge") is None:
        return Check("cv_bridge", "absent", "not needed: rosbags-image converts the images")
    numpy_major = int(_version("numpy").split(".")[0])
    if numpy_major >= _CRASHING_NUMPY:
        advice = "rosbags-image converts the images instead; for cv_bridge: pip install 'numpy<2'"
        return Check("cv_bridge", "absent", f"not used, it crashes with numpy {_version('numpy')}: {advice}")
    return Check("cv_bridge", "ok", "converts the images")


def check_transport() -> Check:
    transports = os.environ.get("FASTDDS_BUILTIN_TRANSPORTS", "default")
    advice = (
        "large raw images need a camera driver that publishes reliably, or config/fastdds.xml as its "
        "FASTDDS_DEFAULT_PROFILES_FILE (LARGE_DATA only finds others with LARGE_DATA); /diagnostics counts what is lost"
    )
    return Check("image transport", "ok", f"Fast DDS transports: {transports}; {advice}")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "version unknown"
