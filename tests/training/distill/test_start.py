"""What a run starts from: random weights, another run's, and one branch made of two or two of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from orpose_models.errors import ConfigError, ModelError
from orpose_models.network import build_student, get_preset, save_weights
from orpose_models.network.conventions import Conventions
from orpose_models.network.weights import load_student
from training.data.dataset import Item, SourceConfig, read_items
from training.distill.config import TrainConfig
from training.distill.start import initial_student, precision_here


def config_of(preset: str, weights: Path | None, **changes: object) -> TrainConfig:
    return TrainConfig.model_validate({
        "name": "a", "preset": preset, "sources": [{"annotations": "a"}], "iterations": 1, "initial_weights": weights,
        "stages": [{"until": 1, "size": (96, 64), "batch_size": 2}], **changes,
    })  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for preset in ("lite", "lite_single"):
        save_weights(build_student(preset), folder / f"{preset}.safetensors")
    return {preset: folder / f"{preset}.safetensors" for preset in ("lite", "lite_single")}


@pytest.mark.parametrize(("source", "preset"), [("lite", "lite_single"), ("lite_single", "lite"), ("lite", "lite")])
def test_ablations_start_from_one_undistilled_student(weights: dict[str, Path], source: str, preset: str) -> None:
    student = initial_student(config_of(preset, weights[source]), [])
    start = initial_student(config_of(source, weights[source]), []).state_dict()
    for key, value in student.state_dict().items():
        origin = key if key in start else key.replace("keypoint.soft", "keypoint.hard").replace("_soft", "_hard")
        assert torch.equal(value, start[origin]), key


def test_settings_reach_the_student(weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.distill.start.computes_bfloat16", lambda: True)
    changes = {"trained_labels": "soft", "hard_3d_target": "h3d", "keypoint_rois_per_image": 3, "precision": "bf16"}
    changes |= {"training_proposals": 40, "training_proposals_per_level": 70, "heatmap_sigma": 1.5, "box_beta": 0.5}
    student = initial_student(config_of("lite_single", weights["lite"], **changes), [])
    heads = student.heads
    assert (student.rpn.training_proposals, student.rpn.training_proposals_per_level) == (40, 70)
    assert (heads.heatmap_sigma, heads.box_beta) == (1.5, 0.5)
    assert (heads.trained_labels, heads.hard_3d_target, heads.keypoint_rois_per_image) == ("soft", "h3d", 3)
    assert heads.keypoint.train_in_bf16


def test_bf16_is_not_emulated(weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.distill.start.computes_bfloat16", lambda: False)
    config = config_of("lite_single", weights["lite"], precision="bf16")
    assert precision_here(config) == "fp32"
    assert not initial_student(config, []).heads.keypoint.train_in_bf16
    assert precision_here(config.model_copy(update={"device": "cuda"})) == "bf16"


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_batch_norm_stays_as_it_was(weights: dict[str, Path], frozen: bool) -> None:
    pyramid = initial_student(config_of("lite", weights["lite"], freeze_batch_norm=frozen), []).pyramid.eval().train()
    norms = [module for module in pyramid.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    levels = pyramid(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True)) == frozen
    sum(level.sum() for level in levels).backward()
    assert all((norm.weight.grad is None) == frozen for norm in norms)
    assert pyramid.lateral[0][0].weight.grad is not None and pyramid.training


def test_lifters_that_read_something_else_are_new(weights: dict[str, Path]) -> None:
    student = initial_student(config_of("lite", weights["lite"], lifter_input="confidence"), [])
    start = initial_student(config_of("lite", weights["lite"]), []).state_dict()
    assert student.heads.lifter_hard.w1.in_features == 51
    same = {key for key, value in student.state_dict().items() if torch.equal(value, start[key])}
    assert {key for key in start if ".lifter_" not in key} <= same
    assert "heads.lifter_soft.w2.weight" not in same and "heads.lifter_stats.mean3d" in same


def test_a_smaller_head_takes_the_layers_that_it_has(weights: dict[str, Path]) -> None:
    student = initial_student(config_of("lite_12x", weights["lite"]), [])
    start = load_student(weights["lite"]).state_dict()
    assert all(torch.equal(value, start[key]) for key, value in student.state_dict().items())
    assert len(student.state_dict()) < len(start)


def test_weights_of_another_preset(weights: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=r"lite\.safetensors is of preset 'lite', the run's is 'r50'"):
        initial_student(config_of("r50", weights["lite"]), [])


@pytest.fixture(scope="module")
def items(make_dataset: Callable[..., Path]) -> list[Item]:
    """Two people with 3D labels."""
    return read_items([SourceConfig(annotations=make_dataset(2))])


def without_3d(items: list[Item]) -> list[Item]:
    """The same people as plain COCO labels them."""
    return [replace(item, persons=[replace(p, keypoints_3d=None) for p in item.persons]) for item in items]


def test_weights_from_elsewhere_keep_their_conventions_and_get_lifters(
    tmp_path: Path, monkeypatch, items: list[Item]
) -> None:
    path, measured = tmp_path / "coco.safetensors", []
    monkeypatch.setattr(
        "training.distill.start.set_lifter_statistics", lambda *arguments: measured.append(arguments[0])
    )
    for has_lifters in (False, True):
        conventions = Conventions(aligned_rois=False, divided_strides=True, has_lifters=has_lifters)
        save_weights(build_student(get_preset("lite_single").with_conventions(conventions)), path)
        student = initial_student(config_of("lite", path), items)
        assert student.preset.conventions == Conventions(aligned_rois=False, divided_strides=True)
        assert student.heads.preset == student.rpn.anchor_generator.preset == student.preset
        assert measured == ([] if has_lifters else [student]), "only what no lifter was trained with is measured anew"
        measured.clear()


@pytest.mark.parametrize(
    ("start", "changes", "has_lifters"),
    [
        ("nothing", {}, False),
        ("untrained", {}, False),
        ("trained", {}, True),
        ("trained", {"lifter_input": "confidence"}, False),
    ],
)
def test_without_3d_labels_no_lifters_but_those_that_were_trained_before(
    tmp_path: Path, items: list[Item], start: str, changes: dict[str, str], has_lifters: bool
) -> None:
    path = None if start == "nothing" else tmp_path / "start.safetensors"
    if path is not None:
        save_weights(
            build_student(get_preset("lite").with_conventions(Conventions(has_lifters=start == "trained"))), path
        )
    student = initial_student(config_of("lite", path, **changes), without_3d(items))
    assert student.preset.conventions.has_lifters is has_lifters
    assert not any(p.requires_grad for lifter in student.heads.lifters for p in lifter.parameters()), (
        "nor do they decay"
    )
    with_3d = initial_student(config_of("lite", path, **changes), items)
    assert with_3d.preset.conventions.has_lifters and with_3d.heads.lifter_soft.w1.weight.requires_grad


def test_lifters_cannot_be_fitted_without_3d_labels(items: list[Item]) -> None:
    with pytest.raises(ConfigError, match=r"lifter_iterations: got 5, but nobody is labelled in 2D and 3D"):
        initial_student(config_of("lite", None, lifter_iterations=5), without_3d(items))
    assert initial_student(config_of("lite", None, lifter_iterations=5), items).preset.conventions.has_lifters


def test_truncated_weights(weights: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(weights["lite"].read_bytes()[:50_000])
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        initial_student(config_of("lite", path), [])
