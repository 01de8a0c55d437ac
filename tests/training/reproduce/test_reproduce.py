from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from orpose.main import build_parser
from orpose_models.errors import ConfigError
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.settings import build_settings, read_yaml_mapping
from training import steps
from training.reproduce import __main__ as command
from training.reproduce.config import ReproduceConfig
from training.reproduce.steps import all_steps

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "training/configs/reproduce.yaml"
SMALL = {
    "name": "small",
    "images": {"everyday_train": 6, "everyday_validation": 3, "or_unlabelled": 6, "or_test": 3},
    "scales": [1, 12],
    "distilled": ["orpose_all", "orpose_single_soft"],
    "ablation": ["orpose_single_soft"],
}


def small(folder: Path, **changes: object) -> ReproduceConfig:
    values = {**SMALL, "data": str(folder / "data"), "runs": str(folder / "runs"), **changes}
    return build_settings(ReproduceConfig, values, "small.yaml")


def test_every_command_of_the_shipped_reproduction_is_one_that_orpose_takes_and_names_files_that_are_there():
    config = build_settings(ReproduceConfig, read_yaml_mapping(SHIPPED), str(SHIPPED))
    every = all_steps(config)
    assert len({step.product for step in every}) == len(every)
    for step in every:
        build_parser(step.arguments[0]).parse_args(step.arguments)
        for argument in step.arguments:
            if argument.endswith(".yaml"):
                assert (ROOT / argument).exists(), argument


def test_a_step_finds_what_it_needs_made_by_those_before_it(tmp_path):
    config = small(tmp_path)
    made: set[str] = set()
    for step in all_steps(config):
        for argument in step.arguments:
            path = argument.split("=")[-1]
            if path.startswith(str(tmp_path)) and Path(path).suffix and path != str(step.product):
                assert path in made, (step.arguments, path)
        made.add(str(step.product))


def test_training_goes_on_from_its_checkpoint(tmp_path):
    step = next(step for step in all_steps(small(tmp_path)) if step.arguments[0] == "train")
    assert step.under_way is not None
    assert "--resume" not in step.command
    step.under_way.parent.mkdir(parents=True)
    step.under_way.touch()
    assert step.command[-1] == "--resume"


def test_done_steps_are_left_out_and_a_failure_ends_the_run(tmp_path, monkeypatch, capsys):
    values = {**SMALL, "data": str(tmp_path / "data"), "runs": str(tmp_path / "runs")}
    (tmp_path / "small.yaml").write_text(json.dumps(values))
    first, second, *_ = all_steps(small(tmp_path))
    first.product.parent.mkdir(parents=True)
    first.product.touch()
    ran = []

    class Ended:
        returncode = 3

    monkeypatch.setattr(steps.subprocess, "run", lambda arguments: ran.append(tuple(arguments)) or Ended())
    monkeypatch.setattr(sys, "argv", ["reproduce", str(tmp_path / "small.yaml")])
    assert command.main() == 3
    assert ran == [(sys.executable, "-m", "orpose", *second.arguments)]
    monkeypatch.setattr(sys, "argv", ["reproduce", str(tmp_path / "small.yaml"), "--plan"])
    assert command.main() == 0
    plan = capsys.readouterr().out
    assert " ".join(first.arguments) not in plan
    assert " ".join(second.arguments) in plan


def test_the_teacher_is_tested_with_all_the_people_that_a_student_is(tmp_path):
    """Average precision also counts people of whom a network is not sure."""
    labelling = [step.arguments for step in all_steps(small(tmp_path)) if "--results" in step.arguments]
    labelling = [arguments for arguments in labelling if arguments[0] == "pseudo-label"]
    least = {arguments[arguments.index("--box-threshold") + 1] for arguments in labelling}
    assert (len(labelling), least) == (2, {f"{RuntimeConfig().min_score:g}"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ablation": ["orpose_fixed_1x"]}, "ablation, sspcm: orpose_fixed_1x is not one of: undistilled, "),
        ({"sspcm": ["orpose_all", "none"]}, "ablation, sspcm: none is not one of"),
        ({"images": {"or_test": 3}}, "images: expected everyday_train, everyday_validation, or_unlabelled, or_test"),
    ],
)
def test_names_that_are_not_there_are_told_before_anything_runs(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        small(tmp_path, **change)
