"""PyTorch on the processor: the static network from a .safetensors file. For comparison; needs the training install."""

from __future__ import annotations

import os

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.network import load_student
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.weights import file_sha256
from orpose_models.runtime.backends import Outputs
from orpose_models.runtime.models import OUTPUT_NAMES, REFERENCE_INPUT_SIZE, ModelInfo, find_model


class TorchBackend:
    """See `Backend`."""

    name = "torch"

    def __init__(self, network: StaticStudent, info: ModelInfo) -> None:
        self._network = network
        self.info = info

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        # torch wants to own what it may write to; an image straight out of a message is read-only.
        writable = images if images.flags.writeable else images.copy()
        with torch.inference_mode():
            outputs = self._network(torch.from_numpy(writable))
        return {name: value.numpy() for name, value in zip(OUTPUT_NAMES, outputs, strict=True)}


def load(model: str, threads: int) -> TorchBackend:
    """Loads a .safetensors file. The number of threads holds for all of torch in this process.

    Raises:
        ModelError: The file is missing, corrupt or not ours.
    """
    path = find_model(model, ".safetensors")
    network = StaticStudent(load_student(path), REFERENCE_INPUT_SIZE).eval()
    torch.set_num_threads(threads or os.cpu_count() or 1)
    info = ModelInfo(
        model_id=f"{path.stem}@{file_sha256(path)[:8]}",
        preset=network.preset.name,
        input_size=network.input_size,
        max_persons=network.max_persons,
        precision="fp32",
    )
    return TorchBackend(network, info)
