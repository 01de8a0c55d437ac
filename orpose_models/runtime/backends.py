"""What runs the network: one small class per library, imported only when asked for."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import BackendError
from orpose_models.runtime.config import BackendName, RuntimeConfig
from orpose_models.runtime.models import ModelInfo

BACKEND_NAMES: tuple[str, ...] = get_args(BackendName)


class _Source(NamedTuple):
    """Module with `load(config)`, the library it needs, how to install that."""

    module: str
    library: str
    install: str


_BACKENDS: dict[str, _Source] = {
    "onnxruntime": _Source("backend_onnxruntime", "onnxruntime", "pip install onnxruntime"),
    "openvino": _Source("backend_openvino", "openvino", "pip install 'orpose[openvino]'"),
    "torch": _Source("backend_torch", "torch", "pip install 'orpose[train]'"),
    "torch-tensorrt": _Source(
        "backend_torch_tensorrt",
        "torch_tensorrt",
        "pip install 'orpose[torch-tensorrt]' on a machine with an NVIDIA GPU",
    ),
    "tensorrt": _Source(
        "backend_tensorrt",
        "tensorrt",
        "on a Jetson it comes with JetPack (apt install python3-libnvinfer), elsewhere pip install 'orpose[tensorrt]'",
    ),
}

Outputs = dict[str, NDArray]


class Backend(Protocol):
    """A loaded network.

    Attributes:
        name: Backend and what it computes with, `onnxruntime (cuda)`.
        info: The model's own facts, and the precision and engine really used.
    """

    name: str
    info: ModelInfo

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        """Runs the network.

        Args:
            images: `(B, H, W, 3)` uint8 BGR, letterboxed to the input size, C-contiguous; B is `info.batch`.

        Returns:
            Name -> array, coordinates in network-input px (left edge 0, right edge W): `boxes` `(B, P, 4)` x1 y1 x2 y2,
            `scores` `(B, P)`, `valid` `(B, P)`, `keypoints` `(B, P, 17, 3)`, `keypoints_3d` `(B, P, 17, 4)` in mm,
            `nms_converged` `(B,)`.
        """
        ...


def load_backend(config: RuntimeConfig) -> Backend:
    """Loads a model into a backend; where the backend works with built engines, builds one that is not there yet.

    Raises:
        BackendError: A backend, device or provider that is not installed or not there.
        ModelError: A model file that is missing, corrupt or not ours.
    """
    backend: Backend = _module(config.backend).load(config)
    return backend


def probe_backend(name: BackendName, *arguments: str) -> str:
    """Which version and GPU a backend with built engines would use; builds and loads nothing.

    Args:
        name: The backend.
        arguments: For onnxruntime, the provider.

    Raises:
        BackendError: Its library is not installed, or there is no GPU.
    """
    text: str = _module(name).probe(*arguments)
    return text


def import_library(name: str) -> ModuleType:
    """Imports what a backend needs. TensorRT is also found where only its bindings are installed: pip's package
    tensorrt-cu12-bindings has the module `tensorrt_bindings`, and `tensorrt`, which only imports that, is a package of
    its own.

    Raises:
        ImportError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        if name != "tensorrt" or importlib.util.find_spec("tensorrt_bindings") is None:
            raise
    return importlib.import_module("tensorrt_bindings")


def _module(name: str):  # type: ignore[no-untyped-def]
    source = _BACKENDS[name]
    try:
        import_library(source.library)
    except Exception as error:  # also OSError and RuntimeError: a library or driver below it is missing
        reason = " ".join(str(error).split())
        raise BackendError(
            f"backend '{name}' needs {source.library}, which cannot be imported ({reason}): {source.install}"
        ) from None
    return importlib.import_module(f"orpose_models.runtime.{source.module}")
