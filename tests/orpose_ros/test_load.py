"""The load test itself, for a few seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from orpose_models.bags import write_image_bag
from orpose_ros.load import main

ROOT = Path(__file__).resolve().parents[2]


def load(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orpose_ros.load", *(str(word) for word in words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)


@pytest.fixture
def load_here(monkeypatch, capsys) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in this process, for what is refused before anything starts."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = ["load", *(str(word) for word in words)]
        monkeypatch.setattr(sys, "argv", command)
        try:
            code = main()
        except SystemExit as end:  # argparse's
            code = end.code
        return subprocess.CompletedProcess(command, code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "bag"
    image = np.zeros((48, 64, 3), np.uint8)
    image[10:30, 20:26] = (255, 0, 0)
    write_image_bag(path, [image] * 3, "/camera/image_raw/compressed", [0, 1, 2], picture_format="png")
    return path


@pytest.mark.parametrize("options", [[], ["--compressed"]], ids=["raw", "compressed"])
def test_two_cameras(source, make_fake_model, tmp_path, load_here, options):
    out = tmp_path / "out"
    words = ["--source", source, "--model", make_fake_model((64, 48)), "--threads", 1, "--size", "64x48"]
    ended = load("--out", out, *words, "--rates", "5", "--seconds", 3, "--way", *options)
    assert ended.returncode == 0, ended.stderr
    (level,) = json.loads((out / "load.json").read_text())["levels"]
    for camera in ("camera1", "camera2"):
        counts = level["cameras"][camera]
        assert counts["sent"] == 15
        assert counts["sent"] == counts["received"] + counts["lost"]
        assert counts["received"] == counts["answered"] + counts["dropped"]
        assert counts["unaccounted"] == 0, counts["contradictions"]
    assert level["frames"]["answered"] > 0
    assert 0 < level["node_ms"]["median"] < level["latency_ms"]["median"] <= level["latency_ms"]["p99"]
    assert 0 < level["way_ms"]["median"] < level["latency_ms"]["median"]
    assert level["processes"]["node"]["memory_last_mib"] > 50
    assert ended.stdout.strip() == (out / "load.md").read_text().strip()
    with AnyReader([out / "5/bag"]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    answered = [level["cameras"][camera]["answered"] for camera in ("camera1", "camera2")]
    assert [counts[f"/orpose/camera{number}/persons"] for number in (1, 2)] == answered
    again = load_here("--out", out, *words)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    ("options", "expected", "starts_processes"),
    [
        (["--model", "missing.onnx"], "missing.onnx", True),
        (["--source", "missing"], "missing: no such file", True),
        (["--downsample", "99"], "downsample", False),
        (["--rates", "5,fast"], "rates", False),
    ],
)
def test_what_cannot_run_is_one_line(source, make_fake_model, tmp_path, load_here, options, expected, starts_processes):
    words = ["--source", source, "--model", make_fake_model((64, 48)), "--seconds", 1]
    ended = (load if starts_processes else load_here)("--out", tmp_path / "out", *words, *options)
    assert ended.returncode == 2
    assert expected in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
