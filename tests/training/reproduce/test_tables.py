from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from orpose_models.errors import InputError
from orpose_models.settings import build_settings
from training.reproduce import __main__ as command
from training.reproduce.config import ReproduceConfig
from training.reproduce.steps import PROTOCOLS, metrics_path
from training.reproduce.tables import result_tables

VALUES = {
    "name": "small",
    "images": {"everyday_train": 6, "everyday_validation": 3, "or_unlabelled": 6, "or_test": 3},
    "scales": [1, 12],
    "distilled": ["orpose_fixed_1x", "orpose_all", "orpose_single_soft"],
    "ablation": ["orpose_single_soft", "orpose_fixed_1x"],
}


@pytest.fixture
def config(tmp_path: Path) -> ReproduceConfig:
    values = {**VALUES, "data": str(tmp_path / "data"), "runs": str(tmp_path / "runs")}
    (tmp_path / "small.yaml").write_text(json.dumps(values))
    return build_settings(ReproduceConfig, values, "small.yaml")


def write_metrics(config: ReproduceConfig, name: str, ap: float) -> None:
    for protocol in PROTOCOLS:
        metric, value = ("mpjpe_mm", 100 * ap) if protocol == "mpjpe" else ("AP", ap)
        interval = {"value": value, "low": value * 0.9, "high": value * 1.1}
        metrics = {metric: value, "found": 3, "missed": 1, "published_mm": 80 * ap, "published_people": 4}
        path = metrics_path(config, name, protocol)
        path.parent.mkdir(parents=True, exist_ok=True)
        runs = {scale: {"metrics": metrics, "intervals": {metric: interval}} for scale in ("1x", "12x")}
        path.write_text(json.dumps({"runs": runs}))


def test_each_network_stands_by_scale_above_the_papers_figures(config: ReproduceConfig) -> None:
    write_metrics(config, config.undistilled, 0.2)
    write_metrics(config, "orpose_fixed_1x", 0.3)
    text = result_tables(config)
    paper = "| *the paper, on MVOR+, not the same test* |"
    cell = "20.0 / 20.0 (18.0 to 22.0) / 20 [75 %] / 16"
    assert f"| undistilled | {cell} | {cell} |\n{paper} *52.8 / 46.2 / 147* | *29.2 / 14.4 / 194* |" in text
    assert "| undistilled_teacher | not run | not run |\n" in text
    double = "| orpose_fixed_1x | 30.0 / 30.0 (27.0 to 33.0) / 30 [75 %] / 24 |"
    table_2, table_3 = text.split("### ")[2:]
    assert f"{double} 30.0 / 30.0 (27.0 to 33.0) / 30 [75 %] / 24 |\n{paper} *50.9 / 55.2 / 134* |  |" in table_2
    assert f"{double}\n{paper} *50.6 / 55.8 / 134* |" in table_3
    assert "orpose_single_soft" not in table_2


def test_errors_by_both_protocols_are_named_and_nobody_has_none(config: ReproduceConfig) -> None:
    """The paper's figures are by the published protocol, so ours by it stand beside the correct ones."""
    write_metrics(config, config.undistilled, 0.2)
    path = metrics_path(config, config.undistilled, "mpjpe")
    values = json.loads(path.read_text())
    nobody = {"mpjpe_mm": -1, "found": 0, "missed": 4, "published_mm": -1, "published_people": 0}
    values["runs"]["12x"]["metrics"] = nobody
    path.write_text(json.dumps(values))
    text = result_tables(config)
    assert "/ 20 [75 %] / 16 | 20.0 / 20.0 (18.0 to 22.0) / - / - |" in text
    assert "MPJPE in mm, in brackets the share of people found / MPJPE in mm by the paper's published protocol." in text


def test_a_scale_that_was_added_later_is_not_run(config: ReproduceConfig) -> None:
    write_metrics(config, config.undistilled, 0.2)
    text = result_tables(config.model_copy(update={"scales": (1.0, 10.0, 12.0)}))
    cell = "20.0 / 20.0 (18.0 to 22.0) / 20 [75 %] / 16"
    assert f"| undistilled | {cell} | not run | {cell} |" in text


def test_tables_and_plots_of_what_is_finished(
    config: ReproduceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["reproduce", str(tmp_path / "small.yaml"), "--tables"])
    assert command.main() == 0
    assert sorted(path.name for path in config.runs.iterdir()) == ["tables.md"]
    for name in (config.teacher, "orpose_fixed_1x", "orpose_single_soft"):
        write_metrics(config, name, 0.2)
    card = {"commit": "abc123", "schedule": {"iterations": 5, "training_images": 7, "minutes": 1.5, "machine": "x86"}}
    (config.runs / "orpose_all").mkdir()
    (config.runs / "orpose_all/weights.yaml").write_text(json.dumps(card))
    assert command.main() == 0
    names = ["ablation.png", "ablation_mpjpe.png", "scales.png", "scales_box.png"]
    assert sorted(path.name for path in config.runs.glob("*.png")) == names
    text = (config.runs / "tables.md").read_text()
    assert f"`python -m training.reproduce {tmp_path / 'small.yaml'}`" in text
    assert "| 5 | 20000 | 7 | 1.5 | x86 | abc123 |" in text
    assert "| orpose_fixed_1x above undistilled at 1x (keypoint AP) | not run | *+9.0* | |" in text
    assert all(f"]({name})" in text for name in names)


def test_a_file_of_something_else_is_named(config: ReproduceConfig) -> None:
    write_metrics(config, config.teacher, 0.1)
    metrics_path(config, config.teacher, "mpjpe").write_text("[]")
    with pytest.raises(InputError, match=r"mpjpe.json: no metrics of `orpose evaluate`"):
        result_tables(config)
