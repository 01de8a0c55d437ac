"""Student -> OpenVINO's intermediate representation (.xml and .bin), through the ONNX graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino

from orpose_models.errors import ModelError
from orpose_models.export.config import ExportConfig
from orpose_models.export.metadata import ModelMetadata
from orpose_models.export.onnx_export import temporary_graph
from orpose_models.files import file_sha256
from orpose_models.network.student import Student
from orpose_models.runtime.backend_openvino import CORE
from orpose_models.runtime.description import BIN_SHA256_KEY


def write(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes both files, with the types that the graph has, and runs what was written.

    Raises:
        ConfigError: More slots than the preset has proposals, or weights beyond float16's range.
        ModelError: The graph fails a check, or OpenVINO cannot take it.
    """
    with temporary_graph(student, path.parent, config, model_id) as (graph, metadata):
        try:
            model = CORE.read_model(str(graph))
            for name, value in metadata.as_properties().items():
                model.set_rt_info(value, ["framework", name])  # where the runtime finds an ONNX file's, too
            openvino.save_model(model, str(path), compress_to_fp16=False)
            # Now the .bin is known, which the .xml names: two files of different exports would run, too.
            model.set_rt_info(file_sha256(path.with_suffix(".bin")), ["framework", BIN_SHA256_KEY])
            openvino.save_model(model, str(path), compress_to_fp16=False)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot convert the graph: {' '.join(str(error).split())[:300]}") from None
    _run_once(path)
    return metadata


def _run_once(path: Path) -> None:
    try:
        compiled = CORE.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        answers = compiled([np.full(tuple(compiled.input(0).shape), 128, np.uint8)])
    except RuntimeError as error:
        raise ModelError(f"{path}: OpenVINO cannot run it: {' '.join(str(error).split())[:300]}") from None
    for port, values in answers.items():
        if not np.isfinite(values).all():
            raise ModelError(f"{path}: output {port.any_name!r} is not finite; were the weights trained?")
