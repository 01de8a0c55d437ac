"""What backend torch and Torch-TensorRT have in common: the network of a .safetensors file, and how it is called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.errors import BackendError, ModelError
from orpose_models.files import file_sha256, sources_sha256
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.weights import load_student, read_input_size
from orpose_models.runtime.backends import Outputs
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.models import OUTPUT_NAMES, REFERENCE_INPUT_SIZE, ModelInfo, find_model

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


def load_network(config: RuntimeConfig, device: str) -> tuple[Path, StaticStudent]:
    """The model file and the network in it, in the configuration's precision, size and batch, on a device.

    Raises:
        ModelError: The file is missing, corrupt or not ours, or its weights are beyond float16's range.
    """
    path = find_model(config.model, ".safetensors")
    student, float16 = load_student(path), config.torch_precision == "fp16"
    size = config.torch_size or read_input_size(path) or REFERENCE_INPUT_SIZE
    try:
        network = StaticStudent(student, size, config.torch_batch, float16=float16)
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


def network_sha256(path: Path) -> str:
    """Of the network in a file: of weights, with the code that makes a network of them."""
    if path.suffix != ".safetensors":
        return file_sha256(path)
    return hashlib.sha256(f"{file_sha256(path)} {sources_sha256('network')}".encode()).hexdigest()
