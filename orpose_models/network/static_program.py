"""The static network as one exported program, and compiled by Torch-TensorRT: for exports and for the runtime alike."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from orpose_models.network.static_student import StaticStudent


def grey_image(static: StaticStudent) -> Tensor:
    """`(B, H, W, 3)` uint8 on the processor: what exporters trace with and checks run with."""
    width, height = static.image_size
    return torch.full((static.batch, height, width, 3), 128, dtype=torch.uint8)


class PlainOutputs(nn.Module):
    """The static network with a plain tuple of outputs, which any reader of an exported program knows."""

    def __init__(self, static: StaticStudent) -> None:
        super().__init__()
        self.static = static

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.static(image))


def export_program(static: StaticStudent) -> torch.export.ExportedProgram:
    """The whole network as one exported program on its own device: `image` -> six tensors in the order of `Poses`."""
    image = grey_image(static).to(static.mean_row.device)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, none of which a user can mend
        return torch.export.export(PlainOutputs(static), (image,), strict=False)


def compile_with_torch_tensorrt(torch_tensorrt: ModuleType, static: StaticStudent) -> Any:
    """The network on the GPU as one TensorRT engine in a program; no part of it silently stays in torch."""
    return torch_tensorrt.dynamo.compile(
        export_program(static),
        arg_inputs=[grey_image(static).cuda()],
        require_full_compilation=True,
        min_block_size=1,
        use_explicit_typing=True,  # float16 exactly where the graph has it
        disable_tf32=True,
    )
