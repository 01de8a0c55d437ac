"""Student -> TensorRT engine, for the GPU of the machine that builds it and its version of TensorRT."""

from __future__ import annotations

from pathlib import Path

import tensorrt as trt

from orpose_models.errors import BackendError, ModelError
from orpose_models.export.config import ExportConfig
from orpose_models.export.engine import build_engine
from orpose_models.export.metadata import ModelMetadata, write_description
from orpose_models.export.onnx_export import temporary_graph
from orpose_models.network.student import Student


def write(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes the engine and its description, and loads what was written.

    Raises:
        BackendError: No GPU.
        ConfigError: More slots than the preset has proposals, or weights beyond float16's range.
        ModelError: The graph fails a check, or TensorRT cannot take it.
    """
    with temporary_graph(student, path.parent, config, model_id) as (graph, metadata):
        try:
            engine = build_engine(trt, graph)
        except TypeError as error:  # the Builder without a GPU
            raise BackendError(f"--format tensorrt builds on the GPU it is for: none found ({error})") from None
    path.write_bytes(engine.plan)
    if trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(path.read_bytes()) is None:
        raise ModelError(f"{path}: TensorRT {trt.__version__} cannot load the engine it just built")
    write_description(path, metadata, {"built_by": f"tensorrt {trt.__version__}", "heavy_layers": engine.types()})
    return metadata
