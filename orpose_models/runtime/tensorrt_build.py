"""ONNX -> serialised engine, with the Python interface that TensorRT 10 and TensorRT-RTX share."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

from orpose_models.errors import BackendError, ModelError
from orpose_models.runtime.engine_cache import Engine

_log = logging.getLogger(__name__)
#: Layers in which nearly all arithmetic is; their type is the precision that is reported.
_HEAVY = frozenset({"CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY"})
_PRECISIONS = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8"}
#: Levels of TensorRT's log: internal error 0, error 1.
_ERROR = 1
_MOST_ERRORS = 20


def build_engine(trt: ModuleType, path: Path, sm: int | None = None) -> Engine:
    """Builds an engine of an exported graph.

    The network is strongly typed: every layer computes in the type the graph gives it, so the precision is that of
    the file (`orpose export --precision`), and boxes stay in fp32 in a file of precision fp16.

    Args:
        trt: `tensorrt`, `tensorrt_bindings` or `tensorrt_rtx_bindings`.
        path: The .onnx file.
        sm: Compute capability to build for, 86 for 8.6: TensorRT-RTX only, needs no GPU. Otherwise for the GPU at hand.

    Raises:
        ModelError: TensorRT cannot read the graph.
        BackendError: It cannot build for this GPU.
    """
    log = make_log(trt)
    try:
        builder = trt.Builder(log)
    except TypeError:  # of pybind11, where TensorRT gives no builder
        raise BackendError(f"TensorRT {trt.__version__} does not start: {log.reason()}") from None
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(path.read_bytes()) or network.num_outputs == 0:
        reason = parser.get_error(0).desc() if parser.num_errors else log.reason()
        raise ModelError(
            f"{path}: TensorRT {trt.__version__} cannot read it ({_one_line(reason)}); is it whole, and exported by "
            "this version of orpose?"
        )
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # else "fp32" would have 10 bits of mantissa
    if sm is not None:
        _build_for(trt, config, sm)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f"{path}: TensorRT {trt.__version__} cannot build an engine: {log.reason()}")
    return Engine(bytes(plan), network_precision(network))


def _strongly_typed(trt: ModuleType) -> int:
    flag = trt.NetworkDefinitionCreationFlag.__members__.get("STRONGLY_TYPED")  # later versions know nothing else
    return 0 if flag is None else 1 << int(flag)


def _build_for(trt: ModuleType, config: Any, sm: int) -> None:
    capability = getattr(trt, "ComputeCapability", None)
    known = {} if capability is None else capability.__members__
    if f"SM{sm}" not in known:
        choices = ", ".join(name for name in known if name.startswith("SM")) or "none: it needs the GPU"
        raise BackendError(f"TensorRT {trt.__version__} cannot build ahead for compute capability {sm} ({choices})")
    config.num_compute_capabilities = 1
    config.set_compute_capability(known[f"SM{sm}"], 0)


def network_precision(network: Any) -> str:
    """The type of the heavy layers, `fp16`, or their numbers where it is mixed, `fp16 (120) + fp32 (16)`."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    heavy = [layer for layer in layers if layer.type.name in _HEAVY]
    quantised = sum(layer.type.name == "QUANTIZE" for layer in layers)
    counts = Counter(_PRECISIONS.get(layer.get_output(0).dtype.name, "other") for layer in heavy)
    if quantised:
        return f"int8 ({quantised} quantised tensors) + {_counted(counts)}"
    return _counted(counts)


def _counted(counts: Counter[str]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return " + ".join(f"{name} ({count})" for name, count in counts.most_common()) or "no heavy layers"


def make_log(trt: ModuleType) -> Any:
    """A TensorRT logger that keeps errors, for messages, and passes everything to Python's log at debug level."""

    class Log(trt.ILogger):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            _log.debug("TensorRT: %s", text)
            if int(severity) <= _ERROR and len(self.errors) < _MOST_ERRORS:
                self.errors.append(text)

        def reason(self) -> str:
            return _one_line(self.errors[0]) if self.errors else "it gives no reason"

    return Log()


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
