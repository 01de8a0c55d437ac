"""Convolutions rewritten by Winograd's filtering give what the direct ones give; all others stay as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from orpose_models.export.half_weights import store_weights_as_float16
from orpose_models.export.winograd import use_winograd

WIDE = 256


def convolution(
    batch: int | str,
    size: tuple[int, int],
    channels: tuple[int, int] = (WIDE, WIDE),
    bias: bool = True,
    **attributes: object,
) -> onnx.ModelProto:
    """One convolution and its ReLU."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.03, (channels[1], channels[0], 3, 3)).astype(np.float32)
    tensors = [numpy_helper.from_array(weight, "weight")]
    if bias:
        tensors.append(numpy_helper.from_array(rng.normal(size=channels[1]).astype(np.float32), "bias"))
    given = {"pads": [1, 1, 1, 1], **attributes}
    nodes = [
        helper.make_node("Conv", ["x", *(tensor.name for tensor in tensors)], ["sums"], **given),
        helper.make_node("Relu", ["sums"], ["y"]),
    ]
    shape = [batch, channels[0], *size]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(model: onnx.ModelProto, image: NDArray) -> NDArray:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    output: NDArray = session.run(None, {"x": image})[0]
    return output


@pytest.mark.parametrize(
    ("batch", "people", "size", "bias"),
    [
        pytest.param(1, 1, (48, 64), True, id="a large map"),
        pytest.param(1, 1, (51, 49), False, id="which the tiles do not fill"),
        pytest.param("people", 3, (14, 14), True, id="RoIs"),
        pytest.param("people", 1, (15, 13), False, id="one RoI of odd sides"),
        pytest.param(2, 2, (48, 50), True, id="large maps of a batch"),
    ],
)
def test_gives_what_the_direct_form_gives(batch: int | str, people: int, size: tuple[int, int], bias: bool) -> None:
    model = convolution(batch, size, bias=bias)
    image = np.random.default_rng(1).normal(size=(people, WIDE, *size)).astype(np.float32)
    expected = run(model, image)
    assert use_winograd(model) == 1
    assert not any(node.op_type == "Conv" and "weight" in node.input for node in model.graph.node)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, image), expected, atol=1e-4 * np.abs(expected).max())
    store_weights_as_float16(model)
    np.testing.assert_allclose(run(model, image), expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolution(1, (48, 64), (128, WIDE)), id="narrow"),
        pytest.param(convolution(1, (40, 64)), id="a small map of one image"),
        pytest.param(convolution(1, (48, 64), strides=[2, 2]), id="strided"),
        pytest.param(convolution(1, (48, 64), dilations=[2, 2], pads=[2, 2, 2, 2]), id="dilated"),
        pytest.param(convolution(1, (48, 64), pads=[0, 0, 0, 0]), id="not padded"),
    ],
)
def test_leaves_the_others(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    assert use_winograd(model) == 0
    assert model.SerializeToString() == before


def test_equal_kernels_are_transformed_once() -> None:
    """The proposal head reads all levels with the same ones."""
    model = convolution(1, (48, 64))
    second = onnx.NodeProto()
    second.CopyFrom(model.graph.node[0])
    second.output[0] = "z"
    model.graph.node.insert(1, second)
    assert use_winograd(model) == 2
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    assert len(products) == 2 * 3 + 1


@pytest.mark.parametrize("bias", [True, False])
def test_a_pointwise_convolution_behind_one_is_a_product(bias: bool) -> None:
    """The proposal head's output layer."""
    model = convolution(1, (48, 64))
    rng = np.random.default_rng(2)
    model.graph.initializer.append(numpy_helper.from_array(rng.normal(size=(15, WIDE, 1, 1)).astype(np.float32), "few"))
    model.graph.initializer.append(numpy_helper.from_array(rng.normal(size=15).astype(np.float32), "few_bias"))
    model.graph.node.append(helper.make_node("Conv", ["y", "few", *["few_bias"][:bias]], ["z"]))
    model.graph.output[0].name = "z"
    image = rng.normal(size=(1, WIDE, 48, 64)).astype(np.float32)
    expected = run(model, image)
    assert use_winograd(model) == 1
    assert "Conv" not in {node.op_type for node in model.graph.node}
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, image), expected, atol=1e-4 * np.abs(expected).max())
