"""ONNX Runtime on the processor: the default, embedded backend."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from orpose_models.errors import ModelError
from orpose_models.runtime.backends import Outputs
from orpose_models.runtime.models import INPUT_NAME, OUTPUT_NAMES, ModelInfo, check_interface, find_model, first_line

#: Of ONNX Runtime's own log: only what is fatal. Errors come as exceptions.
_LOG_FATAL = 4


class OnnxRuntimeBackend:
    """See `Backend`."""

    name = "onnxruntime"

    def __init__(self, session: onnxruntime.InferenceSession, info: ModelInfo) -> None:
        self._session = session
        self.info = info

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        return dict(zip(OUTPUT_NAMES, self._session.run(OUTPUT_NAMES, {INPUT_NAME: images}), strict=True))


def load(model: str, threads: int) -> OnnxRuntimeBackend:
    """Loads an exported .onnx file.

    Raises:
        ModelError: The file is missing, corrupt or not ours.
    """
    path = find_model(model, ".onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _LOG_FATAL
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise ModelError(f"{path}: ONNX Runtime cannot load it, is the file complete? ({first_line(error)})") from None
    info = ModelInfo.from_metadata(session.get_modelmeta().custom_metadata_map, path)
    inputs = {node.name: tuple(node.shape) for node in session.get_inputs()}
    check_interface(inputs, {node.name: node for node in session.get_outputs()}, info, path)
    return OnnxRuntimeBackend(session, info)
