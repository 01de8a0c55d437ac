"""ONNX Runtime on the processor: the default, embedded backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from orpose_models.errors import ModelError
from orpose_models.runtime.backends import Outputs
from orpose_models.runtime.models import INPUT_NAME, OUTPUT_NAMES, ModelInfo, check_interface, find_model, first_line
from orpose_models.runtime.person_buckets import (
    FOUND_NAMES,
    POSE_NAMES,
    Arrays,
    BucketBackend,
    check_parts,
    poses_file,
    second_graph,
)

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


def load(model: str, threads: int) -> OnnxRuntimeBackend | BucketBackend:
    """Loads an exported .onnx file, or two that belong together.

    Raises:
        ModelError: A file is missing, corrupt or not ours.
    """
    path = find_model(model, ".onnx")
    session = _session(path, threads, takes_turns=poses_file(path).is_file())
    metadata = session.get_modelmeta().custom_metadata_map
    info = ModelInfo.from_metadata(metadata, path)
    outputs = {node.name: node for node in session.get_outputs()}
    if poses := second_graph(metadata, path):
        second = _session(poses, threads, takes_turns=True)
        second_info = ModelInfo.from_metadata(second.get_modelmeta().custom_metadata_map, poses)
        check_parts(path, info, outputs, poses, second_info)
        return BucketBackend("onnxruntime", info, _Runner(session, FOUND_NAMES), _Runner(second, POSE_NAMES))
    inputs = {node.name: tuple(node.shape) for node in session.get_inputs()}
    check_interface(inputs, outputs, info, path)
    return OnnxRuntimeBackend(session, info)


class _Runner:
    """A session as a function of arrays by name."""

    def __init__(self, session: onnxruntime.InferenceSession, names: tuple[str, ...]) -> None:
        self._session, self._names = session, list(names)

    def __call__(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._names, self._session.run(self._names, dict(inputs)), strict=True))


def _session(path: Path, threads: int, *, takes_turns: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _LOG_FATAL
    if takes_turns:  # the threads of the session that waits must not spin on the other's cores
        options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise ModelError(f"{path}: ONNX Runtime cannot load it, is the file complete? ({first_line(error)})") from None
