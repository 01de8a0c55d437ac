"""ONNX graph -> serialised engine, by TensorRT or TensorRT-RTX: their Python interfaces agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orpose_models.errors import ModelError

#: Kinds of layer that do nearly all of the arithmetic.
_HEAVY = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY")


@dataclass(frozen=True)
class Engine:
    """A serialised engine.

    Attributes:
        plan: Its bytes.
        heavy_layers: Type -> number of convolutions and matrix products of that type, `{"HALF": 70, "FLOAT": 4}`. The
            network is strongly typed: the engine computes in these types and no others.
    """

    plan: bytes
    heavy_layers: dict[str, int]

    def types(self) -> str:
        """`70 HALF, 4 FLOAT`."""
        return ", ".join(f"{count} {name}" for name, count in Counter(self.heavy_layers).most_common())


def build_engine(trt: Any, graph: Path, configure: Callable[[Any], None] = lambda config: None) -> Engine:
    """Builds an engine in the very types of the graph.

    Args:
        trt: The module `tensorrt` or `tensorrt_rtx_bindings`.
        graph: An .onnx file.
        configure: Changes the builder's configuration, for the GPU to build for, say.

    Raises:
        ModelError: The graph cannot be parsed or built.
    """
    log = _make_log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(graph.read_bytes()):
        reasons = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise ModelError(f"{graph.name}: {trt.__name__} {trt.__version__} cannot parse it: {_one_line(reasons)}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 is float32; fp16 is there for speed
    configure(config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reasons = "; ".join(log.errors) or "no reason given"
        raise ModelError(f"{graph.name}: {trt.__name__} {trt.__version__} cannot build it: {_one_line(reasons)}")
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    heavy = [layer.get_output(0).dtype.name for layer in layers if layer.type.name in _HEAVY]
    return Engine(bytes(plan), dict(Counter(heavy)))


def _make_log(trt: Any) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc, name-defined]
        """Keeps errors for the exception's text instead of printing them."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)

    return Log()


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
