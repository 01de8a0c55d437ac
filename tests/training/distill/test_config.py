"""Configuration files: errors name file and key; the shipped ones are valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from orpose_models.errors import ConfigError
from training.distill.config import read_config

CONFIGS = sorted((Path(__file__).parents[3] / "training/configs").glob("*.yaml"))
GOOD = """
name: a
sources: [{annotations: labels.json}]
stages: [{until: 0.5, size: [320, 240], batch_size: 8}, {until: 1, size: [640, 480], batch_size: 4}]
iterations: 100
"""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_are_valid(path: Path) -> None:
    assert read_config(path).name == path.stem


def test_overrides(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    config = read_config(tmp_path / "a.yaml", max_minutes=5.0)
    assert (config.iterations, config.max_minutes) == (100, 5.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("iterations: 100", "", "set iterations or max_minutes"),
        ("iterations: 100", "iterations: 0", "iterations: got 0"),
        ("iterations: 100", "iterations: 100\nlearning_rate: 1", "learning_rate"),
        ("until: 1", "until: 0.9", "`until` must rise and end at 1"),
        ("until: 0.5", "until: 1.0", "`until` must rise and end at 1"),
        ("sources: [{annotations: labels.json}]", "sources: []", "sources"),
        ("iterations: 100", "iterations: 1\naugment: {downsample: [{probability: 0.5, low: 1, high: 1}]}", "sum to"),
    ],
)
def test_errors(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path)
    assert "run.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
