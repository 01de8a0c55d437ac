"""Training in two processes of torchrun: they keep the same weights, stop together, and go on exactly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from orpose.main import main
from orpose_models.errors import BackendError, ConfigError
from training.distill import processes
from training.distill.config import TrainConfig
from training.distill.throughput import LOSS_TOLERANCE
from training.distill.trainer import Trainer

ROOT = Path(__file__).parents[3]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run_of(data: Path, **changes: object) -> dict:
    return {
        "name": "two",
        "sources": [{"annotations": str(data)}],
        "stages": [{"until": 1, "size": [96, 64], "batch_size": 4}],
        "keypoint_rois_per_image": 2,
        "iterations": 100_000,
        "log_every": 1,
        "num_workers": 0,
        "threads": 1,
        **changes,
    }


def test_two_processes_train_one_network_and_resume_exactly(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_processes.py")
    command = [*TORCHRUN, str(script), str(make_dataset(6)), str(tmp_path)]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stderr[-2000:]
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["finished"], result["images"]) == (True, 16)
    assert result["weights_of_ranks"][0] == result["weights_of_ranks"][1]
    assert (result["stopped_early"], result["stopped_at"]) == (True, 2), "rank 1's signal stops rank 0 as well"
    assert result["different"] == []
    assert set(result["validation"]) == {"box_ap50@1x", "box_ap@1x", "keypoint_ap@1x"}
    check_that_losses_are_those_of_one_process(*(tmp_path / name / "log.jsonl" for name in ("whole", "alone")))


def check_that_losses_are_those_of_one_process(two: Path, one: Path) -> None:
    """Two processes with 2 images each, one with 4. On small images all anchors take part: their loss draws nothing."""
    lines = [map(json.loads, log.read_text().splitlines()) for log in (two, one)]
    pairs = list(zip(*([line for line in log if "loss" in line] for log in lines), strict=True))
    assert [(a["images"], b["images"]) for a, b in pairs] == [(4, 4), (8, 8), (12, 12), (16, 16)]
    for ours, alone in pairs:
        assert ours["loss_objectness"] == pytest.approx(alone["loss_objectness"], rel=0.003)
    means = [sum(line["loss"] for line in run) / len(run) for run in zip(*pairs, strict=True)]
    assert means[0] == pytest.approx(means[1], rel=LOSS_TOLERANCE)


def test_torchrun_ends_cleanly_and_another_number_of_processes_cannot_go_on(
    make_dataset: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, config = tmp_path / "out", tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(run_of(make_dataset(6))))
    command = ["-m", "orpose", "train", str(config), "--out", str(out)]
    process = subprocess.Popen(
        [*TORCHRUN, *command], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 200
    while not ((out / "log.jsonl").is_file() and (out / "log.jsonl").stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert (out / "checkpoint.pt").is_file(), output
    assert output.count("to go on: the same command with --resume") == 1, output
    assert main([*command[2:], "--resume"]) == 2
    error = capsys.readouterr().err
    assert "world_size (2, now 1); resume with the same ones (`torchrun --nproc-per-node 2`)" in error


def test_batches_that_cannot_be_shared(make_dataset: Callable[..., Path], tmp_path: Path, monkeypatch) -> None:
    config = TrainConfig.model_validate(run_of(make_dataset(2)))
    monkeypatch.setattr(processes, "world_size", lambda: 3)
    with pytest.raises(ConfigError, match=r"batch sizes \[4\] cannot be shared by 3 processes evenly"):
        Trainer(config, tmp_path)
    monkeypatch.setattr(processes, "world_size", lambda: 2)
    stages = [{"until": 0.5, "size": (96, 64), "batch_size": 4}, {"until": 1, "size": (128, 96), "batch_size": 2}]
    timed = TrainConfig.model_validate({**config.model_dump(), "stages": stages, "max_minutes": 3})
    with pytest.raises(ConfigError, match="only with a budget in iterations"):
        Trainer(timed, tmp_path)


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="device: got cuda, but process 0 of this machine has no GPU"):
        processes.choose_device("cuda")
