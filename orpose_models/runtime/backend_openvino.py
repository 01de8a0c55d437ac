"""OpenVINO on the processor, in float32. Loading takes a second: importing a compiled model is no faster."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from orpose_models.errors import ModelError
from orpose_models.files import file_sha256
from orpose_models.runtime.backends import Outputs
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.description import BIN_SHA256_KEY
from orpose_models.runtime.models import INPUT_NAME, OUTPUT_NAMES, ModelInfo, check_interface, find_model, first_line
from orpose_models.runtime.person_buckets import (
    FOUND_NAMES,
    POSE_NAMES,
    Arrays,
    BucketBackend,
    check_parts,
    second_graph,
)

#: Layers in which nearly all arithmetic is; their type is the precision that is reported.
_HEAVY = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
_PRECISIONS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}

#: The only one of the process, never closed. The first model on the CPU gives its thread a signal stack that goes with
#: the Core. Of two Cores closed in the order they were made, the second puts back the first's, which is gone: the next
#: signal, Ctrl-C too, would end the process with a segmentation fault.
CORE = openvino.Core()


class OpenVinoBackend:
    """See `Backend`."""

    name = "openvino"

    def __init__(self, compiled: openvino.CompiledModel, info: ModelInfo) -> None:
        self._request = compiled.create_infer_request()
        self.info = info

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        # Inputs are shared, not copied; outputs are copied, so that a result survives the next frame.
        outputs = self._request.infer({INPUT_NAME: images}, share_inputs=True, share_outputs=False)
        return {name: outputs[name] for name in OUTPUT_NAMES}


def load(config: RuntimeConfig) -> OpenVinoBackend | BucketBackend:
    """Loads an exported .onnx file, or two that belong together, or an exported .xml file with its .bin.

    Raises:
        ModelError: A file is missing, corrupt or not ours.
    """
    path = find_model(config.model, ".onnx", ".xml")
    weights = path.with_suffix(".bin")
    if path.suffix == ".xml" and not weights.is_file():
        raise ModelError(f"{path}: {weights.name} is not beside it; copy both files, or export again")
    compiled, metadata = _compile(path, config.threads)
    if BIN_SHA256_KEY in metadata and metadata[BIN_SHA256_KEY] != file_sha256(weights):
        raise ModelError(f"{weights}: damaged, or of another .xml than {path.name}; copy both files, or export again")
    info = ModelInfo.from_metadata(metadata, path)
    info = dataclasses.replace(info, precision=_precision(compiled, info.precision))
    outputs = {name: port for port in compiled.outputs for name in port.names}
    if poses := second_graph(metadata, path):
        second, second_metadata = _compile(poses, config.threads)
        pose_inputs = [port.any_name for port in second.inputs]
        check_parts(path, info, outputs, poses, ModelInfo.from_metadata(second_metadata, poses), pose_inputs)
        backend = BucketBackend("openvino", info, _Runner(compiled, FOUND_NAMES), _Runner(second, POSE_NAMES))
        backend.warm_up()  # a new size takes OpenVINO many times as long
        return backend
    check_interface({port.any_name: _shape(port) for port in compiled.inputs}, outputs, info, path)
    return OpenVinoBackend(compiled, info)


def _shape(port: Any) -> tuple[int | None, ...]:
    return tuple(None if side.is_dynamic else side.get_length() for side in port.partial_shape)


class _Runner:
    """A compiled model as a function of arrays by name."""

    def __init__(self, compiled: openvino.CompiledModel, names: tuple[str, ...]) -> None:
        self._request, self._names = compiled.create_infer_request(), names

    def __call__(self, inputs: Arrays) -> Arrays:
        outputs = self._request.infer(dict(inputs), share_inputs=True, share_outputs=False)
        return {name: outputs[name] for name in self._names}


def _compile(path: Path, threads: int) -> tuple[openvino.CompiledModel, Mapping[str, str]]:
    # Without the precision hint OpenVINO computes in bfloat16 on processors that have it: faster, other numbers.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        network = CORE.read_model(str(path))
        return CORE.compile_model(network, "CPU", settings), _metadata(network)
    except RuntimeError as error:
        raise ModelError(f"{path}: OpenVINO cannot load it, is the file complete? ({first_line(error)})") from None


def _precision(compiled: openvino.CompiledModel, declared: str) -> str:
    """The type in which the heavy layers really compute; where there are none, what the file says."""
    counts: Counter[str] = Counter()
    for layer in compiled.get_runtime_model().get_ops():
        facts = layer.get_rt_info()
        if "layerType" in facts and str(facts["layerType"].value) in _HEAVY:
            name = str(facts["runtimePrecision"].value)
            counts[_PRECISIONS.get(name, name)] += 1
    if len(counts) > 1:
        return " + ".join(f"{name} ({count})" for name, count in counts.most_common())
    return next(iter(counts), declared)


def _metadata(network: openvino.Model) -> Mapping[str, str]:
    """An ONNX file's metadata, which OpenVINO keeps under "framework", where exported .xml files have theirs, too."""
    if not network.has_rt_info(["framework"]):
        return {}
    return {key: str(value.value) for key, value in network.get_rt_info()["framework"].items()}
