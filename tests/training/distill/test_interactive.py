"""Interactive training: who learns from whom, snapshots at epoch ends, exact resume, and errors."""

from __future__ import annotations

import copy
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from orpose.main import main
from orpose_models.annotations import read_annotations, write_annotations
from orpose_models.errors import ConfigError, InputError, OrposeError
from orpose_models.network import build_student, get_preset
from orpose_models.network.conventions import Conventions
from orpose_models.network.weights import load_student, save_weights
from orpose_models.settings import build_settings
from training.data.augment_config import NO_AUGMENTATION, ScaleChoice
from training.data.dataset import image_tensor
from training.data.loader import Batch
from training.data.privacy import down_and_up
from training.distill import interactive
from training.distill.checkpoint import read_checkpoint, write_checkpoint
from training.distill.config import TrainConfig
from training.distill.ensemble import Look, evaluating, interactive_labels
from training.distill.finish import finish
from training.distill.interactive import InteractiveTrainer
from training.distill.log import RunLog
from training.distill.step import train_step
from training.teacher.stages import Boxes


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Weights of three networks that take about half of their proposals for people."""
    folder, paths = tmp_path_factory.mktemp("starts"), []
    for seed in range(3):
        torch.manual_seed(seed)
        student = build_student("lite").eval()
        with torch.no_grad():
            student.heads.box.score.bias.copy_(torch.tensor([0.0, 0.5]))
            for branch in (student.heads.keypoint.hard, student.heads.keypoint.soft):
                branch.weight.mul_(20_000)
        paths.append(folder / f"{seed}.safetensors")
        save_weights(student, paths[-1])
    return paths


@pytest.fixture(scope="module")
def config(make_dataset: Callable[..., Path], starts: list[Path]) -> TrainConfig:
    unlabelled = make_dataset(4, seed=1)
    labels = read_annotations(unlabelled / "annotations.json")
    write_annotations(unlabelled / "annotations.json", type(labels)(labels.images, ()))  # nobody is labelled
    return build_settings(
        TrainConfig,
        {
            "name": "interactive",
            "initial_weights": starts[2],
            "sources": [{"annotations": unlabelled}],
            "interactive": {
                "labelled": [{"annotations": make_dataset(3)}],
                "teachers": starts[:2],
                "correction": {"hard_below": 0.2, "min_score": 0.0},
                "joint_threshold": 0.0,
            },
            "stages": [{"until": 1, "size": (96, 64), "batch_size": 2}],
            "augment": {"cut_occlude_joints": 2, "rotation_sigma_deg": 30},
            "keypoint_rois_per_image": 2,
            "iterations": 2,
            "log_every": 1,
            "num_workers": 0,
            "threads": 1,
        },
        "test",
    )


def weights_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(dict(network.state_dict()))


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def seeded_step(*arguments: Any) -> Any:
    torch.manual_seed(0)
    return train_step(*arguments)


def test_each_learns_from_the_others_labels_only(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without T1's labels T2 learns something else, and so on; and nobody else does."""
    trainer = InteractiveTrainer(config, tmp_path)
    begin = copy.deepcopy(trainer._state())
    batch, _ = next(iter(trainer._batches()))
    found = trainer._labels(batch)
    assert all(any(people) for people in found), "there must be people to learn"
    for module in ("interactive", "trainer"):  # what one network draws must not depend on the others
        monkeypatch.setattr(f"training.distill.{module}.train_step", seeded_step)

    def after_one_step(labels: tuple) -> list[dict[str, torch.Tensor]]:
        """Weights of T1, T2 and the student."""
        trainer._load_state(copy.deepcopy(begin))
        monkeypatch.setattr(trainer, "_labels", lambda _: labels)
        assert trainer._step(batch) is not None
        return [weights_of(network) for network in (*trainer.teachers, trainer.student)]

    as_it_is = after_one_step(found)
    for labels, learner in {0: 1, 1: 0, 2: 2}.items():  # whose labels: who learns from them
        without = tuple([[] for _ in people] if number == labels else people for number, people in enumerate(found))
        changed = after_one_step(without)
        for number, (before, after) in enumerate(zip(as_it_is, changed, strict=True)):
            assert same(before, after) == (number != learner), (labels, number)


def test_a_teachers_own_labels_are_what_it_alone_sees(config: TrainConfig, starts: list[Path]) -> None:
    first, second, third = (load_student(path).train() for path in starts)
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    settings = config.interactive
    assert settings is not None
    of_first, of_second, both = interactive_labels((first, second), (first, second), images, settings)
    assert first.training and second.training
    again, of_third, _ = interactive_labels((first, third), (second, third), images, settings)
    assert boxes_of(again) == boxes_of(of_first) != boxes_of(of_second) != boxes_of(of_third)
    with evaluating(first), torch.no_grad():
        expected = first(list(images))
    for people, found in zip(of_first, expected, strict=True):
        assert 0 < len(people) == int((found["scores"] >= 0.5).sum())
        for person, box, joints in zip(people, found["boxes"], found["keypoints"], strict=False):
            np.testing.assert_allclose(person.bbox[:2], box[:2].clamp(min=0), atol=1e-3)
            np.testing.assert_allclose(person.keypoints_soft, joints, rtol=1e-3, atol=0.01)
            assert person.keypoints_3d_soft is not None and np.isfinite(person.keypoints_3d_soft).all()
    assert all(any(0 < w < 1 for w in person.joint_weight) for people in both for person in people)


def boxes_of(people: list) -> list:
    return [person.bbox.tolist() for persons in people for person in persons]


def test_a_snapshot_that_agrees_corrects_a_joint(config: TrainConfig, starts: list[Path]) -> None:
    """T2' is T1 itself: every joint's closest pair is (T1, T2'), which both say T1's own joint."""
    first, second, third = map(load_student, starts)
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    settings = config.interactive
    assert settings is not None
    _, _, (corrected,) = interactive_labels((first, second), (third, first), images, settings)
    boxes = np.array([[*p.bbox[:2], *(p.bbox[:2] + p.bbox[2:])] for p in corrected], np.float32)
    people = Boxes(boxes, np.ones(len(boxes), np.float32))
    (alone,) = Look(first, images).joints([people])
    np.testing.assert_allclose(np.stack([p.keypoints_soft for p in corrected]), alone, rtol=1e-3, atol=0.02)
    current = settings.model_copy(update={"correction": settings.correction.model_copy(update={"pairs": "current"})})
    _, _, (plain,) = interactive_labels((first, second), (third, first), images, current)
    (other,) = Look(second, images).joints([people])
    mean = (alone + other) / 2
    diagonals = np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=1)[:, None]
    near = np.linalg.norm(alone[..., :2] - other[..., :2], axis=-1) < settings.correction.hard_below * diagonals
    better = np.where(alone[..., 2:] >= other[..., 2:], alone, other)
    assert near.any() and not near.all()
    expected = np.where(near[..., None], mean, better)
    expected[..., 2] = mean[..., 2]
    np.testing.assert_allclose(np.stack([p.keypoints_soft for p in plain]), expected, rtol=1e-3, atol=0.02)


def train_and_remember(trainer: InteractiveTrainer, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list, list]]:
    """Weights of the teachers and of the snapshots after each iteration."""
    history: list[tuple[list, list]] = []
    add = RunLog.add

    def remember(log: RunLog, values: Any) -> None:
        history.append((list(map(weights_of, trainer.teachers)), list(map(weights_of, trainer.snapshots))))
        add(log, values)

    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "add", remember)
        assert trainer.train()
    return history


def test_snapshots_are_of_the_last_epochs_end_and_resume_is_exact(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four images, two a batch: an epoch is two iterations."""
    monkeypatch.setattr("training.distill.trainer.write_curves", lambda *_: None)  # slow, and tested elsewhere
    whole = InteractiveTrainer(config, tmp_path / "whole")
    begin = [weights_of(teacher) for teacher in whole.teachers]
    (t1, s1), (t2, s2) = train_and_remember(whole, monkeypatch)
    assert same(s1, begin) and not same(t1, begin)
    assert same(s2, t2) and not same(t2, t1)
    ended = InteractiveTrainer(config, tmp_path / "whole", resume=True)
    assert same(list(map(weights_of, ended.snapshots)), s2) and same(list(map(weights_of, ended.teachers)), t2)
    add = RunLog.add

    def stop(log: RunLog, values: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        add(log, values)

    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "add", stop)
        assert not InteractiveTrainer(config, tmp_path / "killed").train()
    resumed = InteractiveTrainer(config, tmp_path / "killed", resume=True)
    assert resumed.iteration == 1
    assert not same(weights_of(resumed.snapshots[0]), weights_of(resumed.teachers[0]))
    assert resumed.train()
    first, second = whole._state(), resumed._state()
    for state in (first, second):
        state.pop("elapsed_s")
        state["log"]["sums"].clear()
    assert same(first, second)
    lines = [json.loads(line) for line in whole.log.path.read_text().splitlines()]
    for name in ("loss", "teacher1_loss", "teacher2_loss", "pseudo_people", "pseudo_joints", "pseudo_hard_joints"):
        assert all(line[name] > 0 for line in lines), name
    finish(resumed)
    assert same(weights_of(load_student(tmp_path / "killed/weights.safetensors")), weights_of(resumed.average.model))
    assert cv2.imread(str(tmp_path / "whole/samples.png")) is not None


def test_hard_views_differ_by_learner_and_repeat(config: TrainConfig, tmp_path: Path) -> None:
    trainer = InteractiveTrainer(config, tmp_path)
    batch, _ = next(iter(trainer._batches()))
    _, _, people = trainer._labels(batch)
    views = [interactive.hard_views(batch, people, config, [2, 0, learner]) for learner in (0, 0, 1)]
    assert (views[0][0].image == views[1][0].image).all() and (views[0][1].soft == views[1][1].soft).all()
    assert (views[0][0].image != views[2][0].image).any()
    learning = trainer._batch_for(batch, people, 0)
    assert learning.images.shape == (4, 3, 64, 96) and len(learning.targets) == 4
    assert batch.labelled is not None and torch.equal(learning.images[2:], batch.labelled.images)


def test_a_hard_view_is_downsampled_as_its_frame_is(config: TrainConfig) -> None:
    """12 leaves 40 lines of the whole view, 360 lines of which are a 16:9 frame's: 12 there is 9 here."""
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    batch = Batch(image_tensor(picture)[None].repeat(2, 1, 1, 1), [], [], frame_sizes=[(640, 480), (1280, 720)])
    at_12x = NO_AUGMENTATION.model_copy(update={"downsample": (ScaleChoice(probability=1, low=12, high=12),)})
    views = interactive.hard_views(batch, [[], []], config.model_copy(update={"augment": at_12x}), [0])
    for view, factor in zip(views, (12, 9), strict=True):
        np.testing.assert_array_equal(view.image, down_and_up(picture, factor))


def test_a_teachers_skipped_step_is_not_the_students(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = InteractiveTrainer(config, tmp_path)
    batch, _ = next(iter(trainer._batches()))
    monkeypatch.setattr(interactive, "train_step", lambda *_: None)  # the teachers'
    monkeypatch.setattr("training.distill.trainer.train_step", lambda *_: {"loss": 1.0})
    values = trainer._train_batch(batch, 0.0)
    assert (values["loss"], values["skipped"]) == (1.0, 0.0)
    assert (values["teacher1_skipped"], values["teacher2_skipped"]) == (1.0, 1.0)
    assert trainer.average.updates == 1
    trainer.bad_steps["teacher2"] = 19
    with pytest.raises(OrposeError, match=r"teacher2: 20 steps in a row without a finite gradient"):
        trainer._train_batch(batch, 0.0)


def test_the_command_shows_what_would_be_learned(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads(config.model_dump_json(exclude_unset=True))
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    assert main(["train", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "out"), "--check"]) == 0
    assert "4 training and 0 validation images" in capsys.readouterr().out
    sheet = cv2.imread(str(tmp_path / "out/samples.png"))
    assert sheet is not None and sheet.shape == (2 * 64, 6 * 96, 3)
    values["interactive"]["teachers"][1] = "none.safetensors"
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    assert main(["train", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "out"), "--check"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "none.safetensors" in line


def test_checkpoints_of_other_runs(config: TrainConfig, tmp_path: Path) -> None:
    assert config.interactive is not None
    plain = config.model_copy(update={"interactive": None, "sources": config.interactive.labelled})
    trainer = InteractiveTrainer(config, tmp_path)
    state, facts = trainer._state(), trainer._facts_of_run()
    write_checkpoint(trainer.checkpoint_path, state)
    with pytest.raises(InputError, match=r"begun with other settings: .*interactive"):
        read_checkpoint(trainer.checkpoint_path, plain, facts)
    with pytest.raises(InputError, match=r"num_labelled \(3, now 2\)"):
        read_checkpoint(trainer.checkpoint_path, config, {**facts, "num_labelled": 2})
    del state["snapshots"]
    with pytest.raises(InputError, match=r"checkpoint.pt: has no 'snapshots'; remove it and start without --resume"):
        trainer._resume(state)


def test_bad_settings(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = config.model_dump(exclude_unset=True)
    for change, message in [
        ({"teachers": ["a.safetensors", "./a.safetensors"]}, "teachers: both start from a.safetensors"),
        ({"teachers": ["a.safetensors"]}, "interactive.teachers"),
        ({"labelled": []}, "interactive.labelled"),
    ]:
        with pytest.raises(ConfigError, match=message):
            build_settings(TrainConfig, values | {"interactive": values["interactive"] | change}, "run.yaml")
    copied = tmp_path / "copied.safetensors"
    copied.write_bytes(config.interactive.teachers[0].read_bytes())
    twins = config.interactive.model_copy(update={"teachers": (config.interactive.teachers[0], copied)})
    with pytest.raises(ConfigError, match=r"copied.safetensors hold the same 2D network"):
        InteractiveTrainer(config.model_copy(update={"interactive": twins}), tmp_path)
    untrained = tmp_path / "untrained.safetensors"
    save_weights(build_student(get_preset("lite").with_conventions(Conventions(has_lifters=False))), untrained)
    teachers = config.interactive.model_copy(update={"teachers": (untrained, config.interactive.teachers[1])})
    with pytest.raises(ConfigError, match=r"teachers: .*untrained.safetensors has no trained lifters"):
        InteractiveTrainer(config.model_copy(update={"interactive": teachers}), tmp_path)
    monkeypatch.setattr("training.distill.processes.world_size", lambda: 2)
    with pytest.raises(ConfigError, match="interactive: trains in one process"):
        InteractiveTrainer(config, tmp_path)
