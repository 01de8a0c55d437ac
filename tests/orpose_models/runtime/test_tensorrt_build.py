"""Real builds with TensorRT-RTX, whose interface TensorRT 10 shares and which needs no GPU to build."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orpose_models.errors import BackendError, ModelError
from orpose_models.runtime.tensorrt_build import build_engine

trt = pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_precision_that_was_built_is_reported(tiny_graph, precision):
    engine = build_engine(trt, tiny_graph(precision), 86)
    assert engine.precision == precision
    assert len(engine.content) > 1000


def test_mixed_precision_is_counted(tiny_graph, tmp_path):
    model = onnx.load(tiny_graph("fp16"))
    model.graph.initializer.append(onnx.helper.make_tensor("more", onnx.TensorProto.FLOAT, (4, 4), [0.25] * 16))
    node = next(node for node in model.graph.node if node.op_type == "ReduceMax")
    model.graph.node.insert(
        list(model.graph.node).index(node), onnx.helper.make_node("MatMul", [node.input[0], "more"], ["floats_2"])
    )
    node.input[0] = "floats_2"
    onnx.save(model, tmp_path / "mixed.onnx")
    assert build_engine(trt, tmp_path / "mixed.onnx", 86).precision == "fp16 (1) + fp32 (1)"


@pytest.mark.parametrize("content", [b"", b"no graph", bytes(1000)])
def test_what_is_no_graph(tmp_path, content):
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"other\.onnx: TensorRT .* cannot read it") as caught:
        build_engine(trt, path, 86)
    assert "\n" not in str(caught.value)


def test_what_tensorrt_does_not_take(fake_model):
    """It takes uint8 only into a cast."""
    with pytest.raises(ModelError, match="cannot read it") as caught:
        build_engine(trt, fake_model, 86)
    assert "\n" not in str(caught.value)


def test_a_gpu_that_cannot_be_built_for(tiny_graph):
    with pytest.raises(BackendError, match=r"cannot build ahead for compute capability 87 \(.*SM86"):
        build_engine(trt, tiny_graph(), 87)


def test_a_tensorrt_that_does_not_start_says_why(tiny_graph):
    """Its Python interface makes a TypeError of "no builder", which is what it gives where there is no driver."""

    def builder(log: Any) -> None:
        log.log(0, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    broken = SimpleNamespace(__version__="10.3.0", ILogger=type("ILogger", (), {}), Builder=builder)
    with pytest.raises(BackendError, match=r"TensorRT 10\.3\.0 does not start: CUDA initialization failure"):
        build_engine(broken, tiny_graph())
