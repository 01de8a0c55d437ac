"""Configuration files: errors name file and key; the shipped ones are valid and hold the paper's numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from orpose_models.errors import ConfigError
from training.data.augment_config import ORPOSE_ALL
from training.distill.config import TrainConfig, read_config
from training.distill.schedule import lr_factor, progress

FOLDER = Path(__file__).parents[3] / "training/configs"
#: Runs of `orpose train`; the folder holds teachers too.
RUNS = ("undistilled", "orpose_", "sspcm")
FULL = sorted(path for path in FOLDER.glob("*.yaml") if path.stem.startswith(RUNS))
#: But for what only the reduced undistilled networks start from.
REDUCED = sorted(path for path in (FOLDER / "reduced").glob("*.yaml") if "coarse" not in path.stem)
GOOD = """
name: a
sources: [{annotations: labels.json}]
stages: [{until: 0.5, size: [320, 240], batch_size: 8}, {until: 1, size: [640, 480], batch_size: 4}]
iterations: 100
"""
#: Scales seen, base learning rate, iterations, and where the rate falls to a tenth (Srivastav 2020, schedules).
PAPER = {
    "orpose_fixed_1x": (1, 1e-3, 5_000, (2_000, 3_000, 4_000)),
    "orpose_fixed_8x": (8, 1e-2, 10_000, (7_000, 8_000, 9_000)),
    "orpose_fixed_10x": (10, 1e-2, 10_000, (7_000, 8_000, 9_000)),
    "orpose_fixed_12x": (12, 1e-2, 10_000, (7_000, 8_000, 9_000)),
    "orpose_all": (None, 1e-1, 20_000, (14_000, 16_000, 18_000)),
}
#: Preset, labels and 3D target of the hard branch of Table 3's networks, trained as orpose_fixed_1x.
ABLATION = {
    "orpose_single_hard": ("r50_single", "hard", "s3d"),
    "orpose_single_soft": ("r50_single", "soft", "s3d"),
    "orpose_single_both": ("r50_single", "hard+soft", "s3d"),
    "orpose_fixed_1x": ("r50", "hard+soft", "s3d"),
    "orpose_fixed_1x_h3d": ("r50", "hard+soft", "h3d"),
}


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_shipped_configs_are_valid(path: Path) -> None:
    assert read_config(path).name == path.stem


@pytest.mark.parametrize("path", REDUCED, ids=lambda path: path.stem)
def test_reduced_configs_are_the_full_ones_made_smaller(path: Path) -> None:
    full, reduced = read_config(FOLDER / path.name), read_config(path)
    assert reduced.name == f"{full.name}_reduced"
    assert reduced.preset == full.preset.replace("r50", "lite_small")
    for key in ("trained_labels", "hard_3d_target", "seed"):
        assert getattr(reduced, key) == getattr(full, key), key
    assert reduced.augment.downsample == full.augment.downsample
    assert reduced.device == "cpu"
    assert reduced.stages[0].batch_size < full.stages[0].batch_size
    if not full.name.startswith("undistilled"):
        assert reduced.optimizer.milestones == full.optimizer.milestones


@pytest.mark.parametrize("name", ["own_room", "own_recordings"])
def test_the_runs_for_an_own_room_go_on_from_a_shipped_model(name: str) -> None:
    config = read_config(FOLDER / f"{name}.yaml")
    assert (config.name, config.preset) == (name, "lite")
    assert config.initial_weights == Path("runs/shipped/lite.safetensors")
    from_scratch = read_config(FOLDER / "weights/lite_start.yaml")
    assert config.lifter_input == from_scratch.lifter_input, "lifters that read something else would start anew"
    assert config.optimizer.lr < from_scratch.optimizer.lr
    assert {source.annotations for source in config.sources} == {Path(f"data/{name}/annotations.json")}


def test_every_full_run_has_a_reduced_one() -> None:
    assert {path.name for path in FULL} == {path.name for path in REDUCED}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_schedules(name: str) -> None:
    scale, rate, iterations, milestones = PAPER[name]
    config = read_config(FOLDER / f"{name}.yaml")
    assert (config.optimizer.name, config.optimizer.lr, config.iterations) == ("sgd", rate, iterations)
    assert [(stage.size, stage.batch_size) for stage in config.stages] == [((640, 480), 32)]
    assert [lr_at(config, milestone) / rate for milestone in milestones] == pytest.approx([0.1, 0.01, 0.001])
    assert [lr_at(config, milestone - 1) / rate for milestone in milestones] == pytest.approx([1, 0.1, 0.01])
    assert (lr_at(config, 1000), lr_at(config, 0)) == pytest.approx((rate, 0.01 * rate))
    if scale is None:
        assert config.augment.downsample == ORPOSE_ALL
    else:
        assert [(c.probability, c.low, c.high) for c in config.augment.downsample] == [(1, scale, scale)]


@pytest.mark.parametrize("name", [*PAPER, *ABLATION, "sspcm"])
def test_the_published_codes_box_head(name: str) -> None:
    """Smooth L1 and proposals of Srivastav 2020; anchors per level and BatchNorm are detectron2's defaults."""
    config = read_config(FOLDER / f"{name}.yaml")
    assert (config.box_beta, config.freeze_batch_norm) == (0.5, True)
    assert (config.training_proposals, config.training_proposals_per_level) == (1500, 2000)
    assert config.keypoint_rois_per_image == 128


@pytest.mark.parametrize("folder", ["reduced", "one_gpu", "weights"])
def test_other_runs_keep_their_box_head(folder: str) -> None:
    for path in (FOLDER / folder).glob("*.yaml"):
        config = read_config(path)
        assert (config.box_beta, config.freeze_batch_norm) == (1 / 9, False), path
        assert config.training_proposals <= config.training_proposals_per_level == 500, path


def lr_at(config: TrainConfig, iteration: int) -> float:
    return config.optimizer.lr * lr_factor(config.optimizer, progress(config, iteration, 0.0))


@pytest.mark.parametrize("name", [*PAPER, *ABLATION])
def test_distilled_runs_flip_scale_and_start_from_the_undistilled_student(name: str) -> None:
    config = read_config(FOLDER / f"{name}.yaml")
    assert config.initial_weights == Path("runs/undistilled/weights.safetensors")
    assert config.loss_weights == {}, "the paper adds the losses"
    augment = config.augment
    assert augment.flip_probability == 0.5
    for key in ("translate", "stretch", "rotation_deg", "white_balance", "channel_mix", "shading", "blur_probability",
                "motion_probability", "noise_probability", "jpeg_probability", "cutout_probability"):  # fmt: skip
        assert getattr(augment, key) == 0, key
    for key in ("zoom", "contrast", "saturation", "gamma"):
        assert getattr(augment, key) == (1, 1), key
    assert augment.exposure_stops == (0, 0)


@pytest.mark.parametrize("name", ABLATION)
def test_table_3(name: str) -> None:
    config, base = (read_config(FOLDER / f"{each}.yaml") for each in (name, "orpose_fixed_1x"))
    assert (config.preset, config.trained_labels, config.hard_3d_target) == ABLATION[name]
    same = {"preset": "", "trained_labels": "hard+soft", "hard_3d_target": "s3d", "name": ""}
    assert config.model_copy(update=same) == base.model_copy(update=same)


def test_the_undistilled_student_starts_from_nothing() -> None:
    for path in (FOLDER / "undistilled.yaml", FOLDER / "reduced/undistilled_coarse.yaml"):
        assert read_config(path).initial_weights is None


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "reduced"], ids=["full", "reduced"])
def test_interactive_training(folder: Path) -> None:
    """The papers' hard view and correction; teachers of other random weights; nothing of it in the plain runs."""
    config, plain = read_config(folder / "sspcm.yaml"), read_config(folder / "orpose_fixed_1x.yaml")
    augment, interactive = config.augment, config.interactive
    assert interactive is not None and plain.interactive is None
    assert (augment.cut_occlude_joints, plain.augment.cut_occlude_joints) == (2, 0)
    assert (augment.cut_occlude_jitter_px, augment.cut_occlude_half_px) == (10, (10, 19))
    assert (augment.rotation_sigma_deg, augment.zoom) == (30, (0.75, 1.25))
    correction = interactive.correction
    assert (correction.pairs, correction.min_score, correction.drop_from) == ("all", 0.1, 0.6)
    assert interactive.teachers[0] == config.initial_weights
    first, second = (_from_scratch(folder, f"undistilled{name}") for name in ("", "_second"))
    assert len(first) == len(second)
    for ours, theirs in zip(first, second, strict=True):
        own = {"seed": 1, "name": theirs.name, "initial_weights": theirs.initial_weights}
        assert ours.model_copy(update=own) == theirs, "the same but for the weights that it starts from"


def _from_scratch(folder: Path, name: str) -> list[TrainConfig]:
    """The runs that lead to that one, from random weights on."""
    config = read_config(folder / f"{name}.yaml")
    return [
        *([] if config.initial_weights is None else _from_scratch(folder, config.initial_weights.parent.name)),
        config,
    ]


def test_overrides(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    config = read_config(tmp_path / "a.yaml", max_minutes=5.0)
    assert (config.iterations, config.max_minutes) == (100, 5.0)


def test_a_base_is_merged_and_its_lists_replaced(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/root.yaml").write_text(
        GOOD + "optimizer: {lr: 0.5, momentum: 0.5}\nloss_weights: {loss_2d_hard: 2}\n"
    )
    (tmp_path / "middle.yaml").write_text("base: base/root.yaml\noptimizer: {lr: 0.25}\nseed: 3\n")
    (tmp_path / "run.yaml").write_text("base: middle.yaml\nname: b\nsources: [{annotations: other.json}]\n")
    config = read_config(tmp_path / "run.yaml")
    assert (config.name, config.seed, config.optimizer.lr, config.optimizer.momentum) == ("b", 3, 0.25, 0.5)
    assert [str(source.annotations) for source in config.sources] == ["other.json"]
    assert config.loss_weights == {"loss_2d_hard": 2}


def test_more_sources_add_to_those_of_the_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(GOOD)
    run = tmp_path / "run.yaml"
    run.write_text("base: base.yaml\nmore_sources: [{annotations: more.json, repeat: 2}]\n")
    config = read_config(run)
    assert [(str(source.annotations), source.repeat) for source in config.sources] == [
        ("labels.json", 1), ("more.json", 2),
    ]  # fmt: skip
    run.write_text("base: base.yaml\nmore_sources: [{labels: more.json}]\n")
    with pytest.raises(ConfigError, match=r"run\.yaml: more_sources"):
        read_config(run)


def test_of_several_bases_a_later_one_wins(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(GOOD + "seed: 1\noptimizer: {lr: 0.5, momentum: 0.5}\n")
    (tmp_path / "second.yaml").write_text("seed: 2\noptimizer: {lr: 0.25}\n")
    (tmp_path / "run.yaml").write_text("base: [first.yaml, second.yaml]\nname: b\n")
    config = read_config(tmp_path / "run.yaml")
    assert (config.name, config.seed, config.optimizer.lr, config.optimizer.momentum) == ("b", 2, 0.25, 0.5)


def test_a_base_that_leads_back_or_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    with pytest.raises(ConfigError, match=r"b\.yaml: cannot be read"):
        read_config(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    with pytest.raises(ConfigError, match=r"b\.yaml: base: .*a\.yaml leads back to itself"):
        read_config(tmp_path / "a.yaml")


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
        ("name: a", "name: a\ntrained_labels: soft", "preset lite has two branches; lite_single has one"),
        ("name: a", "name: a\nprecision: fp16", "fp16 is for device cuda"),
        ("name: a", "name: a\ndevice: tpu", "device"),
        (
            "name: a",
            "name: a\nfreeze_batch_norm: true",
            "random weights have no statistics to keep; set initial_weights",
        ),
        ("name: a", "name: a\nloss_weights: {loss_2d_hart: 2}", "loss_weights.loss_2d_hart"),
        ("name: a", "name: a\nvalidation: {downsample: [0.5]}", r"validation.downsample.0: got 0.5"),
        ("name: a", "name: a\noptimizer: {milestones: [7000]}", r"optimizer.milestones.0: got 7000"),
        (
            "name: a",
            "name: a\naugment: {zoom: [0, 2]}",
            r"zoom: expected 0.05 <= smallest <= largest, got \[0.0, 2.0\]",
        ),
        ("name: a", "name: a\naugment: {noise_sd: [5, 1]}", "noise_sd: expected 0 <= smallest <= largest"),
        ("size: [320, 240]", "size: [0, 240]", r"stages.0.size.0: got 0"),
    ],
)
def test_errors(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path)
    assert "run.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
