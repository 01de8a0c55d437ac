"""What must hold for an exported graph: valid ONNX, static shapes, only operators that TensorRT takes, and it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from orpose_models.errors import ModelError
from orpose_models.runtime.models import OUTPUT_NAMES

#: Operators with data-dependent shapes or control flow, and detection operators that TensorRT does not take.
FORBIDDEN = frozenset({"If", "Loop", "NonMaxSuppression", "NonZero", "RoiAlign", "Scan", "SequenceConstruct", "Unique"})


def check_graph(
    model: onnx.ModelProto, output_names: tuple[str, ...] = OUTPUT_NAMES, *, is_static: bool = True
) -> None:
    """Checks a graph's form.

    Args:
        model: The graph.
        output_names: What it has to give.
        is_static: Whether all shapes have to be fixed.

    Raises:
        ModelError: not valid ONNX, a forbidden operator, a shape that is not fixed, or other outputs.
    """
    try:
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"exported graph: not valid ONNX: {error}") from None
    operators = {node.op_type for node in model.graph.node} & FORBIDDEN
    if operators:
        raise ModelError(f"exported graph: operators {sorted(operators)} are not static")
    outputs = tuple(output.name for output in model.graph.output)
    if outputs != output_names:
        raise ModelError(f"exported graph: outputs are {outputs}, expected {output_names}")
    for value in (*inferred.graph.input, *inferred.graph.output, *inferred.graph.value_info):
        if is_static and not _is_static(value):
            raise ModelError(f"exported graph: tensor {value.name!r} has no fixed shape")


def _is_static(value: onnx.ValueInfoProto) -> bool:
    kind = value.type.tensor_type
    return kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim)


def run_once(path: str | Path) -> dict[str, np.ndarray]:
    """Runs the file on a grey image in ONNX Runtime and gives its outputs by name.

    Raises:
        ModelError: it does not load or run, or an output is not finite.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (image,) = session.get_inputs()
        values = session.run(None, {image.name: np.full(image.shape, 128, np.uint8)})
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise ModelError(f"{path}: ONNX Runtime cannot run the exported graph: {error}") from None
    outputs = {output.name: value for output, value in zip(session.get_outputs(), values, strict=True)}
    for name, value in outputs.items():
        if not np.isfinite(value).all():
            raise ModelError(f"{path}: output {name!r} is not finite; were the weights trained?")
    return outputs
