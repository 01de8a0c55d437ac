"""The whole way from rendered images to a model file, in small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orpose.main import build_parser
from orpose_models.runtime import PoseEstimator
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.settings import build_settings, read_yaml_mapping
from training.distill.config import read_config
from training.weights import WeightsConfig, all_steps

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "training/configs"


@pytest.mark.parametrize("name", ["weights", "weights_short"])
def test_every_command_is_one_that_orpose_takes_and_finds_what_it_needs(name: str) -> None:
    config = build_settings(WeightsConfig, read_yaml_mapping(CONFIGS / f"{name}.yaml"), name)
    made: set[Path] = set()
    for step in all_steps(config):
        build_parser(step.arguments[0]).parse_args(step.arguments)
        if step.arguments[0] == "train":
            training = read_config(ROOT / step.arguments[1])
            needed = [source.annotations for source in (*training.sources, *training.validation.sources)]
            needed += [path for path in (training.initial_weights,) if path]
            needed += [partner.weights for partner in training.average_with]
            assert made >= set(needed), step.arguments
        if step.arguments[0] == "export":
            assert Path(step.arguments[step.arguments.index("--model") + 1]) in made
        made.add(step.product)


def test_without_a_gpu_every_training_is_told_so() -> None:
    config = build_settings(WeightsConfig, read_yaml_mapping(CONFIGS / "weights.yaml"), "weights")
    trainings = [step.arguments for step in all_steps(config, "cpu") if step.arguments[0] == "train"]
    assert len(trainings) == len(config.trainings)
    assert all(arguments[-2:] == ("--device", "cpu") for arguments in trainings)


@pytest.mark.timeout(590)  # a minute of training on a quiet machine
def test_the_short_version_learns(tmp_path: Path) -> None:
    """The loss halves, and the four images' people are found again."""
    command = [sys.executable, "-m", "training.weights", str(CONFIGS / "weights_short.yaml")]
    (tmp_path / "training").symlink_to(ROOT / "training")
    subprocess.run(command, cwd=tmp_path, env=_environment(), check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in (tmp_path / "out/short/runs/short/log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.6 * losses[0]
    found = lines[-1]["validation"]
    assert found["box_ap50@1x"] > 0.5
    assert found["keypoint_ap@1x"] > 0.3
    model = tmp_path / "out/short/models/short.onnx"
    info = PoseEstimator(RuntimeConfig(model=str(model))).info
    assert (info.preset, info.input_size) == ("lite_small", (160, 120))
    again = subprocess.run([*command, "--plan"], cwd=tmp_path, env=_environment(), capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (0, "")


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}
