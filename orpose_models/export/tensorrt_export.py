"""Student -> TensorRT engine, for the GPU of the machine that builds it and its version of TensorRT."""

from __future__ import annotations

from pathlib import Path

from orpose_models.errors import ModelError
from orpose_models.export.config import ExportConfig
from orpose_models.export.metadata import ModelMetadata, write_description
from orpose_models.export.onnx_export import temporary_graph
from orpose_models.network.student import Student
from orpose_models.runtime.backends import import_library
from orpose_models.runtime.cuda_runtime import CudaRuntime
from orpose_models.runtime.tensorrt_build import build_engine, make_log


def write(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes the engine and its description, and loads what was written.

    Raises:
        BackendError: No GPU, or TensorRT does not build for it.
        ConfigError: More slots than the preset has proposals, or weights beyond float16's range.
        ModelError: The graph fails a check, or TensorRT cannot take it or load what it built.
    """
    trt, device = import_library("tensorrt"), CudaRuntime().device()  # no GPU: said before the work
    with temporary_graph(student, path.parent, config, model_id) as (graph, metadata):
        engine = build_engine(trt, graph)
    path.write_bytes(engine.content)
    log = make_log(trt)
    if trt.Runtime(log).deserialize_cuda_engine(path.read_bytes()) is None:
        raise ModelError(f"{path}: TensorRT {trt.__version__} cannot load the engine it just built ({log.reason()})")
    metadata = metadata.model_copy(update={"precision": engine.precision})
    write_description(path, metadata, {"built_by": f"tensorrt {trt.__version__}", "gpu": device})
    return metadata
