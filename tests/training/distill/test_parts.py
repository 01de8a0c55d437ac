"""Moving average, optimiser groups, checkpoints, log and lifter statistics."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from orpose_models.errors import InputError
from orpose_models.network.student import build_student
from training.data.dataset import LabelConfig, SourceConfig, read_items
from training.distill.checkpoint import read_checkpoint, write_checkpoint
from training.distill.config import OptimizerConfig
from training.distill.ema import MovingAverage
from training.distill.log import RunLog
from training.distill.optim import make_optimizer
from training.distill.statistics import set_lifter_statistics
from training.distill.step import total_loss


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
    write_checkpoint(tmp_path / "c.pt", {"a": torch.arange(3), "b": {"c": 1.5}})
    state = read_checkpoint(tmp_path / "c.pt")
    assert torch.equal(state["a"], torch.arange(3))
    assert state["b"] == {"c": 1.5}
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


class _Evil:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps(_Evil())])
def test_a_foreign_checkpoint_is_refused_and_not_executed(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(InputError, match="not a training checkpoint"):
        read_checkpoint(tmp_path / "c.pt")
    assert capsys.readouterr().out == ""


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint to resume from"):
        read_checkpoint(tmp_path / "c.pt")


def test_log_averages_and_forgets_what_will_be_done_again(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", 0)
    for iteration, loss in ((1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)):
        log.add({"loss": loss})
        if iteration % 2 == 0:
            log.flush({"iteration": iteration})
    assert [json.loads(line)["loss"] for line in log.path.read_text().splitlines()] == [2.0, 6.0]
    RunLog(log.path, 3)
    assert [json.loads(line)["iteration"] for line in log.path.read_text().splitlines()] == [2]


def test_lifter_statistics_are_those_of_the_labels(make_dataset: Callable[..., Path]) -> None:
    items = read_items([SourceConfig(annotations=make_dataset(20))])
    student = build_student("lite")
    assert set_lifter_statistics(student, items, LabelConfig())
    buffers = dict(student.lifter_stats.named_buffers())
    # image x 480 / 96 lines: people stand near the middle of a 640x480 frame, in the order pelvis, right hip, knee, …
    assert 200 < buffers["mean2d"][0, 0] < 440
    assert buffers["mean3d"][2, 1] > 700  # the right ankle is 1 m below the pelvis, y points down
    assert not set_lifter_statistics(student, items[:5], LabelConfig())
