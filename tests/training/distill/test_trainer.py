"""Runs on a handful of stick figures: they learn, resume exactly, survive a kill, and write what they should."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from orpose_models.annotations import read_annotations, write_annotations
from orpose_models.errors import ConfigError, OrposeError
from orpose_models.network.weights import load_student, read_input_size, save_weights
from training.data.augment_config import NO_AUGMENTATION
from training.data.dataset import SourceConfig
from training.distill.config import PartnerConfig, TrainConfig, ValidationConfig
from training.distill.finish import finish
from training.distill.lifters import LifterConfig
from training.distill.log import RunLog
from training.distill.trainer import Trainer


@pytest.fixture(scope="module")
def config(make_dataset: Callable[..., Path]) -> TrainConfig:
    source = {"annotations": make_dataset(6)}
    return TrainConfig.model_validate(
        {
            "name": "figures",
            "sources": [source],
            "stages": [
                {"until": 0.7, "size": (96, 64), "batch_size": 3},
                {"until": 1, "size": (128, 96), "batch_size": 2},
            ],
            "validation": {"sources": [source], "downsample": (1.0, 4.0)},
            "keypoint_rois_per_image": 2,
            "iterations": 6,
            "log_every": 2,
            "num_workers": 0,
            "threads": 1,
        }
    )


def stop_at(monkeypatch: pytest.MonkeyPatch, iteration: int) -> None:
    """Sends SIGTERM to this process when that iteration is logged."""
    add, count = RunLog.add, [0]

    def add_and_stop(log: RunLog, values: Any) -> None:
        count[0] += 1
        if count[0] == iteration:
            os.kill(os.getpid(), signal.SIGTERM)
        add(log, values)

    monkeypatch.setattr(RunLog, "add", add_and_stop)


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def test_resume_is_exact(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Trainer(config, tmp_path / "whole")
    assert whole.train()
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        killed = Trainer(config, tmp_path / "killed")
        assert not killed.train()
    assert (killed.iteration, killed.stop_signal) == (3, signal.SIGTERM)
    resumed = Trainer(config, tmp_path / "killed", resume=True)
    assert resumed.train()
    first, second = whole._state(), resumed._state()
    for state in (first, second):
        state.pop("elapsed_s")
        state["log"]["sums"].clear()
    assert same(first, second)
    logs = [[json.loads(line)["loss"] for line in run.log.path.read_text().splitlines()] for run in (whole, resumed)]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 3


def test_a_run_learns(config: TrainConfig, tmp_path: Path) -> None:
    """Six pictures, no augmentation, 60 iterations: the sum of the losses falls by a quarter or more."""
    changes = {"iterations": 60, "augment": NO_AUGMENTATION, "ema_decay": 0.8, "stages": config.stages[1:]}
    trainer = Trainer(config.model_copy(update=changes), tmp_path)
    assert trainer.train()
    losses = [json.loads(line)["loss"] for line in trainer.log.path.read_text().splitlines()]
    assert losses[-1] < 0.75 * losses[0]
    card = finish(trainer)
    assert card["schedule"]["iterations"] == 60
    assert set(card["metrics"]["validation"]) == {
        f"{name}@{factor}x" for name in ("box_ap50", "box_ap", "keypoint_ap") for factor in (1, 4)
    }
    assert read_input_size(tmp_path / "weights.safetensors") == (128, 96)
    student = load_student(tmp_path / "weights.safetensors")
    assert same(dict(student.state_dict()), dict(trainer.average.model.state_dict()))
    for picture in ("samples.png", "curves.png"):
        assert cv2.imread(str(tmp_path / picture)) is not None


def test_a_run_without_a_finite_loss_ends(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.distill.trainer.train_step", lambda *_: None)
    trainer = Trainer(config.model_copy(update={"iterations": 1000}), tmp_path)
    with pytest.raises(OrposeError, match="20 steps in a row without a finite gradient"):
        trainer.train()


def test_resume_with_other_data_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    Trainer(config, tmp_path).save()
    fewer = config.sources[0].model_copy(update={"limit": 3})
    with pytest.raises(OrposeError, match=r"begun with other settings: sources, num_items \(6, now 3\)"):
        Trainer(config.model_copy(update={"sources": (fewer,)}), tmp_path, resume=True)


def test_pseudo_labels_beside_labelled_images(
    config: TrainConfig, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    """data.md's pseudo labels: soft joints, both 3D sets, weights; some people without any hard joint."""
    pseudo = make_dataset(4, seed=1)
    labels = read_annotations(pseudo / "annotations.json")
    rng = np.random.default_rng(0)
    people = []
    for number, person in enumerate(labels.persons):
        assert person.keypoints is not None
        soft = np.column_stack([person.keypoints[:, :2], rng.uniform(0.1, 1, 17)])
        lifted = np.column_stack([rng.normal(0, 300, (17, 3)), np.full(17, 2)])
        hard = person.keypoints.copy()
        hard[:, 2] = 0 if number == 0 else np.where(soft[:, 2] > 0.5, 2, 0)
        new = {"keypoints": hard, "keypoints_soft": soft, "keypoints_3d": None, "score": 0.9,
               "keypoints_3d_soft": lifted, "keypoints_3d_hard": lifted * 0.9,
               "joint_weight": rng.choice([0.0, 0.5, 1.0], 17)}  # fmt: skip
        people.append(replace(person, **new))
    write_annotations(pseudo / "annotations.json", replace(labels, persons=tuple(people)))
    sources = (*config.sources, SourceConfig(annotations=pseudo))
    stage = config.stages[0].model_copy(update={"until": 1.0, "batch_size": 10})
    changes = {"sources": sources, "iterations": 3, "stages": (stage,), "hard_3d_target": "h3d", "log_every": 1}
    trainer = Trainer(config.model_copy(update=changes), tmp_path)
    assert trainer.train()
    lines = [json.loads(line) for line in trainer.log.path.read_text().splitlines()]
    for name in ("loss_2d_hard", "loss_2d_soft", "loss_3d_hard", "loss_3d_soft"):
        assert all(0 < line[name] < 20 for line in lines), name
    assert trainer.skipped == set()


def test_finishing_fits_the_lifters_that_the_run_asks_for(config: TrainConfig, tmp_path: Path) -> None:
    lifters = LifterConfig(batch_size=8, pool=32)
    changes = {"lifter_input": "confidence", "lifter_iterations": 2, "lifters": lifters}
    trainer = Trainer(config.model_copy(update=changes), tmp_path)
    before = trainer.average.model.heads.lifter_soft.w2.weight.clone()
    card = finish(trainer)
    assert card["lifters"] == "fitted alone on 6 people"
    weights = load_student(tmp_path / "weights.safetensors")
    assert weights.preset.lifter_input == "confidence"
    assert not torch.equal(weights.heads.lifter_soft.w2.weight, before)


def test_a_run_that_ended_gives_the_same_weights_when_it_is_resumed(config: TrainConfig, tmp_path: Path) -> None:
    lifters = LifterConfig(batch_size=8, pool=32)
    changes = {"iterations": 1, "lifter_iterations": 2, "lifters": lifters, "validation": ValidationConfig()}
    config = config.model_copy(update=changes)
    trainer = Trainer(config, tmp_path)
    assert trainer.train()
    averaged = {key: value.clone() for key, value in trainer.average.model.state_dict().items()}
    finish(trainer)
    written = dict(load_student(tmp_path / "weights.safetensors").state_dict())
    again = Trainer(config, tmp_path, resume=True)
    assert same(dict(again.average.model.state_dict()), averaged), "the average is not what was fitted"
    assert again.train()
    finish(again)
    assert same(dict(load_student(tmp_path / "weights.safetensors").state_dict()), written)


@pytest.mark.parametrize("shares", [(0.25,), (0.0,), (0.25, 0.5)])
def test_the_mean_with_other_weights_has_the_first_ones_lifters(
    config: TrainConfig, tmp_path: Path, shares: tuple[float, ...]
) -> None:
    partners = []
    for seed, share in enumerate(shares):
        partners.append(PartnerConfig(weights=tmp_path / f"{seed}.safetensors", share=share))
        student = Trainer(config.model_copy(update={"seed": seed}), tmp_path / "first").student
        save_weights(student, partners[-1].weights)
    loaded = [load_student(partner.weights) for partner in partners]
    changes = {"seed": 9, "average_with": tuple(partners)}
    last = Trainer(config.model_copy(update=changes), tmp_path / "last")
    own = last.average.model
    finish(last)
    mean = load_student(tmp_path / "last/weights.safetensors")
    expected = (1 - sum(shares)) * own.heads.box.fc6[0].weight
    expected += sum(share * other.heads.box.fc6[0].weight for share, other in zip(shares, loaded, strict=True))
    assert torch.allclose(mean.heads.box.fc6[0].weight, expected)
    assert torch.equal(mean.heads.lifter_hard.w2.weight, loaded[0].heads.lifter_hard.w2.weight)
    with pytest.raises(ConfigError, match=r"average_with: .* of preset 'lite' .* the run's are 'lite_small'"):
        Trainer(config.model_copy(update={**changes, "preset": "lite_small"}), tmp_path / "other")


def test_layers_that_the_run_does_not_have_are_left_out_of_the_mean(config: TrainConfig, tmp_path: Path) -> None:
    partner = PartnerConfig(weights=tmp_path / "lite.safetensors", share=0.25)
    save_weights(Trainer(config.model_copy(update={"seed": 1}), tmp_path / "first").student, partner.weights)
    trainer = Trainer(
        config.model_copy(update={"preset": "lite_12x", "average_with": (partner,)}), tmp_path / "smaller"
    )
    own = trainer.average.model.state_dict()
    finish(trainer)
    mean, other = (load_student(path) for path in (tmp_path / "smaller/weights.safetensors", partner.weights))
    key = next(key for key, value in own.items() if key.startswith("heads.keypoint.") and value.ndim == 4)
    assert torch.allclose(mean.state_dict()[key], 0.75 * own[key] + 0.25 * other.state_dict()[key])
    assert mean.state_dict().keys() < other.state_dict().keys()


def test_shares_of_more_than_the_whole_are_refused(config: TrainConfig) -> None:
    partners = [{"weights": "a.safetensors", "share": 0.7}, {"weights": "b.safetensors", "share": 0.7}]
    with pytest.raises(ValueError, match=r"average_with: the shares' sum must be 1 at most, got 1\.4"):
        TrainConfig.model_validate({**config.model_dump(), "average_with": partners})
    whole = [{"weights": "a.safetensors", "share": share} for share in (0.33, 0.56, 0.11)]  # as floats above 1
    assert len(TrainConfig.model_validate({**config.model_dump(), "average_with": whole}).average_with) == 3


def test_weights_without_lifters_are_no_partner(config: TrainConfig, tmp_path: Path) -> None:
    student = Trainer(config, tmp_path / "first").student
    without = student.preset.conventions.model_copy(update={"has_lifters": False})
    student.preset = student.preset.with_conventions(without)
    weights = tmp_path / "without.safetensors"
    save_weights(student, weights)
    with pytest.raises(ConfigError, match=r"average_with: .* has_lifters=False, the run's"):
        partner = PartnerConfig(weights=weights, share=0.5)
        Trainer(config.model_copy(update={"average_with": (partner,)}), tmp_path / "second")


def test_plain_coco_labels_give_weights_without_lifters(config: TrainConfig, tmp_path: Path, make_dataset) -> None:
    folder = make_dataset(3)
    labels = read_annotations(folder / "annotations.json")
    people = tuple(replace(person, keypoints_3d=None) for person in labels.persons)
    write_annotations(folder / "annotations.json", replace(labels, persons=people))
    changes = {"sources": (SourceConfig(annotations=folder),), "iterations": 1, "validation": ValidationConfig()}
    trainer = Trainer(config.model_copy(update=changes), tmp_path)
    assert trainer.train()
    assert finish(trainer)["lifters"] == "not trained, nobody is labelled in 3D: 3D joints are 0 with score 0"
    assert not load_student(tmp_path / "weights.safetensors").preset.conventions.has_lifters


def test_going_on_from_other_weights(config: TrainConfig, tmp_path: Path) -> None:
    first = Trainer(config, tmp_path / "first")
    finish(first)
    changes = {"initial_weights": tmp_path / "first/weights.safetensors", "seed": 9, "hard_3d_target": "h3d"}
    second = Trainer(config.model_copy(update=changes), tmp_path / "second")
    assert same(dict(second.student.state_dict()), dict(first.student.state_dict()))
    assert second.student.heads.hard_3d_target == "h3d"
    second.train()
    entries = [json.loads(line) for line in (tmp_path / "second/log.jsonl").read_text().splitlines()]
    measured = [entry for entry in entries if "validation" in entry]
    assert measured[0]["iteration"] == 0, "what it starts from"
