"""A checkpoint of torchvision, detectron2 or ORPose -> our network, equal to the original (docs/convert.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orpose_models.checkpoints.config import ConvertConfig
from orpose_models.checkpoints.families import Family, recognise
from orpose_models.checkpoints.files import read_tensors, refuse
from orpose_models.checkpoints.lifters import read_h36_statistics, read_lifter, take_our_joints
from orpose_models.checkpoints.names import newest_names
from orpose_models.errors import ConfigError, ModelError
from orpose_models.files import file_sha256
from orpose_models.network.backbone import IMAGE_STD
from orpose_models.network.decode import ScoreCalibration
from orpose_models.network.lifter import Lifter, LifterStatistics
from orpose_models.network.presets import Preset, get_preset
from orpose_models.network.student import Student, build_student

_HINT = "give a keypoint R-CNN of torchvision (.pth), detectron2 (.pkl, .pth) or ORPose (.pth)"
_EXPECTED = "a keypoint R-CNN with ResNet-50, FPN, one class and 17 joints"
#: Ends of the names of what files hold beside weights.
_NO_WEIGHTS = ("num_batches_tracked", "pixel_mean", "pixel_std")
_ANCHORS = "anchor_generator.cell_anchors"
_FIRST, _SCORE, _DELTA = "pyramid.trunk.stages.0.0", "heads.box.score", "heads.box.delta"


@dataclass(frozen=True)
class Imported:
    """The network, and what its card should tell of where it is from."""

    student: Student
    facts: dict[str, Any]


def import_checkpoint(path: Path, config: ConvertConfig, sizes: Preset | None = None) -> Imported:
    """The student of a checkpoint, in evaluation mode, float64: what is folded stays exact until it is stored.

    Args:
        path: .pth, .pkl or .safetensors.
        config: What the file does not tell.
        sizes: Numbers of proposals and people other than those of `r50`, to compare with the original.

    Raises:
        ModelError: a file that is missing, corrupt, of another network, or holds NaN.
        ConfigError: options that do not fit the file.
    """
    tensors = read_tensors(path, hint=_HINT)
    sha256 = file_sha256(path)
    family = recognise(tensors, path, sha256, config)
    preset = _preset(family, config, sizes)
    _check_options(path, family, config)
    with torch.device("meta"):  # shapes alone: all numbers come from the checkpoint
        student = build_student(preset).eval()
    found = _our_tensors(student, tensors, family, path)
    student.load_state_dict({**_untrained(student), **found}, assign=True)
    _set_lifters(student, family, config)
    return Imported(student, _facts(path, sha256, family, preset, config))


def _preset(family: Family, config: ConvertConfig, sizes: Preset | None) -> Preset:
    own = "r50" if family.branches == 2 else "r50_single"
    preset = sizes or get_preset(config.preset or own)
    if preset.branches < family.branches:
        raise ConfigError(f"preset: got {preset.name}, which has one keypoint branch, the checkpoint has two; give r50")
    conventions = family.conventions.model_copy(
        update={"has_lifters": family.conventions.has_lifters or config.lifter is not None}
    )
    return preset.with_conventions(conventions)


def _check_options(path: Path, family: Family, config: ConvertConfig) -> None:
    if family.name == "torchvision" and "resnet" in config.model_fields_set:
        raise ConfigError(f"resnet: is for detectron2's networks, and {path} is torchvision's; leave --resnet out")
    if config.lifter is None and "lifter_kind" in config.model_fields_set:
        raise ConfigError("lifter_kind: given, but there is no --lifter whose kind it is; give one, or leave it out")
    if family.name == "orpose" and config.lifter is not None:
        raise ConfigError(f"lifter: {path} has lifters of its own; leave --lifter out")
    needed = family.name == "orpose" or config.lifter is not None
    if needed and config.h36stats is None:
        raise ConfigError("h36stats: none given; lifters need Human3.6M's statistics: give --h36stats h36stats.json")
    if not needed and config.h36stats is not None:
        raise ConfigError("h36stats: given, but there is no lifter; give --lifter as well, or leave it out")


def _our_tensors(student: Student, tensors: dict[str, Tensor], family: Family, path: Path) -> dict[str, Tensor]:
    """Our name -> tensor, float64, checked and folded."""
    layers = family.layers(student.preset)
    own = {key: value for key, value in student.state_dict().items() if _layer(key) in layers}
    own = {key: value for key, value in own.items() if not key.endswith("num_batches_tracked")}
    theirs = {key: f"{layers[_layer(key)]}.{key.rsplit('.', 1)[1]}" for key in own}
    given = newest_names(tensors)
    in_trunk = [name for name in given if name.startswith("backbone.")]
    if family.name != "torchvision" and not any(name.endswith("running_var") for name in in_trunk):
        tensors, given = _with_unit_statistics(own, theirs, tensors, given)
    _check(own, theirs, {name: tensors[file_name] for name, file_name in given.items()}, family, path)
    found = {key: tensors[given[name]].to(torch.float64, copy=True) for key, name in theirs.items()}
    _fold_image(found, tensors, family, path)
    _order_classes(found, family)
    _fold_eps(student, found, family, path)
    return found


def _untrained(student: Student) -> dict[str, Tensor]:
    """What no keypoint R-CNN has: lifters, their statistics, calibration; the same in every call, to train from."""
    heads: dict[str, nn.Module] = {"lifter_stats": LifterStatistics(), "calibration": ScoreCalibration()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for branch, _ in zip(("hard", "soft"), student.heads.lifters, strict=False):
            heads[f"lifter_{branch}"] = Lifter(student.preset.lifter_width)
    tensors = {f"heads.{part}.{key}": value for part, head in heads.items() for key, value in head.state_dict().items()}
    counters = [key for key in student.state_dict() if key.endswith("num_batches_tracked")]
    counts = {key: torch.zeros((), dtype=torch.long) for key in counters}
    return {**{key: value.double() for key, value in tensors.items()}, **counts}


def _layer(key: str) -> str:
    return key.rsplit(".", 1)[0]


def _with_unit_statistics(
    own: dict[str, Tensor], theirs: dict[str, str], tensors: dict[str, Tensor], given: dict[str, str]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Adds means of 0 and variances of 1 to a file that has none at all, as detectron2 does with its oldest files."""
    values = {"running_mean": torch.zeros_like, "running_var": torch.ones_like}
    missing = {
        theirs[key]: values[key.rsplit(".", 1)[1]](value, device="cpu")
        for key, value in own.items()
        if key.endswith(tuple(values)) and key.startswith("pyramid.")
    }
    return {**tensors, **missing}, {**given, **{name: name for name in missing}}


def _check(
    own: dict[str, Tensor], theirs: dict[str, str], given: dict[str, Tensor], family: Family, path: Path
) -> None:
    """Every tensor that is needed is there, has its shape and is finite, and none is left over."""
    needed = set(theirs.values())
    shapes = {theirs[key]: _shape_there(key, value, family) for key, value in own.items()}
    there = {name: given[name] for name in needed & set(given)}
    left_over = set(given) - needed
    problems = {
        "missing": sorted(needed - set(given)),
        "unexpected": sorted(n for n in left_over if not n.endswith(_NO_WEIGHTS) and _ANCHORS not in n),
        "of another shape": sorted(
            f"{name} {tuple(value.shape)}, expected {shapes[name]}"
            for name, value in there.items()
            if tuple(value.shape) != shapes[name]
        ),
        "not of floating point numbers": sorted(n for n, value in there.items() if not value.is_floating_point()),
        "with NaN or infinite numbers": sorted(n for n, value in there.items() if not value.isfinite().all()),
    }
    refuse(path, problems, expected=_EXPECTED)


def _shape_there(key: str, value: Tensor, family: Family) -> tuple[int, ...]:
    if _layer(key) == _DELTA and family.class_boxes:
        return (2 * value.shape[0], *value.shape[1:])
    return tuple(value.shape)


def _fold_image(found: dict[str, Tensor], tensors: dict[str, Tensor], family: Family, path: Path) -> None:
    """Puts order and deviation of the colours into the first convolution; all means are the same, ImageNet's.

    A mean could not be folded: the convolution pads with zeros, which come after its subtraction.
    """
    for name, expected in (("pixel_mean", family.mean), ("pixel_std", family.std)):
        value = [round(float(each), 3) for each in tensors[name].flatten()] if name in tensors else list(expected)
        if not torch.allclose(torch.tensor(value), torch.tensor(expected), atol=0.01):
            raise ModelError(
                f"{path}: {name} is {value}, expected {[round(each, 3) for each in expected]}; see --resnet"
            )
    weight = found[f"{_FIRST}.weight"]
    rgb, std = (weight.flip(1), family.std[::-1]) if family.channels == "BGR" else (weight, family.std)
    scale = [255 * ours / theirs for ours, theirs in zip(IMAGE_STD, std, strict=True)]
    found[f"{_FIRST}.weight"] = rgb * rgb.new_tensor(scale).view(1, 3, 1, 1)


def _order_classes(found: dict[str, Tensor], family: Family) -> None:
    """Background first, person second; of the box deltas the person's alone."""
    for part in ("weight", "bias"):
        if family.background == 1:
            found[f"{_SCORE}.{part}"] = found[f"{_SCORE}.{part}"].flip(0)
        if family.class_boxes:
            found[f"{_DELTA}.{part}"] = found[f"{_DELTA}.{part}"].unflatten(0, (2, 4))[1 - family.background]


def _fold_eps(student: Student, found: dict[str, Tensor], family: Family, path: Path) -> None:
    """Puts an eps other than ours into the scales; the statistics stay what they are, to train on with."""
    norms = {n: m for n, m in student.named_modules() if isinstance(m, nn.BatchNorm2d) and f"{n}.running_var" in found}
    lowest = min(float(found[f"{name}.running_var"].min()) for name in norms)
    if lowest < 0 or lowest + family.eps <= 0:
        raise ModelError(f"{path}: a variance of {lowest:g} with an eps of {family.eps:g}; see --batch-norm-eps")
    for name, norm in norms.items():
        if norm.eps != family.eps:
            variance = found[f"{name}.running_var"]
            found[f"{name}.weight"] *= ((variance + norm.eps) / (variance + family.eps)).sqrt()


def _set_lifters(student: Student, family: Family, config: ConvertConfig) -> None:
    if config.h36stats is None:
        return
    statistics = read_h36_statistics(config.h36stats)
    student.set_lifter_statistics(*statistics)
    if config.lifter is None:
        return
    for branch, lifter in zip(("hard", "soft"), student.heads.lifters, strict=False):
        published = read_lifter(config.lifter, config.lifter_kind, branch).double()
        if config.lifter_kind == "martinez":
            take_our_joints(published, statistics)
        lifter.load_state_dict(published.state_dict())


def _facts(path: Path, sha256: str, family: Family, preset: Preset, config: ConvertConfig) -> dict[str, Any]:
    branches = "as in the checkpoint" if preset.branches == family.branches else "the checkpoint's single one, twice"
    return {
        "source": {"file": path.name, "sha256": sha256, "family": family.name},
        "folded_into_the_weights": {
            "channels": family.channels,
            "pixel_std": [round(value, 3) for value in family.std],
            "batch_norm_eps": family.eps,
            "background_class": "first" if family.background == 0 else "last",
        },
        "conventions": preset.conventions.model_dump(),
        "keypoint_branches": f"{preset.branches}: {branches}",
        "lifters": _lifter_fact(family, config),
        "score_calibration": "none: joint scores are softmax peaks",
        "licence": f"the checkpoint's; of the published one: {family.licence}",
    }


def _lifter_fact(family: Family, config: ConvertConfig) -> str:
    if family.name == "orpose":
        return "the checkpoint's; joints that enter: orpose"
    if config.lifter is None:
        return "not trained: 3D joints are 0 with score 0"
    folded = ", changed to take orpose's" if config.lifter_kind == "martinez" else ""
    return (
        f"of {config.lifter.name} ({file_sha256(config.lifter)[:8]}); joints that enter: {config.lifter_kind}{folded}"
    )
