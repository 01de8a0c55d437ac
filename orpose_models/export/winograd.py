"""Wide 3x3 convolutions of an ONNX graph by Winograd's minimal filtering: a quarter to a half of the products.

Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (CVPR 2016), F(2x2, 3x3) and F(4x4, 3x3): tiles of the
image and the kernels are transformed, multiplied as matrices, and transformed back. For processors, whose runtimes
have only the direct form; TensorRT chooses among its own. The kernels stay in the file as they are: the runtimes
transform them when they load it.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

#: Narrower layers lose by the copies what they gain by fewer products.
_FEWEST_CHANNELS = 256
#: Maps of this side (px) get tiles of 4x4 outputs, smaller ones of RoIs 2x2; smaller ones of one image do not gain.
_LARGE_SIDE = 48

#: For tiles of m x m outputs: transforms of image, kernel and output (B^T, G and A^T of the paper's section 4).
_TRANSFORMS: dict[int, tuple[NDArray, NDArray, NDArray]] = {
    2: (
        np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], float),
        np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]),
        np.array([[1, 1, 1, 0], [0, 1, -1, -1]], float),
    ),
    4: (
        np.array(
            [
                [4, 0, -5, 0, 1, 0],
                [0, -4, -4, 1, 1, 0],
                [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0],
                [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1],
            ],
            float,
        ),
        np.array(
            [
                [1 / 4, 0, 0],
                [-1 / 6, -1 / 6, -1 / 6],
                [-1 / 6, 1 / 6, -1 / 6],
                [1 / 24, 1 / 12, 1 / 6],
                [1 / 24, -1 / 12, 1 / 6],
                [0, 0, 1],
            ]
        ),
        np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], float),
    ),
}

#: Axes to pixels first and back; of one image as runtimes have channels last, so that these steps vanish beside theirs.
_ORDERS = {True: ([0, 2, 3, 1], [0, 3, 1, 2]), False: ([2, 3, 0, 1], [2, 3, 0, 1])}


def use_winograd(model: onnx.ModelProto) -> int:
    """Rewrites `model` in place.

    Args:
        model: Its float32 Conv nodes of 3x3 kernels, stride 1, padding 1, one group, `_FEWEST_CHANNELS` or more in
            and out, on large maps or on those of RoIs (a batch not known to be one image) are rewritten.

    Returns:
        The number of convolutions rewritten.
    """
    tiles = _tiles(model)
    kernels = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    writer = _Writer(model.graph)
    count = 0
    pixels_first: set[str] = set()  # maps of one image that a rewritten convolution gives
    for node in model.graph.node:
        kernel = kernels.get(node.input[1]) if node.op_type == "Conv" else None
        if kernel is not None and node.input[0] in tiles and _fits(node, kernel):
            tile, size, one_image = tiles[node.input[0]]
            nodes += writer.convolution(node, kernel, tile, size, one_image)
            count += 1
            pixels_first.update(node.output if one_image else ())
        elif kernel is not None and node.input[0] in pixels_first and _fits(node, kernel, side=1, fewest_channels=1):
            nodes += writer.pointwise(node, kernel)
        else:
            nodes.append(node)
            if node.op_type == "Relu" and node.input[0] in pixels_first:
                pixels_first.update(node.output)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def _tiles(model: onnx.ModelProto) -> dict[str, tuple[int, tuple[int, int], bool]]:
    """Side of a tile's outputs, height and width (px), and whether it is one image, of the maps that gain by tiles."""
    inferred = shape_inference.infer_shapes(model).graph
    tiles = {}
    for value in (*inferred.value_info, *inferred.input):
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4 and min(size := (dims[2].dim_value, dims[3].dim_value)) > 0:
            if min(size) >= _LARGE_SIDE:
                tiles[value.name] = (4, size, dims[0].dim_value == 1)
            elif dims[0].dim_value != 1:
                tiles[value.name] = (2, size, False)
    return tiles


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
        self._kernels: dict[tuple[str, int], str] = {}
        self._names = itertools.count()

    def convolution(
        self, node: onnx.NodeProto, kernel: onnx.TensorProto, tile: int, size: tuple[int, int], one_image: bool
    ) -> list[onnx.NodeProto]:
        """The nodes that give `node`'s output; pixels first, channels last in between: (pixels, batch, channels)."""
        self._nodes = []
        out_channels, in_channels = kernel.dims[:2]
        image, weights, output = _TRANSFORMS[tile]
        steps = image.shape[0] ** 2
        reads, writes, tiles = _pixel_order(size, tile)

        to_pixels, from_pixels = _ORDERS[one_image]
        turned = self._add("Transpose", node.input[0], perm=to_pixels)
        pixels = self._reshape(turned, [size[0] * size[1], -1, in_channels])
        padded = self._add("Pad", pixels, self._constant([0, 0, 0, 1, 0, 0]))  # one more pixel: what lies outside
        gathered = self._add("Gather", padded, self._constant(reads), axis=0)
        transformed = self._add("MatMul", self._matrix(np.kron(image, image)), self._reshape(gathered, [steps, -1]))
        kernels = self._kernel(node.input[1], tile, weights, in_channels, out_channels)
        products = self._add("MatMul", self._reshape(transformed, [steps, -1, in_channels]), kernels)
        summed = self._add("MatMul", self._matrix(np.kron(output, output)), self._reshape(products, [steps, -1]))
        result = self._reshape(summed, [tile * tile * tiles, -1, out_channels])
        if len(node.input) > 2 and node.input[2]:
            result = self._add("Add", result, node.input[2])
        shape = [1, *size, out_channels] if one_image else [*size, -1, out_channels]
        ordered = self._reshape(self._add("Gather", result, self._constant(writes), axis=0), shape)
        self._nodes.append(helper.make_node("Transpose", [ordered], [node.output[0]], perm=from_pixels))
        return self._nodes

    def pointwise(self, node: onnx.NodeProto, kernel: onnx.TensorProto) -> list[onnx.NodeProto]:
        """A 1x1 convolution as a product: its input, and its few channels, need not be put channels first and back."""
        self._nodes = []
        to_pixels, from_pixels = _ORDERS[True]
        matrix = self._add("Transpose", self._reshape(node.input[1], list(kernel.dims[:2])), perm=[1, 0])
        result = self._add("MatMul", self._add("Transpose", node.input[0], perm=to_pixels), matrix)
        if len(node.input) > 2 and node.input[2]:
            result = self._add("Add", result, node.input[2])
        self._nodes.append(helper.make_node("Transpose", [result], [node.output[0]], perm=from_pixels))
        return self._nodes

    def _kernel(self, name: str, tile: int, weights: NDArray, in_channels: int, out_channels: int) -> str:
        """Transformed kernels `(steps, in, out)`, of which all convolutions with the same ones make use."""
        if (name, tile) not in self._kernels:
            flat = self._reshape(name, [out_channels * in_channels, 9])
            turned = self._add("MatMul", flat, self._matrix(np.kron(weights, weights).T))
            split = self._reshape(turned, [out_channels, in_channels, -1])
            self._kernels[name, tile] = self._add("Transpose", split, perm=[2, 1, 0])
        return self._kernels[name, tile]

    def _add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"winograd_{next(self._names)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _reshape(self, name: str, shape: list[int]) -> str:
        return self._add("Reshape", name, self._constant(shape))

    def _constant(self, values: NDArray | list[int]) -> str:
        return self._stored(np.asarray(values, np.int64))

    def _matrix(self, values: NDArray) -> str:
        return self._stored(values.astype(np.float32))

    def _stored(self, values: NDArray) -> str:
        key = (values.tobytes(), str(values.dtype), values.shape)
        if key not in self._constants:
            name = f"winograd_constant_{len(self._constants)}"
            self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
            self._constants[key] = name
        return self._constants[key]


def _pixel_order(size: tuple[int, int], tile: int) -> tuple[NDArray, NDArray, int]:
    """Which pixels the tiles read, where the outputs' pixels are written, and the number of tiles.

    Returns:
        `((tile + 2)**2 * tiles,)`, `(height * width,)` and a number. Pixel `height * width` is that outside of the map.
    """
    height, width = size
    rows, columns = -(-height // tile), -(-width // tile)
    tiles = rows * columns
    source = np.full((rows * tile + 2, columns * tile + 2), height * width)
    source[1 : height + 1, 1 : width + 1] = np.arange(height * width).reshape(size)
    reads = [
        source[i : i + rows * tile : tile, j : j + columns * tile : tile].ravel()
        for i in range(tile + 2)
        for j in range(tile + 2)
    ]
    target = np.zeros((rows * tile, columns * tile), int)
    for i in range(tile):
        for j in range(tile):
            target[i::tile, j::tile] = ((i * tile + j) * tiles + np.arange(tiles)).reshape(rows, columns)
    return np.concatenate(reads), target[:height, :width].ravel(), tiles
