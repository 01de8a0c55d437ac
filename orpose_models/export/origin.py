"""What a graph alone does not tell of the student that it was made of: kept in its metadata, to read it back."""

from __future__ import annotations

import base64
import lzma
from collections.abc import Iterable

import onnx
import torch
from onnx import numpy_helper
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load, save
from torch import Tensor, nn

from orpose_models.export.half_weights import STORED_SUFFIX
from orpose_models.export.metadata import ORIGIN_KEY
from orpose_models.network.conventions import Conventions
from orpose_models.network.lifter import LifterInput
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.student import Student

#: What the parts of a model of two graphs put before a layer's name (network/static_parts.py).
_PART = "static."
#: Of numbers of four bytes; a sixth smaller than the usual settings make them.
_FILTERS = ({"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 2, "pb": 2},)


class Origin(BaseModel):
    """What a graph's metadata hold beside its layers, as JSON under `ORIGIN_KEY`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lifter_input: LifterInput = Field(description="the preset's, which weight files tell")
    conventions: Conventions = Field(description="the preset's, which weight files tell")
    packed: str = Field(description="further tensors: safetensors in xz in base 85")

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All of the student's but `folded_names`; and layers of the static network that the graph does not name.

        Raises:
            ValueError: They are damaged.
        """
        try:
            return load(lzma.decompress(base64.b85decode(self.packed)))
        except Exception as error:  # xz' and safetensors' errors are of no common kind
            raise ValueError(f"its tensors are damaged ({error})") from None


def folded_names(student: Student) -> set[str]:
    """Which of a student's tensors come back from a graph's layers: weights, and biases of BatchNorms.

    A layer before a BatchNorm has nothing left of its own bias, or of the BatchNorm's scale, once the two are one.
    """
    norms = {name for name, module in student.named_modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)}
    weights = {name for name, parameter in student.named_parameters() if parameter.dim() > 1}
    return weights | {f"{name}.bias" for name in norms}


def static_layers(static: StaticStudent) -> dict[str, Tensor]:
    """Weights and biases of the static network that its answer depends on."""
    skipped = () if static.preset.conventions.has_lifters else ("student.heads.lifter_",)
    return {name: value for name, value in static.named_parameters() if not name.startswith(skipped)}


def layers_of_graphs(models: Iterable[onnx.ModelProto]) -> dict[str, Tensor]:
    """Floating point constants by the names that the static network has for them."""
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    return {
        tensor.name.removeprefix(_PART).removesuffix(STORED_SUFFIX): torch.from_numpy(
            numpy_helper.to_array(tensor).copy()
        )
        for model in models
        for tensor in model.graph.initializer
        if tensor.data_type in kinds
    }


def origin_properties(student: Student, static: StaticStudent, models: Iterable[onnx.ModelProto]) -> dict[str, str]:
    """The property for the graphs `models` of `static`, whose weights are float32 still."""
    held, folded = layers_of_graphs(models), folded_names(student)
    tensors = {
        name: value.detach()
        for name, value in static_layers(static).items()
        if name not in held or not torch.equal(held[name], value)
    }
    for name, value in student.state_dict().items():
        if name not in folded and value.is_floating_point():
            tensors[name] = value.to("cpu", torch.float32)
    content = save({name: value.contiguous() for name, value in tensors.items()})
    origin = Origin(
        lifter_input=student.preset.lifter_input,
        conventions=student.preset.conventions,
        packed=base64.b85encode(lzma.compress(content, filters=_FILTERS)).decode("ascii"),
    )
    return {ORIGIN_KEY: origin.model_dump_json()}
