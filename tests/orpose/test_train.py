"""`orpose train` as a user runs it: errors in one line, a kill in the middle, going on, weights at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from orpose.main import main
from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel, write_annotations

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A run on four pictures of noise with one labelled person each, with a worker process."""
    rng = np.random.default_rng(0)
    images, persons = [], []
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 256, (48, 64, 3)).astype(np.uint8))
        images.append(LabelledImage(i, f"{i}.png", 64, 48))
        keypoints = np.column_stack([rng.uniform(10, 40, (17, 2)), np.full(17, 2)])
        persons.append(PersonLabel(i + 1, i, np.array([8.0, 8, 34, 34]), keypoints))
    write_annotations(tmp_path / "annotations.json", AnnotationSet(tuple(images), tuple(persons)))
    run = {
        "name": "noise",
        "sources": [{"annotations": str(tmp_path)}],
        "stages": [{"until": 1, "size": [64, 48], "batch_size": 2}],
        "iterations": 4,
        "threads": 1,
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


def test_check_writes_a_picture(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(config), "--out", str(tmp_path / "out"), "--check"]) == 0
    assert "4 training and 0 validation images" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "out/samples.png")) is not None


def test_says_that_bf16_would_be_emulated(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(config.read_text() + "precision: bf16\ndevice: cpu\n")
    command = ["train", str(config), "--out", str(tmp_path / "out"), "--check"]
    for has_bf16, notices in ((False, 1), (True, 0)):
        monkeypatch.setattr("training.distill.start.computes_bfloat16", lambda has_bf16=has_bf16: has_bf16)
        assert main(command) == 0
        assert capsys.readouterr().out.count("precision: fp32 instead of bf16") == notices


def test_errors_are_one_line_and_exit_2(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["train", str(tmp_path / "none.yaml"), "--out", out]) == 2
    assert main(["train", str(config), "--out", out, "--resume"]) == 2
    assert main(["train", str(config), "--out", str(config)]) == 2
    config.write_text(config.read_text().replace("iterations", "iterationz"))
    assert main(["train", str(config), "--out", out]) == 2
    errors = capsys.readouterr().err.splitlines()
    expected = ("none.yaml", "no checkpoint", "cannot be used (File exists); choose another --out", "iterationz")
    assert [text in error for text, error in zip(expected, errors, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: root.pop("annotations"), "annotations: expected a list, got nothing"),
        (lambda root: root["images"][0].pop("width"), "image 0: width: missing"),
        (lambda root: root["annotations"][1].pop("bbox"), "annotation 2: bbox: missing"),
        (lambda root: root["annotations"][1].update(keypoints=[1.0] * 48), "expected 51 numbers, got 48"),
        (lambda root: root["annotations"][1].update(bbox=[1, 2, float("nan"), 3]), "bbox: holds a value that is not f"),
        (lambda root: root["annotations"][1].update(keypoints_soft=[0.5] * 34), "keypoints_soft: expected 51 numbers"),
        (lambda root: root["annotations"][1].update(joint_weight=[1.0] * 16), "joint_weight: expected 17 numbers"),
        (lambda root: root["annotations"][1].update(image_id=77), "no image has id 77"),
        (lambda root: root.update(annotations=[]), "no labelled person in 4 images"),
        (lambda root: root.update(images=[], annotations=[]), "images: empty"),
    ],
)
def test_bad_label_files_are_one_line_and_exit_2(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[dict], object], message: str
) -> None:
    labels = tmp_path / "annotations.json"
    root = json.loads(labels.read_text())
    change(root)
    labels.write_text(json.dumps(root))
    assert main(["train", str(config), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "annotations.json" in line or str(tmp_path) in line


def test_unreadable_images_are_skipped_counted_and_listed(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "2.png").write_bytes(b"no image")
    validation = f"validation: {{sources: [{{annotations: {tmp_path}}}]}}\nnum_workers: 0\n"
    config.write_text(config.read_text() + validation)
    assert main(["train", str(config), "--out", str(tmp_path / "out"), "--iterations", "2"]) == 0
    assert "1 images could not be read and were skipped" in capsys.readouterr().out
    (line,) = (tmp_path / "out/skipped_images.txt").read_text().splitlines()
    assert line == f"{tmp_path}/2.png: not an image that can be decoded (8 bytes)"
    assert yaml.safe_load((tmp_path / "out/weights.yaml").read_text())["skipped_images"] == 1


def test_a_checkpoint_of_another_preset_or_a_truncated_one(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text() + "num_workers: 0\n")
    command = ["train", str(config), "--out", str(tmp_path / "out"), "--iterations", "1"]
    assert main(command) == 0
    checkpoint = tmp_path / "out/checkpoint.pt"
    state = torch.load(checkpoint, weights_only=True)
    assert (state["seed"], state["config"]["name"], state["world_size"]) == (0, "noise", 1)
    assert re.fullmatch("[0-9a-f]{12}[+]?", state["commit"])
    config.write_text(config.read_text() + "preset: lite_single\n")
    assert main([*command, "--resume"]) == 2
    checkpoint.write_bytes(checkpoint.read_bytes()[: 1 << 20])
    assert main([*command, "--resume"]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("orpose train:")]
    assert "begun with other settings: preset ('lite', now 'lite_single'); resume with the same ones" in errors[0]
    assert "a truncated one" in errors[1]


def test_a_killed_run_goes_on(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGTERM to the whole process group, as systemd sends it, then --resume; but no second fresh start."""
    out = tmp_path / "out"
    config.write_text(config.read_text().replace("iterations: 4", "iterations: 100000\nlog_every: 1"))
    command = [sys.executable, "-m", "orpose", "train", str(config), "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not ((out / "log.jsonl").is_file() and (out / "log.jsonl").stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert (out / "checkpoint.pt").is_file()
    done = len((out / "log.jsonl").read_text().splitlines())

    assert main(command[3:]) == 2
    assert "add --resume" in capsys.readouterr().err

    config.write_text(config.read_text().replace("100000", f"{done + 2}\nnum_workers: 0"))
    resumed = subprocess.run([*command, "--resume"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert resumed.returncode == 0, resumed.stderr
    assert f"{done + 2} iterations" in resumed.stdout
    card = yaml.safe_load((out / "weights.yaml").read_text())
    assert card["schedule"]["iterations"] == done + 2
    assert card["sha256"]
