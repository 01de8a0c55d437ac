"""What a graph costs, and how fast this machine could do that at best: arithmetic and memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orpose_models.errors import BackendError, ModelError

if TYPE_CHECKING:
    import onnx

#: Side of the square matrices whose product is measured, and bytes of the arrays that are copied.
_GEMM_SIDE, _COPY_BYTES = 1536, 1 << 27
_MEASURE_S = 0.6


@dataclass(frozen=True)
class Cost:
    """Of one run of a graph.

    Attributes:
        flops: 2 x the multiplications and additions of convolutions and matrix products.
        weight_bytes: Their weights, in the type they compute with.
        activation_bytes: What they read and write besides; other operations are taken to be fused into them.
        half_flops: Of `flops`, those in float16.
    """

    flops: int
    weight_bytes: int
    activation_bytes: int
    half_flops: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.flops + other.flops,
            self.weight_bytes + other.weight_bytes,
            self.activation_bytes + other.activation_bytes,
            self.half_flops + other.half_flops,
        )

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.activation_bytes


@dataclass(frozen=True)
class Ceilings:
    """Measured: floating point operations a second of a large float32 matrix product, bytes a second of a copy.

    `half_flops_per_s` is a float16 product's; None where float16 is not computed with.
    """

    flops_per_s: float
    bytes_per_s: float
    half_flops_per_s: float | None = None

    def bound_ms(self, cost: Cost) -> tuple[float, str]:
        """The least time a run can take, and what bounds it, "arithmetic" or "memory"."""
        single, half = cost.flops - cost.half_flops, cost.half_flops
        arithmetic = (single / self.flops_per_s + half / (self.half_flops_per_s or self.flops_per_s)) * 1e3
        memory = cost.total_bytes / self.bytes_per_s * 1e3
        return (arithmetic, "arithmetic") if arithmetic >= memory else (memory, "memory")


def require_onnx() -> None:
    """Raises BackendError where graphs cannot be read."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise BackendError(f"--roofline reads graphs with onnx ({error}): pip install 'orpose[export]'") from None


def count_file(path: Path, people: int = 1) -> Cost:
    """The cost of an ONNX file; `people` is what its free size, if it has one, stands for."""
    import onnx

    return count(onnx.load(str(path)), people, path)


def count(model: onnx.ModelProto, people: int = 1, where: Path | str = "graph") -> Cost:
    """The cost of a graph.

    Raises:
        ModelError: A shape of a convolution or matrix product is not known.
    """
    import onnx

    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = people
    del model.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    tensors = {value.name: value.type.tensor_type for value in (*graph.input, *graph.output, *graph.value_info)}
    shapes = {name: [dim.dim_value for dim in kind.shape.dim] for name, kind in tensors.items()}
    sizes = {name: _item_bytes(kind.elem_type) for name, kind in tensors.items()}
    for tensor in graph.initializer:
        shapes[tensor.name], sizes[tensor.name] = list(tensor.dims), _item_bytes(tensor.data_type)
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:  # weights that are stored in another type
        if node.op_type in ("Cast", "DequantizeLinear") and node.input[0] in constants:
            constants.update(node.output)
    flops, half_flops, weights, activations = 0, 0, {}, 0
    for node in graph.node:
        if node.op_type not in _MULTIPLICATIONS:
            continue
        names = [name for name in (*node.input, *node.output) if name]
        if missing := [name for name in names if name not in shapes or 0 in shapes[name]]:
            raise ModelError(f"{where}: the shape of {missing[0]!r} is not known; export it again")
        own = 2 * _MULTIPLICATIONS[node.op_type](node, shapes)
        flops += own
        half_flops += own if tensors[node.output[0]].elem_type == onnx.TensorProto.FLOAT16 else 0
        for name in names:
            size = int(np.prod(shapes[name], dtype=np.int64)) * sizes[name]
            if name in constants:
                weights[name] = size
            else:
                activations += size
    return Cost(flops, sum(weights.values()), activations, half_flops)


def _item_bytes(kind: int) -> int:
    import onnx

    return int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _product(values: list[int]) -> int:
    return int(np.prod(values, dtype=np.int64))


def _gemm(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return _product(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else 1]


#: Operator -> its multiplications, from a node and the shapes by name.
_MULTIPLICATIONS: dict[str, Callable[[Any, dict[str, list[int]]], int]] = {
    "Conv": lambda node, shapes: _product(shapes[node.output[0]]) * _product(shapes[node.input[1]][1:]),
    "ConvTranspose": lambda node, shapes: _product(shapes[node.input[0]]) * _product(shapes[node.input[1]][1:]),
    "MatMul": lambda node, shapes: _product(shapes[node.output[0]]) * shapes[node.input[0]][-1],
    "Gemm": _gemm,
}


def measure_ceilings(threads: int) -> Ceilings:
    """Measures both in about a second, with ONNX Runtime's matrix product and numpy's copy in `threads` threads."""
    return Ceilings(
        2 * _GEMM_SIDE**3 / _fastest_s(_gemm_step(threads)), 2 * _COPY_BYTES / _fastest_s(_copy_step(threads))
    )


def _gemm_step(threads: int) -> Callable[[], object]:
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    side = [_GEMM_SIDE, _GEMM_SIDE]
    weights = np.random.default_rng(0).random(side, np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "gemm",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, side)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, side)],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": weights})


def _copy_step(threads: int) -> Callable[[], object]:
    import os

    parts = threads or os.cpu_count() or 1
    source = np.ones((parts, _COPY_BYTES // parts // 8))
    target = np.zeros_like(source)
    pool = ThreadPoolExecutor(parts)
    return lambda: list(pool.map(np.copyto, target, source))


def _fastest_s(step: Callable[[], object]) -> float:
    step()
    durations: list[float] = []
    started = time.perf_counter()
    while not durations or time.perf_counter() - started < _MEASURE_S:
        before = time.perf_counter()
        step()
        durations.append(time.perf_counter() - before)
    return min(durations)
