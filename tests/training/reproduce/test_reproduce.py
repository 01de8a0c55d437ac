from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from orpose.main import build_parser
from orpose_models.errors import ConfigError
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.settings import build_settings, read_yaml_mapping
from training import steps
from training.distill.config import read_config
from training.reproduce import __main__ as command
from training.reproduce import paper
from training.reproduce.config import FOLDERS, ReproduceConfig
from training.reproduce.networks import roles_of
from training.reproduce.steps import all_phases, all_steps
from training.steps import Step

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = [ROOT / f"training/configs/{name}.yaml" for name in ("reproduce", "reproduce_one_gpu", "reproduce_full")]
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


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_command_of_a_shipped_reproduction_is_one_that_orpose_takes_and_names_files_that_are_there(path):
    config = build_settings(ReproduceConfig, read_yaml_mapping(path), str(path))
    every = all_steps(config)
    assert len({step.product for step in every}) == len(every)
    for step in every:
        build_parser(step.arguments[0]).parse_args(step.arguments)
        for argument in step.arguments:
            if argument.endswith(".yaml"):
                assert (ROOT / argument).exists(), argument


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_networks_are_trained_on_what_the_reproduction_makes_before_them(path):
    config = build_settings(ReproduceConfig, read_yaml_mapping(path), str(path))
    made = {config.data / FOLDERS[split] for split in config.images} | {
        config.data / name for name in config.pseudo_labels
    }
    trained = []
    for step in all_steps(config):
        if step.arguments[0] != "train":
            continue
        run = read_config(ROOT / step.arguments[1])
        sources = {source.annotations for source in (*run.sources, *run.validation.sources)}
        assert sources <= made | {folder / f"{name}.json" for folder in made for name in ("annotations", "validation")}
        assert run.initial_weights is None or run.initial_weights in trained, step.arguments
        trained.append(step.product)


def test_the_full_reproduction_is_at_the_papers_scale():
    """All of SynthOR, whose counts are the paper's; the paper's teacher, which nobody has to train."""
    path = ROOT / "training/configs/reproduce_full.yaml"
    config = build_settings(ReproduceConfig, read_yaml_mapping(path), str(path))
    whole = read_yaml_mapping(ROOT / "training/configs/synthor.yaml")
    assert config.images == {split: whole[split]["images"] for split in config.images}
    assert (config.images["or_unlabelled"], config.images["or_test"]) == (paper.UNLABELLED_IMAGES, paper.TEST_IMAGES)
    assert config.size == config.input_size == paper.IMAGE_SIZE
    assert roles_of(config).fixed.keys() == paper.FIXED.keys()
    for name in (*config.trained_first, *config.distilled):
        run = read_config(ROOT / config.configs / f"{name}.yaml")
        assert run.preset in ("r50", "r50_single")
        assert [stage.batch_size for stage in run.stages] == [paper.BATCH_SIZE]
    trained = [step.arguments[1] for step in all_steps(config) if step.arguments[0] == "train"]
    assert "training/configs/teacher_paper.yaml" not in trained
    assert len(trained) == 1 + len(config.distilled)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_both_3d_targets_of_the_hard_branch_are_in_the_ablation(path):
    roles = roles_of(build_settings(ReproduceConfig, read_yaml_mapping(path), str(path)))
    assert (roles.double, roles.h3d) == ("orpose_fixed_1x", "orpose_fixed_1x_h3d")


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


def test_chains_run_beside_each_other_and_each_in_its_order(tmp_path, monkeypatch, capsys):
    """One of four steps is done; the others run two at a time, and what they print is beside what they make."""
    together = threading.Barrier(2, timeout=20)
    ran = []

    def run(arguments, stdout, stderr):
        ran.append(arguments[3:])
        if arguments[-1] != "last":
            together.wait()
        stdout.write(b"progress")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(steps.subprocess, "run", run)
    (tmp_path / "done").touch()
    chains = [
        [
            Step(("train", "a"), tmp_path / "a/weights.safetensors"),
            Step(("run", "last"), tmp_path / "a/1x/results.json"),
        ],
        [Step(("synth", "b"), tmp_path / "done"), Step(("train", "c"), tmp_path / "c/weights.safetensors")],
    ]
    assert steps.run_chains(chains, 2) == 0
    assert sorted(ran[:2]) == [["train", "a"], ["train", "c"]]
    assert ran[2:] == [["run", "last"]]
    assert (tmp_path / "a/1x/results.log").read_text() == "progress"
    assert "c/weights.safetensors: made" in capsys.readouterr().out


def test_several_jobs_go_phase_by_phase_until_one_fails(tmp_path, monkeypatch):
    values = {**SMALL, "data": str(tmp_path / "data"), "runs": str(tmp_path / "runs")}
    (tmp_path / "small.yaml").write_text(json.dumps(values))
    asked = []
    monkeypatch.setattr(
        command, "run_chains", lambda phase, jobs: asked.append((phase, jobs)) or (3 if asked[2:] else 0)
    )
    monkeypatch.setattr(sys, "argv", ["reproduce", str(tmp_path / "small.yaml"), "--jobs", "4"])
    assert command.main() == 3
    assert asked == [(phase, 4) for phase in all_phases(small(tmp_path))[:3]]
    for wrong in ("0", "-1", "many"):
        monkeypatch.setattr(sys, "argv", ["reproduce", str(tmp_path / "small.yaml"), "--jobs", wrong])
        with pytest.raises(SystemExit):
            command.main()


def test_after_a_failure_no_other_step_begins(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(steps.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=3))
    chains = [[Step(("train", name), tmp_path / f"{name}{number}") for number in (1, 2)] for name in ("a", "b")]
    assert steps.run_chains(chains, 1) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a1.log"]
    assert "a1: failed with exit code 3; see" in capsys.readouterr().out
