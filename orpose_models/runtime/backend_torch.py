"""PyTorch: the static network from a .safetensors or .pt2 file, eager or compiled. Needs the training install.

Compiled for the processor, the network is a package of machine code (AOTInductor) that the engine cache keeps, so that
only the first start compiles. For a GPU see backend_torch_cuda.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import platform
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from orpose_models.errors import BackendError
from orpose_models.network.static_program import export_program
from orpose_models.runtime import backend_torch_cuda
from orpose_models.runtime.backend_torch_network import (
    Network,
    TorchBackend,
    load_network,
    model_info,
    network_sha256,
)
from orpose_models.runtime.backend_torch_program import read_program
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.engine_cache import CachedEngine, Engine, EngineCache, EngineKey, UnusableEngineError
from orpose_models.runtime.models import ModelInfo, first_line


def load(config: RuntimeConfig) -> TorchBackend:
    """Loads a .safetensors or .pt2 file. The number of threads holds for all of torch in this process.

    Raises:
        BackendError: No GPU, or no C++ compiler.
        ConfigError: An option that a .pt2 file has decided already.
        ModelError: The file is missing, corrupt or not ours.
    """
    if Path(config.model).suffix == ".pt2":
        path, program, info = read_program(config)
        return _on_the_processor(path, program.module(), lambda: program, info, config)
    if config.torch_device == "cuda":
        return backend_torch_cuda.load(config)
    path, network = load_network(config, "cpu")
    return _on_the_processor(path, network, lambda: export_program(network), model_info(path, network), config)


def _on_the_processor(
    path: Path,
    network: Network,
    program: Callable[[], torch.export.ExportedProgram],
    info: ModelInfo,
    config: RuntimeConfig,
) -> TorchBackend:
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    if config.torch_mode == "eager":
        return TorchBackend("torch", network, info, "cpu")
    compiled = _compiled(path, program, info, config)
    return TorchBackend(
        "torch (compile, cpu)", compiled.loaded, dataclasses.replace(info, engine=compiled.origin), "cpu"
    )


def _compiled(
    path: Path, program: Callable[[], torch.export.ExportedProgram], info: ModelInfo, config: RuntimeConfig
) -> CachedEngine[Network]:
    width, height = info.input_size
    key = EngineKey(
        "torch",
        torch.__version__,
        f"{processor()} {torch.get_num_threads()} threads",  # both are in the machine code
        network_sha256(path),
        info.precision,
        (info.batch, height, width, 3),
    )
    return EngineCache(config.engine_cache).get(key, lambda: _compile(program, info.precision), _load_package)


def _compile(program: Callable[[], torch.export.ExportedProgram], precision: str) -> Engine:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch, none of which a user can mend
        package = Path(folder) / "network.pt2"
        try:
            torch._inductor.aoti_compile_and_package(program(), package_path=str(package))
        except Exception as error:  # of the compiler, of Inductor
            raise BackendError(
                f"backend 'torch': torch {torch.__version__} cannot compile the network ({first_line(error)}); "
                "it needs a C++ compiler: apt install g++, or torch_mode eager"
            ) from None
        return Engine(package.read_bytes(), precision)


def _load_package(content: bytes) -> Network:
    try:
        network: Network = torch._inductor.aoti_load_package(io.BytesIO(content))
    except RuntimeError as error:
        raise UnusableEngineError(f"torch refuses it ({first_line(error)})") from None
    return network


def processor() -> str:
    """The processor's name and features: machine code for another one may crash."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.exists() else []
    facts = dict(line.split("\t", 1) for line in lines if "\t" in line)
    name = facts.get("model name", platform.processor()).strip("\t :")
    features = facts.get("flags", facts.get("Features", ""))
    return f"{platform.machine()} {name} {hashlib.sha256(features.encode()).hexdigest()[:8]}"
