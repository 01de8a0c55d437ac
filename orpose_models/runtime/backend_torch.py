"""PyTorch: the static network from a .safetensors file, eager or compiled. Needs the training install.

Compiled for the processor, the network is a package of machine code (AOTInductor) that the engine cache keeps, so that
only the first start compiles. For a GPU see backend_torch_cuda.py.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.errors import BackendError, ModelError
from orpose_models.files import file_sha256
from orpose_models.network import load_student
from orpose_models.network.static_program import export_program, grey_image
from orpose_models.network.static_student import StaticStudent
from orpose_models.runtime.backends import Outputs
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.engine_cache import CachedEngine, Engine, EngineCache, EngineKey, UnusableEngineError
from orpose_models.runtime.models import OUTPUT_NAMES, REFERENCE_INPUT_SIZE, ModelInfo, find_model, first_line

Network = Callable[[torch.Tensor], Sequence[torch.Tensor]]

_PRECISIONS = {torch.float32: "fp32", torch.float16: "fp16, boxes in fp32", torch.bfloat16: "bf16"}


class TorchBackend:
    """See `Backend`."""

    def __init__(self, name: str, network: Network, info: ModelInfo, device: str) -> None:
        self.name = name
        self.info = info
        self._network = network
        self._device = device

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        # torch wants to own what it may write to; an image straight out of a message is read-only.
        writable = images if images.flags.writeable else images.copy()
        with torch.inference_mode():
            outputs = self._network(torch.from_numpy(writable).to(self._device))
            return {name: value.cpu().numpy() for name, value in zip(OUTPUT_NAMES, outputs, strict=True)}


def load(config: RuntimeConfig) -> TorchBackend:
    """Loads a .safetensors file. The number of threads holds for all of torch in this process.

    Raises:
        BackendError: No GPU, or no C++ compiler.
        ModelError: The file is missing, corrupt or not ours.
    """
    if config.torch_device == "cuda":
        from orpose_models.runtime import backend_torch_cuda

        return backend_torch_cuda.load(config)
    path, network = load_network(config, "cpu")
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    if config.torch_mode == "eager":
        return TorchBackend("torch", network, model_info(path, network), "cpu")
    compiled = _compiled_for_the_processor(path, network, config)
    return TorchBackend("torch (compile, cpu)", compiled.loaded, model_info(path, network, compiled.origin), "cpu")


def load_network(config: RuntimeConfig, device: str) -> tuple[Path, StaticStudent]:
    """The model file and the network in it, in the configuration's precision and batch, on a device.

    Raises:
        ModelError: The file is missing, corrupt or not ours, or its weights are beyond float16's range.
    """
    path = find_model(config.model, ".safetensors")
    float16 = config.torch_precision == "fp16"
    try:
        network = StaticStudent(load_student(path), REFERENCE_INPUT_SIZE, config.torch_batch, float16=float16)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from None
    return path, network.eval().to(device)


def model_info(path: Path, network: StaticStudent, engine: str = "") -> ModelInfo:
    dtype = next(network.parameters()).dtype
    return ModelInfo(
        model_id=f"{path.stem}@{file_sha256(path)[:8]}",
        preset=network.preset.name,
        input_size=network.input_size,
        max_persons=network.max_persons,
        precision=_PRECISIONS.get(dtype, str(dtype)),
        engine=engine,
        batch=network.batch,
    )


def check_gpu(backend: str) -> None:
    """Raises BackendError where torch sees no GPU; else makes float32 mean float32 there."""
    if not torch.cuda.is_available():
        raise BackendError(
            f"backend '{backend}': torch {torch.__version__} sees no CUDA GPU; is the driver installed, and "
            "the GPU shared with this container?"
        )
    torch.backends.cudnn.allow_tf32 = False  # convolutions would have 10 bits of mantissa


def _compiled_for_the_processor(path: Path, network: StaticStudent, config: RuntimeConfig) -> CachedEngine[Network]:
    key = EngineKey(
        "torch",
        torch.__version__,
        f"{processor()} {torch.get_num_threads()} threads",  # both are in the machine code
        file_sha256(path),
        "fp32",
        tuple(grey_image(network).shape),
    )
    return EngineCache(config.engine_cache).get(key, lambda: _compile(network), _load_package)


def _compile(network: StaticStudent) -> Engine:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch, none of which a user can mend
        package = Path(folder) / "network.pt2"
        try:
            torch._inductor.aoti_compile_and_package(export_program(network), package_path=str(package))
        except Exception as error:  # of the compiler, of Inductor
            raise BackendError(
                f"backend 'torch': torch {torch.__version__} cannot compile the network ({first_line(error)}); "
                "it needs a C++ compiler: apt install g++, or torch_mode eager"
            ) from None
        return Engine(package.read_bytes(), "fp32")


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
