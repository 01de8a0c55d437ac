"""What a graph alone does not tell of the student that it was made of: kept in its metadata, to read it back."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable

import onnx
import torch
from onnx import numpy_helper
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load, save
from torch import Tensor, nn

from orpose_models.export.config import WeightStorage
from orpose_models.export.half_weights import STORED_SUFFIX
from orpose_models.export.metadata import ORIGIN_KEY
from orpose_models.network.conventions import Conventions
from orpose_models.network.lifter import LifterInput
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.student import Student

#: What the parts of a model of two graphs put before a layer's name (network/static_parts.py).
_PART = "static."
_LARGEST = float(torch.finfo(torch.float16).max)


class Origin(BaseModel):
    """What a graph's metadata hold beside its layers, as JSON under `ORIGIN_KEY`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lifter_input: LifterInput = Field(description="the preset's, which weight files tell")
    conventions: Conventions = Field(description="the preset's, which weight files tell")
    packed: str = Field(description="further tensors: safetensors, deflated, in base 85")

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All of the student's but `folded_names`; and layers of the static network that the graph does not name.

        Raises:
            ValueError: They are damaged.
        """
        try:
            return load(zlib.decompress(base64.b85decode(self.packed)))
        except Exception as error:  # zlib's and safetensors' errors are of no common kind
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


def origin_properties(
    student: Student, static: StaticStudent, models: Iterable[onnx.ModelProto], storage: WeightStorage
) -> dict[str, str]:
    """The property for the graphs `models` of `static`, whose weights are float32 still.

    With `storage` float16 the scales and statistics of BatchNorms are rounded as large weights are. The weights that
    are read back with them make up for it: the answer stays the graph's.
    """
    held = layers_of_graphs(models)
    tensors = {
        name: value.detach()
        for name, value in static_layers(static).items()
        if name not in held or not torch.equal(held[name], value)
    }
    folded = folded_names(student)
    norms = {name.removesuffix("bias") for name in folded if name.endswith(".bias")}
    for name, value in student.state_dict().items():
        if name in folded or not value.is_floating_point():
            continue
        rounded = storage == "float16" and name[: name.rindex(".") + 1] in norms and value.abs().max() <= _LARGEST
        tensors[name] = value.to("cpu", torch.float16 if rounded else torch.float32)
    packed = zlib.compress(save({name: value.contiguous() for name, value in tensors.items()}), 9)
    preset = student.preset
    origin = Origin(
        lifter_input=preset.lifter_input,
        conventions=preset.conventions,
        packed=base64.b85encode(packed).decode("ascii"),
    )
    return {ORIGIN_KEY: origin.model_dump_json()}
