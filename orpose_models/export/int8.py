"""float32 graph -> the same graph with 8-bit layers, as QuantizeLinear / DequantizeLinear pairs. Needs no torch.

Which layers: every convolution and linear layer with constant weights, except

- the first convolution (its input is the image minus its mean): 8 bits cost accuracy there, and time;
- the last layers of proposals and boxes, whose outputs are ranked and decoded: 256 steps make ties;
- the squeeze-and-excitation layers, which work on single values, and the lifters, whose output would move in steps of
  millimetres: there is no time to save in them.

Everything else (heatmaps, anchors, boxes, suppression, sampling coordinates, decoding) stays float32. Weights have one
scale a channel and are symmetric; biases stay float32, since TensorRT takes no 32-bit DequantizeLinear.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from orpose_models.errors import ModelError
from orpose_models.export.calibration import Range
from orpose_models.export.int8_config import Activations

#: Operators with weights -> the weights' axis of output channels. Our linear layers have transB = 1.
CHANNEL_AXIS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}
#: Parts of names of weights that stay float32.
KEPT = ("lifter", "candidates.output", "cls_logits", "bbox_pred", "box.score", "box.delta")
#: Part of the name of the weights that give the heatmaps, where no transposed convolution does.
HEATMAPS = "keypoint.scores"
#: Scales are at least this, so that a tensor of zeros divides by something.
_SMALLEST_SCALE = 1e-8


def read_exact(path: Path) -> onnx.ModelProto:
    """A float32 graph whose weights are constants: casts and concatenations of constants are computed.

    Raises:
        ModelError: Not ONNX, quantised already, or computing in float16.
    """
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's and onnx' errors share no base
        raise ModelError(f"{path}: not an ONNX file ({str(error).splitlines()[0]})") from None
    if any(node.op_type in ("QuantizeLinear", "QLinearConv", "QGemm") for node in model.graph.node):
        raise ModelError(f"{path}: is quantised already; start from the float32 export")
    fold_constants(model)
    half = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    if any(node.op_type in CHANNEL_AXIS and node.input[1] in half for node in model.graph.node):
        raise ModelError(f"{path}: computes in float16; int8 starts from a float32 export (--precision fp32)")
    return model


def fold_constants(model: onnx.ModelProto) -> None:
    """Computes casts and concatenations of constants, in place: weights stored as float16, weights of joined heads."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    left = []
    for node in model.graph.node:
        if node.op_type not in ("Cast", "Concat") or not all(name in constants for name in node.input):
            left.append(node)
            continue
        values = [numpy_helper.to_array(constants[name]) for name in node.input]
        attribute = helper.get_attribute_value(node.attribute[0])
        if node.op_type == "Cast":
            result = values[0].astype(helper.tensor_dtype_to_np_dtype(attribute))
        else:
            result = np.concatenate(values, axis=attribute)
        constants[node.output[0]] = numpy_helper.from_array(result, node.output[0])
    _replace_nodes(model, left, constants)


def layers_to_quantise(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that become 8-bit; see the top of this file.

    Raises:
        ModelError: None: not a graph of ours.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    sizes = {value.name: _shape(value)[2:] for value in inferred.graph.value_info}
    layers = [n for n in model.graph.node if n.op_type in CHANNEL_AXIS and n.input[1] in constants]
    first = next((node for node in layers if node.op_type == "Conv"), None)
    chosen = [
        node
        for node in layers
        if node is not first
        and not any(part in node.input[1] for part in KEPT)
        and not (node.op_type == "Conv" and sizes.get(node.output[0]) == (1, 1))
    ]
    if not chosen:
        raise ModelError("int8: the graph has no layer to quantise; was it written by `orpose export`?")
    return chosen


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def tensors_to_quantise(
    model: onnx.ModelProto, layers: Collection[onnx.NodeProto], activations: Activations
) -> list[str]:
    """What gets a pair: inputs of the layers and, unsigned, their outputs and sums of two such.

    The processors' runtimes need rounded outputs for an 8-bit layer; TensorRT, for which signed graphs are, does not,
    and each rounding saved there makes up for the coarser steps. An output is rounded after its ReLU: an unsigned range
    then begins at 0, and the runtimes drop the ReLU. Heatmaps are not rounded.
    """
    if activations == "signed":
        return list(dict.fromkeys(layer.input[0] for layer in layers))
    consumers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    tensors: dict[str, None] = {}
    for layer in layers:
        tensors[layer.input[0]] = None
        if layer.op_type != "ConvTranspose" and HEATMAPS not in layer.input[1]:
            after = consumers.get(layer.output[0], [])
            is_relu = len(after) == 1 and after[0].op_type == "Relu"
            tensors[after[0].output[0] if is_relu else layer.output[0]] = None
    for node in model.graph.node:
        if node.op_type == "Add" and all(name in tensors for name in node.input):
            tensors[node.output[0]] = None
    return list(tensors)


def insert_pairs(
    model: onnx.ModelProto, layers: Collection[onnx.NodeProto], ranges: Mapping[str, Range], activations: Activations
) -> None:
    """Rewrites `model` in place: `layers` get 8-bit weights, the tensors of `ranges` a pair of Q and DQ.

    Args:
        model: Float32, constants folded.
        layers: Nodes of it.
        ranges: Tensor -> lowest and highest value to represent.
        activations: `unsigned` with a zero point, or `signed` with zero point 0.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = {layer.input[1]: CHANNEL_AXIS[layer.op_type] for layer in layers}
    nodes: list[onnx.NodeProto] = []
    for name, axis in weights.items():
        values, scales = quantised_weights(numpy_helper.to_array(constants[name]), axis)
        _add(constants, name + "_q", values)
        _add(constants, name + "_scale", scales)
        _add(constants, name + "_zero", np.zeros(len(scales), np.int8))
        nodes.append(_node("DequantizeLinear", name, name + "_q", name + "_dq"))
        nodes[-1].attribute.append(helper.make_attribute("axis", axis))
    for layer in layers:
        layer.input[1] += "_dq"
    for name, limits in ranges.items():
        scale, zero = activation_scale(limits, activations)
        _add(constants, name + "_scale", scale)
        _add(constants, name + "_zero", zero)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name in ranges:
                node.input[place] = name + "_dq"
    for node in model.graph.node:
        nodes.append(node)
        for name in node.output:
            if name in ranges:
                nodes += _pair(name)
    del model.graph.value_info[:]
    _replace_nodes(model, nodes, constants)


def quantised_weights(weights: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """8-bit weights of the same shape, and the scale of each channel along `axis`: weights = values x scale."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scales = np.maximum(np.abs(weights).max(axis=others, keepdims=True) / 127, _SMALLEST_SCALE)
    values = np.clip(np.rint(weights / scales), -127, 127).astype(np.int8)
    return values, scales.reshape(-1).astype(np.float32)


def activation_scale(limits: Range, activations: Activations) -> tuple[NDArray[np.float32], NDArray]:
    """Scale and zero point, both of shape `()`, of a range that is widened to hold 0."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    if activations == "signed":
        return np.array(max(-low, high, 127 * _SMALLEST_SCALE) / 127, np.float32), np.array(0, np.int8)
    scale = max(high - low, 255 * _SMALLEST_SCALE) / 255
    return np.array(scale, np.float32), np.array(np.clip(np.rint(-low / scale), 0, 255), np.uint8)


def _pair(name: str) -> Iterator[onnx.NodeProto]:
    yield _node("QuantizeLinear", name, name, name + "_q")
    yield _node("DequantizeLinear", name, name + "_q", name + "_dq")


def _node(operator: str, tensor: str, value: str, output: str) -> onnx.NodeProto:
    inputs = [value, tensor + "_scale", tensor + "_zero"]
    return helper.make_node(operator, inputs, [output], name=f"{tensor}_{operator}")


def _add(constants: dict[str, onnx.TensorProto], name: str, values: NDArray) -> None:
    constants[name] = numpy_helper.from_array(values, name)


def _replace_nodes(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], constants: Mapping[str, onnx.TensorProto]
) -> None:
    """Puts `nodes` and those of `constants` that they use into the graph."""
    graph = model.graph
    used = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for name, tensor in constants.items() if name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
