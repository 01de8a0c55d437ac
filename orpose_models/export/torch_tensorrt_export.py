"""Student -> a program whose network is one Torch-TensorRT engine (.pt2), for the GPU of the machine that builds it."""

from __future__ import annotations

from pathlib import Path

import torch
import torch_tensorrt

from orpose_models.errors import BackendError, ModelError
from orpose_models.export.config import ExportConfig
from orpose_models.export.metadata import ModelMetadata, write_description
from orpose_models.export.static_graph import build_static, describe
from orpose_models.network.static_program import compile_with_torch_tensorrt, grey_image
from orpose_models.network.student import Student


def write(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes the program and its description, loads it again and compares its answer.

    Raises:
        BackendError: No GPU.
        ConfigError: More slots than the preset has proposals, or weights beyond float16's range.
        ModelError: What was loaded answers otherwise.
    """
    if not torch.cuda.is_available():
        raise BackendError("--format torch-tensorrt compiles on the GPU it is for: torch finds none here")
    static = build_static(student, config).cuda()
    image = grey_image(static).cuda()
    compiled = compile_with_torch_tensorrt(torch_tensorrt, static)
    torch_tensorrt.save(compiled, str(path), output_format="exported_program", arg_inputs=[image])
    with torch.no_grad():
        expected, got = compiled(image), torch_tensorrt.load(str(path)).module()(image)
    if not all(torch.equal(a, b) for a, b in zip(got, expected, strict=True)):
        raise ModelError(f"{path}: the saved program does not answer as the compiled one does")
    metadata = describe(static, config, model_id)
    facts = {"built_by": f"torch_tensorrt {torch_tensorrt.__version__}", "gpu": torch.cuda.get_device_name()}
    write_description(path, metadata, facts)
    return metadata
