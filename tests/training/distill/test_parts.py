"""Moving average, optimiser groups, checkpoints, log and lifter statistics."""

from __future__ import annotations

import errno
import json
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from orpose_models.errors import BackendError, InputError
from orpose_models.network.student import build_student
from training.data.dataset import LabelConfig, SourceConfig, read_items
from training.data.loader import Batch
from training.distill.checkpoint import read_checkpoint, source_commit, write_checkpoint
from training.distill.config import OptimizerConfig, TrainConfig
from training.distill.ema import MovingAverage
from training.distill.log import RunLog
from training.distill.optim import make_optimizer
from training.distill.statistics import set_lifter_statistics
from training.distill.step import make_scaler, total_loss, train_step

CONFIG = TrainConfig.model_validate({
    "name": "a", "sources": [{"annotations": "a.json"}], "iterations": 3,
    "stages": [{"until": 1, "size": (96, 64), "batch_size": 2}],
})  # fmt: skip
FACTS = {"world_size": 2, "num_items": 6, "label_files": ["4f"]}
#: The least that a checkpoint holds.
STATE: dict[str, Any] = {
    "student": {}, "optimizer": {}, "iteration": 0, "config": CONFIG.model_dump(mode="json"), **FACTS,
}  # fmt: skip


def test_moving_average_starts_short_and_follows_buffers_too() -> None:
    network = nn.BatchNorm1d(1)
    average = MovingAverage(network, 0.9)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.running_mean.fill_(11.0)  # type: ignore[union-attr,operator]
        network.num_batches_tracked.fill_(5)  # type: ignore[union-attr,operator]
    average.update(network)  # decay 2 / 11
    assert average.model.weight.item() == pytest.approx(1 * 2 / 11 + 2 * 9 / 11)
    assert average.model.running_mean.item() == pytest.approx(9.0)  # type: ignore[union-attr,operator]
    assert average.model.num_batches_tracked.item() == 5  # type: ignore[union-attr,operator]
    assert not average.model.weight.requires_grad


def test_only_weights_of_convolutions_and_linear_layers_decay() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    decaying, plain = make_optimizer(network, OptimizerConfig(weight_decay=0.1)).param_groups
    assert [p.ndim for p in decaying["params"]] == [4]
    assert [p.ndim for p in plain["params"]] == [1, 1, 1]
    assert (decaying["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)


def test_loss_weights() -> None:
    losses = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}
    assert total_loss(losses, {"b": 0.5}).item() == 3.5


def test_checkpoint_round_trip_and_no_temporary_left(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c.pt", {**STATE, "a": torch.arange(3), "b": {"c": 1.5}})
    state = read_checkpoint(tmp_path / "c.pt", CONFIG, FACTS)
    assert torch.equal(state["a"], torch.arange(3))
    assert state["b"] == {"c": 1.5}
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


class _Evil:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(("settings", "facts", "told"), [
    ({"preset": "r50"}, {}, "preset ('lite', now 'r50')"),
    ({"seed": 1, "optimizer": {"lr": 0.5}}, {}, "seed (0, now 1), optimizer.lr (0.001, now 0.5)"),
    ({"augment": {"flip_probability": 0}, "loss_weights": {"loss_2d_hard": 2}}, {},
     "augment.flip_probability (0.5, now 0.0), loss_weights.loss_2d_hard (None, now 2.0)"),
    ({"sources": [{"annotations": "other.json"}]}, {}, "sources"),
    ({}, {"world_size": 1}, "world_size (2, now 1)"),
    ({}, {"num_items": 3}, "num_items (6, now 3)"),
    ({}, {"label_files": ["4e"]}, "label_files (['4f'], now ['4e'])"),
])  # fmt: skip
def test_a_checkpoint_of_another_run_is_refused(
    tmp_path: Path, settings: dict[str, Any], facts: dict[str, Any], told: str
) -> None:
    write_checkpoint(tmp_path / "c.pt", STATE)
    config = TrainConfig.model_validate({**CONFIG.model_dump(exclude_unset=True), **settings})
    with pytest.raises(InputError, match=re.escape(f"c.pt: begun with other settings: {told}; resume with the same")):
        read_checkpoint(tmp_path / "c.pt", config, {**FACTS, **facts})


def test_a_run_may_go_on_longer_elsewhere_and_be_watched_otherwise(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c.pt", STATE)
    changes = {"iterations": 9, "max_minutes": 5.0, "threads": 1, "num_workers": 0, "device": "cuda", "log_every": 1}
    changes |= {"checkpoint_minutes": 1.0, "data_notes": "b", "validation": {"every_minutes": 1.0}}
    config = TrainConfig.model_validate({**CONFIG.model_dump(exclude_unset=True), **changes})
    assert read_checkpoint(tmp_path / "c.pt", config, FACTS)["iteration"] == 0


def test_an_older_checkpoint_has_the_defaults_of_newer_settings(tmp_path: Path) -> None:
    older = {**STATE, "config": {key: value for key, value in STATE["config"].items() if key != "box_beta"}}
    del older["label_files"]
    write_checkpoint(tmp_path / "c.pt", older)
    assert read_checkpoint(tmp_path / "c.pt", CONFIG, FACTS)["iteration"] == 0
    with pytest.raises(InputError, match="box_beta"):
        read_checkpoint(tmp_path / "c.pt", CONFIG.model_copy(update={"box_beta": 0.5}), FACTS)


@pytest.mark.parametrize("change", [{"config": {"name": "a"}}, {"config": {**STATE["config"], "bf16": True}}])
def test_settings_that_this_version_does_not_have(tmp_path: Path, change: dict[str, Any]) -> None:
    write_checkpoint(tmp_path / "c.pt", {**STATE, **change})
    with pytest.raises(InputError, match=r"not a training checkpoint of this version of orpose \(.*\); remove it"):
        read_checkpoint(tmp_path / "c.pt", CONFIG, FACTS)


def test_a_truncated_checkpoint_and_a_file_of_something_else(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c.pt", {**STATE, "a": torch.zeros(10_000)})
    (tmp_path / "c.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"a truncated one .*; remove it and start without --resume, or choose"):
        read_checkpoint(tmp_path / "c.pt", CONFIG, FACTS)
    write_checkpoint(tmp_path / "c.pt", {"weights": torch.zeros(1)})
    with pytest.raises(InputError, match="not a training checkpoint of this version"):
        read_checkpoint(tmp_path / "c.pt", CONFIG, FACTS)


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps(_Evil())])
def test_a_foreign_checkpoint_is_refused_and_not_executed(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(InputError, match="not a training checkpoint"):
        read_checkpoint(tmp_path / "c.pt", CONFIG, FACTS)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("failed writing\n x")]
)
def test_a_full_disk_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write_checkpoint(tmp_path / "c.pt", STATE)

    def fail(_: object, file: Any) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(
        InputError, match=r"c\.pt: cannot be written \((No|probably no) space left.*go on with --resume$"
    ):
        write_checkpoint(tmp_path / "c.pt", STATE)
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]
    assert read_checkpoint(tmp_path / "c.pt", CONFIG, FACTS).keys() == STATE.keys()


@pytest.mark.parametrize("given", ["0123456789ab+", ""])
def test_without_git_the_commit_is_the_images(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """docker/Dockerfile.train has neither git nor a repository; its ORPOSE_COMMIT is empty unless COMMIT is given."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("ORPOSE_COMMIT", given)
    unknown = "unknown (not run from a repository, and ORPOSE_COMMIT is not set)"
    assert source_commit() == (given or unknown)


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint to resume from"):
        read_checkpoint(tmp_path / "c.pt", CONFIG, FACTS)


def test_log_averages_and_forgets_what_will_be_done_again(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0)
    for iteration, loss in ((1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)):
        log.add({"loss": loss})
        if iteration % 2 == 0:
            log.flush({"iteration": iteration})
    assert [json.loads(line)["loss"] for line in log.path.read_text().splitlines()] == [2.0, 6.0]
    RunLog(tmp_path, 3)
    assert [json.loads(line)["iteration"] for line in log.path.read_text().splitlines()] == [2]


def test_a_mean_is_over_the_steps_that_have_the_value(tmp_path: Path) -> None:
    """Of three steps one was skipped and has no loss. A checkpoint of before the counts by name is still read."""
    log = RunLog(tmp_path)
    for values in ({"loss": 2.0, "skipped": 0.0}, {"skipped": 1.0}, {"loss": 4.0, "skipped": 0.0}):
        log.add(values)
    state = log.state()
    log.flush({"iteration": 3})
    assert json.loads(log.path.read_text()) == {"iteration": 3, "loss": 3.0, "skipped": 0.33333}
    log.restore(state)
    assert log.state() == state
    log.restore({"sums": {"loss": 6.0}, "count": 3})
    log.flush({"iteration": 6})
    assert json.loads(log.path.read_text().splitlines()[-1])["loss"] == 2.0


def test_a_new_run_has_an_empty_log_and_a_resumed_one_is_rewritten_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log.jsonl").write_text('{"iteration": 0, "validation": {}}\n')
    before = RunLog(tmp_path, 0).path.read_text()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fail)
        with pytest.raises(InputError, match=r"log\.jsonl: cannot be written"):
            RunLog(tmp_path, 0)
    assert (tmp_path / "log.jsonl").read_text() == before != ""
    assert RunLog(tmp_path).path.read_text() == ""


def test_a_line_that_was_cut_off_is_forgotten(tmp_path: Path) -> None:
    whole = json.dumps({"iteration": 1, "loss": 2.0})
    (tmp_path / "log.jsonl").write_text(f'{whole}\n{{"iteration": 2, "lo')
    assert RunLog(tmp_path, 2).path.read_text() == f"{whole}\n"


def test_a_log_that_is_not_active_writes_nothing(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, tensorboard=True, active=False)
    log.add({"loss": 1.0})
    log.flush({"iteration": 1})
    assert not list(tmp_path.iterdir())


def test_tensorboard_gets_what_the_log_gets(tmp_path: Path) -> None:
    event_file_loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    log = RunLog(tmp_path, 0, tensorboard=True)
    log.add({"loss": 2.5})
    log.flush({"iteration": 3, "lr": 0.25})
    log.write({"iteration": 3, "validation": {"box_ap@1x": 0.5}})
    (path,) = (tmp_path / "tensorboard").iterdir()
    events = [event for event in event_file_loader.EventFileLoader(str(path)).Load() if event.summary.value]
    found = {value.tag: value.tensor.float_val[0] for event in events for value in event.summary.value}
    assert found == {"loss": 2.5, "lr": 0.25, "validation/box_ap@1x": 0.5}
    assert {event.step for event in events} == {3}


def test_tensorboard_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BackendError, match="pip install tensorboard"):
        RunLog(tmp_path, 0, tensorboard=True)


@pytest.mark.parametrize(("scale", "finite"), [(1.0, True), (1e38, False)])
def test_float16_scales_gradients_and_skips_what_overflows(scale: float, finite: bool) -> None:
    """A network of one weight whose loss is `scale * weight`: 65536 x 1e38 overflows, the scale is halved."""

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images: list[torch.Tensor], targets: list) -> dict[str, torch.Tensor]:
            return {"loss_a": scale * self.weight.sum()}

    config = TrainConfig.model_validate({
        "name": "a", "sources": [{"annotations": "a"}], "iterations": 1, "channels_last": False,
        "stages": [{"until": 1, "size": (32, 32), "batch_size": 1}], "optimizer": {"name": "sgd", "weight_decay": 0},
    }).model_copy(update={"precision": "fp16"})  # fmt: skip
    network, batch = Network(), Batch(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), [{}], [])
    scaler, optimizer = make_scaler(config), make_optimizer(network, config.optimizer)
    step = train_step(network, optimizer, scaler, batch, config)
    assert (step is not None) is finite
    assert scaler.get_scale() == (65536 if finite else 32768)
    assert network.weight.item() == pytest.approx(1 - 1e-3 if finite else 1)
    if step is not None:
        assert step["grad_norm"] == pytest.approx(1.0)


def test_a_skipped_step_leaves_the_statistics_of_batch_norm_as_they_were() -> None:
    """An activation overflows: BatchNorm would remember it, and answer NaN in evaluation mode from then on."""

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.gain = 1.0

        def forward(self, images: list[torch.Tensor], targets: list) -> dict[str, torch.Tensor]:
            return {"loss_a": self.norm(self.gain * torch.stack(images)).square().sum()}

    network = Network()
    config, scaler = CONFIG.model_copy(update={"channels_last": False}), make_scaler(CONFIG)
    optimizer = make_optimizer(network, OptimizerConfig())
    pixels = torch.randint(1, 255, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = Batch(pixels, [{}, {}], [])
    assert train_step(network, optimizer, scaler, batch, config) is not None
    before = [buffer.clone() for buffer in network.buffers()]
    assert before[0].abs().sum() > 0
    network.gain = torch.inf
    assert train_step(network, optimizer, scaler, batch, config) is None
    assert all(map(torch.equal, network.buffers(), before))


def test_lifter_statistics_are_those_of_the_labels(make_dataset: Callable[..., Path]) -> None:
    items = read_items([SourceConfig(annotations=make_dataset(20))])
    student = build_student("lite")
    assert set_lifter_statistics(student, items, LabelConfig(), (128, 96))
    buffers = dict(student.lifter_stats.named_buffers())
    # image x 480 / 96 lines: people stand near the middle of a 640x480 frame, in the order pelvis, right hip, knee, …
    assert 200 < buffers["mean2d"][0, 0] < 440
    assert buffers["mean3d"][2, 1] > 700  # the right ankle is 1 m below the pelvis, y points down
    assert not set_lifter_statistics(student, items[:5], LabelConfig(), (128, 96))
