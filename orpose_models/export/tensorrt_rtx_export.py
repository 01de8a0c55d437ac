"""Student -> TensorRT-RTX engine, built ahead of time for a kind of GPU; no GPU is needed to build it."""

from __future__ import annotations

from pathlib import Path

import tensorrt_rtx_bindings as trt

from orpose_models.export.config import ExportConfig
from orpose_models.export.engine import build_engine
from orpose_models.export.metadata import ModelMetadata, write_description
from orpose_models.export.onnx_export import temporary_graph
from orpose_models.network.student import Student


def write(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes the engine and its description.

    Raises:
        ConfigError: More slots than the preset has proposals, or weights beyond float16's range.
        ModelError: The graph fails a check, or TensorRT-RTX cannot take it.
    """

    def for_gpu(builder_config: trt.IBuilderConfig) -> None:
        builder_config.num_compute_capabilities = 1
        builder_config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{config.sm}"), 0)

    with temporary_graph(student, path.parent, config, model_id) as (graph, metadata):
        engine = build_engine(trt, graph, for_gpu)
    path.write_bytes(engine.plan)
    facts = {"built_by": f"tensorrt_rtx {trt.__version__}", "gpu": f"sm{config.sm}", "heavy_layers": engine.types()}
    write_description(path, metadata, facts)
    return metadata
