"""Torch-TensorRT: a .safetensors file compiled ahead of time into one engine, kept in the engine cache."""

from __future__ import annotations

import dataclasses
import importlib
import io
import tempfile
import warnings
from pathlib import Path
from types import ModuleType

import torch

from orpose_models.errors import BackendError
from orpose_models.network.static_program import compile_with_torch_tensorrt, grey_image
from orpose_models.network.static_student import StaticStudent
from orpose_models.runtime.backend_torch_network import (
    Network,
    TorchBackend,
    check_gpu,
    load_network,
    model_info,
    network_sha256,
)
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.engine_cache import Engine, EngineCache, EngineKey, UnusableEngineError
from orpose_models.runtime.models import first_line


def load(config: RuntimeConfig) -> TorchBackend:
    """Loads the compiled program of a .safetensors file, or compiles it first.

    Raises:
        BackendError: No GPU, or Torch-TensorRT cannot build for it.
        ModelError: The file is missing, corrupt or not ours.
    """
    check_gpu("torch-tensorrt")
    library = importlib.import_module("torch_tensorrt")  # registers the operator that runs engines
    path, network = load_network(config, "cuda")
    width, height = network.input_size
    major, minor = torch.cuda.get_device_capability()
    key = EngineKey(
        "torch-tensorrt",
        f"{library.__version__} torch {torch.__version__}",
        f"sm{major}{minor} {torch.cuda.get_device_name()}",
        network_sha256(path),
        "fp32",
        (1, height, width, 3),
    )
    cached = EngineCache(config.engine_cache).get(key, lambda: _build(library, network), _load_program)
    info = dataclasses.replace(model_info(path, network, cached.origin), precision=cached.precision)
    return TorchBackend("torch-tensorrt", cached.loaded, info, "cuda")


def probe() -> str:
    """What would be used, without building anything.

    Raises:
        BackendError: No GPU.
    """
    check_gpu("torch-tensorrt")
    return f"Torch-TensorRT {importlib.import_module('torch_tensorrt').__version__}, {torch.cuda.get_device_name()}"


def _build(library: ModuleType, network: StaticStudent) -> Engine:
    image = grey_image(network).cuda()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the libraries, none of which a user can mend
        path = Path(folder) / "network.ep"
        try:
            compiled = compile_with_torch_tensorrt(library, network)
            library.save(compiled, str(path), output_format="exported_program", arg_inputs=[image])
        except Exception as error:  # of TensorRT, of its converters
            raise BackendError(
                f"backend 'torch-tensorrt': Torch-TensorRT {library.__version__} cannot compile the network "
                f"({first_line(error)})"
            ) from None
        return Engine(path.read_bytes(), "fp32")


def _load_program(content: bytes) -> Network:
    try:
        network: Network = torch.export.load(io.BytesIO(content)).module()
    except Exception as error:  # a version that reads the format no more, an engine TensorRT refuses
        raise UnusableEngineError(f"Torch-TensorRT refuses it ({first_line(error)})") from None
    return network
