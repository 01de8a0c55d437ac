"""Halves an ONNX file: large weights are stored as float16 and cast back to float32 for the arithmetic."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

#: Tensors of at most so many elements (biases, anchors, statistics) stay exact.
EXACT_ELEMENTS = 4096
#: Ends the name of a tensor that is stored so.
STORED_SUFFIX = "_float16"
_LARGEST = float(np.finfo(np.float16).max)


def store_weights_as_float16(model: onnx.ModelProto, keep: frozenset[str] = frozenset()) -> int:
    """Rewrites `model` in place; the runtimes fold the casts away when they load it.

    Args:
        model: Its float32 initializers of more than `EXACT_ELEMENTS` within float16's range are rewritten.
        keep: Names of initializers that stay as they are.

    Returns:
        The number of rewritten tensors.
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or tensor.name in keep:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size <= EXACT_ELEMENTS or np.abs(values).max() > _LARGEST:
            continue
        name, stored = tensor.name, tensor.name + STORED_SUFFIX
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], name=stored + "_cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return len(casts)
