"""A graph that `orpose export` wrote -> the student it was made of, to train on from or to run with torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from pydantic import ValidationError
from torch import Tensor

from orpose_models.errors import ConfigError, ModelError
from orpose_models.export.metadata import ORIGIN_KEY
from orpose_models.export.origin import Origin, folded_names, layers_of_graphs, static_layers
from orpose_models.network.presets import get_preset
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.student import Student, build_student
from orpose_models.runtime.models import ModelInfo
from orpose_models.runtime.onnx_file import read_metadata
from orpose_models.runtime.person_buckets import second_graph
from orpose_models.settings import validation_message

#: Any: the layers do not depend on it.
_SIZE = (64, 64)
#: Layers that are read back and folded again differ from the graph's by less, as a share of the largest weight.
_SAME = 1e-6
_SHOWN = 3


def read_student(path: Path) -> tuple[Student, ModelInfo]:
    """The student of a float32 .onnx file, in evaluation mode, and what the file says about itself.

    Its answers are the graph's up to float32 rounding, in training mode too; weights that the file stores as float16
    stay as coarse as that.

    Raises:
        ModelError: Not a graph of ours, one that computes in float16 or int8, one that was exported before graphs kept
            what is needed, or a damaged one.
    """
    properties = read_metadata(path)
    info = ModelInfo.from_metadata(properties, path)
    if not info.precision.startswith("float32"):
        raise ModelError(
            f"{path}: computes in {info.precision}; weights can be read back from an fp32 graph alone: give the one"
            " that was exported with --precision fp32"
        )
    if ORIGIN_KEY not in properties:
        raise ModelError(
            f"{path}: exported before graphs could be read back, or the second of two graphs (give NAME.onnx, not"
            " NAME.poses.onnx); export its .safetensors file again"
        )
    poses = second_graph(properties, path)
    held = layers_of_graphs(_load(each) for each in (path, poses) if each is not None)
    try:
        origin = Origin.model_validate_json(properties[ORIGIN_KEY])
        student = _unfolded(info.preset, origin, {**held, **origin.tensors})
    except ValidationError as error:
        raise ModelError(f"{path}: {ORIGIN_KEY}: {validation_message(error)}; a newer orpose may read it") from None
    except (ValueError, ConfigError) as error:
        raise ModelError(f"{path}: not a whole export: {error}; export or download it again") from None
    return student.float().eval(), info


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(path))
    except Exception as error:  # protobuf's and onnx' errors share no base
        raise ModelError(f"{path}: not an ONNX file ({str(error).splitlines()[0]}); export it again") from None


def _unfolded(preset: str, origin: Origin, found: Mapping[str, Tensor]) -> Student:
    """The student (float64) of these layers and further tensors.

    Raises:
        ValueError: Some are missing, of another shape, or not what the exporter makes of any student.
    """
    sizes = get_preset(preset).with_conventions(origin.conventions).with_lifter_input(origin.lifter_input)
    untrained = () if origin.conventions.has_lifters else ("heads.lifter_hard.", "heads.lifter_soft.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # lifters that were not trained are not in the graph: new ones, the same in every call
        student = build_student(sizes).double().eval()
    own = {name: value for name, value in student.state_dict().items() if value.is_floating_point()}
    own = {name: value for name, value in own.items() if not name.startswith(untrained)}
    folded = {name: own.pop(name) for name in sorted(folded_names(student) & set(own))}
    _check(own, found)
    for name, value in own.items():
        value.copy_(found[name])
    _unfold(student, folded, found)
    return student


@torch.no_grad()
def _unfold(student: Student, folded: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> None:
    """Fills in the student's tensors `folded`, in place, so that its static network's layers are `held`.

    The static network moves the student's weights, multiplies them by factors and adds offsets; it never adds two of
    them. So where all weights are 0 it shows the offsets, where all are 1 the factors, and where each weight is its
    own number, where it went.
    """
    for weight in folded.values():
        weight.zero_()
    offsets = _layers(student)
    _check(offsets, held)
    offsets = {name: value for name, value in offsets.items() if value.any()}  # of few layers: r50 is large
    for weight in folded.values():
        weight.fill_(1)
    factors = {name: value - offsets.get(name, 0) for name, value in _layers(student).items()}
    count = 0
    for weight in folded.values():
        weight.copy_(torch.arange(count, count + weight.numel()).view(weight.shape))
        count += weight.numel()
    values = torch.zeros(count, dtype=torch.float64)
    for name, numbers in _layers(student).items():
        used = factors[name] != 0
        offset, factor = offsets.get(name, torch.zeros(())).expand_as(numbers)[used], factors[name][used]
        values[((numbers[used] - offset) / factor).round().long()] = (held[name][used].double() - offset) / factor
    for weight, own in zip(folded.values(), values.split([each.numel() for each in folded.values()]), strict=True):
        weight.copy_(own.view(weight.shape))
    for name, value in _layers(student).items():
        expected = held[name].double()
        if not ((value - expected).abs() <= _SAME * expected.abs().max()).all():  # nor are NaN
            raise ValueError(f"layer {name} is not one that `orpose export` makes")


def _layers(student: Student) -> dict[str, Tensor]:
    return static_layers(StaticStudent(student, _SIZE))


def _check(needed: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    wrong = [name for name, value in needed.items() if name not in found or found[name].shape != value.shape]
    if wrong:
        raise ValueError(f"{len(wrong)} tensors are missing or of another shape ({', '.join(wrong[:_SHOWN])})")
