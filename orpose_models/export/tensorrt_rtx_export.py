"""Student -> TensorRT-RTX engine, built ahead of time for a kind of GPU; no GPU is needed to build it."""

from __future__ import annotations

from pathlib import Path

import tensorrt_rtx_bindings as trt

from orpose_models.export.config import ExportConfig
from orpose_models.export.metadata import ModelMetadata, write_description
from orpose_models.export.onnx_export import temporary_graph
from orpose_models.network.student import Student
from orpose_models.runtime.tensorrt_build import build_engine


def write(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes the engine and its description.

    Raises:
        BackendError: TensorRT-RTX does not build for this GPU.
        ConfigError: More slots than the preset has proposals, or weights beyond float16's range.
        ModelError: The graph fails a check, or TensorRT-RTX cannot take it.
    """
    with temporary_graph(student, path.parent, config, model_id) as (graph, metadata):
        engine = build_engine(trt, graph, int(config.sm or 0))
    path.write_bytes(engine.content)
    metadata = metadata.model_copy(update={"precision": engine.precision})
    write_description(path, metadata, {"built_by": f"tensorrt_rtx {trt.__version__}", "gpu": f"sm{config.sm}"})
    return metadata
