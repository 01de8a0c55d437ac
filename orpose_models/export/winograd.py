"""Wide 3x3 convolutions of an ONNX graph by Winograd's minimal filtering: a quarter of the products.

Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (CVPR 2016), F(4x4, 3x3): tiles of the image and the
kernels are transformed, multiplied as matrices, and transformed back. For processors, whose runtimes have only the
direct form; TensorRT chooses among its own. The kernels stay in the file as they are: the runtimes transform them when
they load it.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

#: Narrower layers lose by the copies what they gain by fewer products.
_FEWEST_CHANNELS = 256
#: Maps of one image gain from this side on (px), maps of RoIs at any.
_LARGE_SIDE = 48

#: Outputs along a tile's side; the transforms of image, kernel and output (B^T, G and A^T of the paper's section 4).
_TILE = 4
_OF_IMAGE = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    float,
)
_OF_KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
_OF_OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], float)
#: Products of a tile, each a matrix of all tiles by all channels.
_STEPS = len(_OF_IMAGE) ** 2

#: Axes to channels last and back; runtimes drop such pairs between neighbours.
_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


class _Map(NamedTuple):
    """A map that gains: height and width (px), and whether it is one image's, or those of RoIs."""

    size: tuple[int, int]
    one_image: bool


def use_winograd(model: onnx.ModelProto) -> int:
    """Rewrites `model` in place.

    Args:
        model: Its float32 Conv nodes of 3x3 kernels, stride 1, padding 1, one group, `_FEWEST_CHANNELS` or more in
            and out, on large maps or on those of RoIs (a batch not known to be one image) are rewritten.

    Returns:
        The number of convolutions rewritten.
    """
    maps = _maps(model)
    kernels = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    writer = _Writer(model.graph)
    count = 0
    channels_last: set[str] = set()  # maps that a rewritten convolution gives
    for node in model.graph.node:
        kernel = kernels.get(node.input[1]) if node.op_type == "Conv" else None
        if kernel is not None and node.input[0] in maps and _fits(node, kernel):
            size, one_image = maps[node.input[0]]
            nodes += (writer.of_one_image if one_image else writer.of_rois)(node, kernel, size)
            count += 1
            channels_last.update(node.output)
        elif kernel is not None and node.input[0] in channels_last and _fits(node, kernel, side=1, fewest_channels=1):
            nodes += writer.pointwise(node, kernel)
        else:
            nodes.append(node)
            if node.op_type == "Relu" and node.input[0] in channels_last:
                channels_last.update(node.output)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def _maps(model: onnx.ModelProto) -> dict[str, _Map]:
    """The maps that gain, by name."""
    inferred = shape_inference.infer_shapes(model).graph
    maps = {}
    for value in (*inferred.value_info, *inferred.input):
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4 and min(size := (dims[2].dim_value, dims[3].dim_value)) > 0:
            one_image = dims[0].dim_value == 1
            if not one_image or min(size) >= _LARGE_SIDE:
                maps[value.name] = _Map(size, one_image)
    return maps


def _fits(
    node: onnx.NodeProto, kernel: onnx.TensorProto, side: int = 3, fewest_channels: int = _FEWEST_CHANNELS
) -> bool:
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    plain: dict[str, Any] = {"group": 1, "strides": [1, 1], "dilations": [1, 1], "pads": [side // 2] * 4}
    if side == 1:
        given.setdefault("pads", [0] * 4)
    as_wanted = all(given.get(name, wanted) == wanted for name, wanted in plain.items()) and "pads" in given
    wide = min(kernel.dims[:2]) >= fewest_channels and list(kernel.dims[2:]) == [side, side]
    return as_wanted and wide and kernel.data_type == onnx.TensorProto.FLOAT


class _Writer:
    """Adds the nodes and constants of one convolution after another; equal constants are kept once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[bytes, str, tuple[int, ...]], str] = {}
        self._kernels: dict[tuple[str, tuple[int, ...]], str] = {}
        self._names = itertools.count()

    def of_one_image(
        self, node: onnx.NodeProto, kernel: onnx.TensorProto, size: tuple[int, int]
    ) -> list[onnx.NodeProto]:
        """The nodes that give `node`'s output: step by step, products of `(steps, tiles, channels)`."""
        self._nodes = []
        out_channels, in_channels = kernel.dims[:2]
        reads, writes, tiles = _pixel_order(size)
        pixels = self._reshape(self._add("Transpose", node.input[0], perm=_TO_LAST), [size[0] * size[1], in_channels])
        padded = self._add("Pad", pixels, self._constant([0, 0, 1, 0]))  # one more pixel: what lies outside
        gathered = self._add("Gather", padded, self._constant(reads), axis=0)
        transformed = self._add("MatMul", self._matrix(_OF_IMAGE), self._reshape(gathered, [_STEPS, -1]))
        kernels = self._kernel(node.input[1], kernel, axes=(2, 1, 0))
        products = self._add("MatMul", self._reshape(transformed, [_STEPS, tiles, in_channels]), kernels)
        summed = self._add("MatMul", self._matrix(_OF_OUTPUT), self._reshape(products, [_STEPS, -1]))
        result = self._with_bias(node, self._reshape(summed, [_TILE * _TILE * tiles, out_channels]))
        ordered = self._add("Gather", result, self._constant(writes), axis=0)
        return self._finished(node, self._reshape(ordered, [1, *size, out_channels]))

    def of_rois(self, node: onnx.NodeProto, kernel: onnx.TensorProto, size: tuple[int, int]) -> list[onnx.NodeProto]:
        """The nodes that give `node`'s output: tile by tile, products of all steps by a grouped 1x1 convolution.

        Few tiles make small products, which take longer to order the kernels for than to compute; of a convolution,
        runtimes order them once, when they load the file.
        """
        self._nodes = []
        out_channels, in_channels = kernel.dims[:2]
        reads, writes, tiles = _pixel_order(size)
        tile_reads = reads.reshape(_STEPS, tiles).T.ravel()
        tile_writes = writes % tiles * _TILE**2 + writes // tiles
        turned = self._add("Transpose", node.input[0], perm=_TO_LAST)
        padded = self._add(
            "Pad", self._reshape(turned, [-1, size[0] * size[1], in_channels]), self._constant([0, 0, 0, 0, 1, 0])
        )
        gathered = self._add("Gather", padded, self._constant(tile_reads), axis=1)
        transformed = self._add("MatMul", self._matrix(_OF_IMAGE), self._reshape(gathered, [-1, _STEPS, in_channels]))
        all_steps = self._add("Transpose", self._reshape(transformed, [1, 1, -1, _STEPS * in_channels]), perm=_TO_FIRST)
        kernels = self._reshape(
            self._kernel(node.input[1], kernel, axes=(2, 0, 1)), [_STEPS * out_channels, in_channels, 1, 1]
        )
        products = self._add("Conv", all_steps, kernels, group=_STEPS)
        summed = self._add("MatMul", self._matrix(_OF_OUTPUT), self._reshape(products, [_STEPS, -1]))
        by_tile = self._add("Transpose", self._reshape(summed, [_TILE**2, out_channels, -1]), perm=[2, 0, 1])
        result = self._with_bias(node, self._reshape(by_tile, [-1, tiles * _TILE**2, out_channels]))
        ordered = self._add("Gather", result, self._constant(tile_writes), axis=1)
        return self._finished(node, self._reshape(ordered, [-1, *size, out_channels]))

    def pointwise(self, node: onnx.NodeProto, kernel: onnx.TensorProto) -> list[onnx.NodeProto]:
        """A 1x1 convolution as a product: its input, and its few channels, need not be put channels first and back."""
        self._nodes = []
        matrix = self._add("Transpose", self._reshape(node.input[1], list(kernel.dims[:2])), perm=[1, 0])
        products = self._add("MatMul", self._add("Transpose", node.input[0], perm=_TO_LAST), matrix)
        return self._finished(node, self._with_bias(node, products))

    def _with_bias(self, node: onnx.NodeProto, result: str) -> str:
        """`result`, channels last, with what `node` adds to it."""
        return self._add("Add", result, node.input[2]) if len(node.input) > 2 and node.input[2] else result

    def _finished(self, node: onnx.NodeProto, result: str) -> list[onnx.NodeProto]:
        """`result` `(N, H, W, C)` as `node`'s output, and all nodes since the last ones."""
        self._nodes.append(helper.make_node("Transpose", [result], [node.output[0]], perm=_TO_FIRST))
        return self._nodes

    def _kernel(self, name: str, kernel: onnx.TensorProto, axes: tuple[int, int, int]) -> str:
        """Transformed kernels, of which all convolutions with the same ones make use.

        `axes` says where (out, in, steps) go.
        """
        if (name, axes) not in self._kernels:
            out_channels, in_channels = kernel.dims[:2]
            flat = self._reshape(name, [out_channels * in_channels, 9])
            turned = self._add("MatMul", flat, self._stored(np.kron(_OF_KERNEL, _OF_KERNEL).T.astype(np.float32)))
            split = self._reshape(turned, [out_channels, in_channels, _STEPS])
            self._kernels[name, axes] = self._add("Transpose", split, perm=list(axes))
        return self._kernels[name, axes]

    def _add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"winograd_{next(self._names)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _reshape(self, name: str, shape: list[int]) -> str:
        return self._add("Reshape", name, self._constant(shape))

    def _constant(self, values: NDArray | list[int]) -> str:
        return self._stored(np.asarray(values, np.int64))

    def _matrix(self, values: NDArray) -> str:
        """The transform of rows and columns at once, of tiles as vectors."""
        return self._stored(np.kron(values, values).astype(np.float32))

    def _stored(self, values: NDArray) -> str:
        key = (values.tobytes(), str(values.dtype), values.shape)
        if key not in self._constants:
            name = f"winograd_constant_{len(self._constants)}"
            self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
            self._constants[key] = name
        return self._constants[key]


def _pixel_order(size: tuple[int, int]) -> tuple[NDArray, NDArray, int]:
    """Which pixels the tiles read, where the outputs' pixels are written, and the number of tiles.

    Returns:
        `(36 * tiles,)`, `(height * width,)` and a number. Pixel `height * width` is that outside of the map.
    """
    height, width = size
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    tiles = rows * columns
    source = np.full((rows * _TILE + 2, columns * _TILE + 2), height * width)
    source[1 : height + 1, 1 : width + 1] = np.arange(height * width).reshape(size)
    reads = [
        source[i : i + rows * _TILE : _TILE, j : j + columns * _TILE : _TILE].ravel()
        for i in range(_TILE + 2)
        for j in range(_TILE + 2)
    ]
    target = np.zeros((rows * _TILE, columns * _TILE), int)
    for i in range(_TILE):
        for j in range(_TILE):
            target[i::_TILE, j::_TILE] = ((i * _TILE + j) * tiles + np.arange(tiles)).reshape(rows, columns)
    return np.concatenate(reads), target[:height, :width].ravel(), tiles
