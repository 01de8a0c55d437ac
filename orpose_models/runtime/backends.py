"""What runs the network: one small class per library, imported only when asked for."""

from __future__ import annotations

import importlib
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import BackendError
from orpose_models.runtime.config import BackendName
from orpose_models.runtime.models import ModelInfo

BACKEND_NAMES: tuple[str, ...] = get_args(BackendName)

#: Backend -> (module with `load(model, threads)`, the library it needs, how to install that).
_BACKENDS = {
    "onnxruntime": ("orpose_models.runtime.backend_onnxruntime", "onnxruntime", "pip install onnxruntime"),
    "openvino": ("orpose_models.runtime.backend_openvino", "openvino", "pip install 'orpose[openvino]'"),
    "torch": ("orpose_models.runtime.backend_torch", "torch", "pip install 'orpose[train]'"),
}

Outputs = dict[str, NDArray]


class Backend(Protocol):
    """A loaded network."""

    name: str
    info: ModelInfo

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        """Runs the network.

        Args:
            images: `(1, H, W, 3)` uint8 BGR, letterboxed to the input size, C-contiguous.

        Returns:
            Name -> array, coordinates in network-input px (left edge 0, right edge W): `boxes` `(1, P, 4)` x1 y1 x2 y2,
            `scores` `(1, P)`, `valid` `(1, P)`, `keypoints` `(1, P, 17, 3)`, `keypoints_3d` `(1, P, 17, 4)` in mm,
            `nms_converged` `(1,)`.
        """
        ...


def load_backend(name: str, model: str, threads: int) -> Backend:
    """Loads a model into a backend.

    Args:
        name: One of `BACKEND_NAMES`.
        model: A shipped model's name or a path.
        threads: Processor threads, 0 = all cores.

    Raises:
        BackendError: An unknown backend, or one whose library is not installed.
        ModelError: A model file that is missing, corrupt or not ours.
    """
    if name not in _BACKENDS:
        raise BackendError(f"unknown backend '{name}', expected one of {', '.join(BACKEND_NAMES)}")
    module_name, library, install = _BACKENDS[name]
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise BackendError(f"backend '{name}' needs {library}, which cannot be imported ({error}): {install}") from None
    backend: Backend = importlib.import_module(module_name).load(model, threads)
    return backend
