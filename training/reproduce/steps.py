"""The steps of a reproduction, each a command of `orpose`."""

from __future__ import annotations

from pathlib import Path

from orpose_models.evaluate.seen import Joints
from orpose_models.runtime.config import RuntimeConfig
from training.reproduce.config import FOLDERS, RESAMPLING, ReproduceConfig
from training.steps import Step, train_step

PROTOCOLS = ("coco-bbox", "coco-keypoints", "mpjpe")


def all_steps(config: ReproduceConfig) -> list[Step]:
    """All steps, in an order in which each finds what it needs."""
    return [step for phase in all_phases(config) for chain in phase for step in chain]


def all_phases(config: ReproduceConfig) -> list[list[list[Step]]]:
    """The steps as phases, one after another, of chains that need nothing of each other."""
    first = [_train(config, name) for name in config.trained_first]
    return [
        [[_synth(config, split) for split in config.images]],  # each takes all processors
        [first],
        [
            _test_student(config, config.undistilled),
            _test_teacher(config),
            *([_pseudo_label(config, folder)] for folder in config.pseudo_labels),
        ],
        [[_train(config, name), *_test_student(config, name)] for name in config.distilled],
    ]


def scale_name(scale: float) -> str:
    """How tables and files call a downsampling factor."""
    return f"{scale:g}x"


def metrics_path(config: ReproduceConfig, name: str, protocol: str) -> Path:
    """Where the metrics of a network are."""
    return config.runs / name / f"{protocol}.json"


def results_path(config: ReproduceConfig, name: str, scale: float) -> Path:
    """Where the results of a network at a downsampling factor are."""
    return config.runs / name / scale_name(scale) / "results.json"


def labels_path(config: ReproduceConfig) -> Path:
    """The labels that all networks are tested on."""
    return config.data / FOLDERS["or_test"] / "annotations.json"


def joints_of(config: ReproduceConfig, protocol: str) -> Joints:
    """The labelled joints that a protocol counts."""
    return config.joints if protocol == "coco-keypoints" else "all"


def _synth(config: ReproduceConfig, split: str) -> Step:
    out = config.data / FOLDERS[split]
    images = str(config.images[split])
    options = ("--images", images, "--size", config.size, "--no-depth", "--out", str(out))
    return Step(("synth", "--benchmark", split, *options), out / "annotations.json")


def _train(config: ReproduceConfig, name: str) -> Step:
    return train_step(config.configs / f"{name}.yaml", config.runs / name)


def _pseudo_label(config: ReproduceConfig, folder: str) -> Step:
    out = config.data / folder
    unlabelled = str(config.data / FOLDERS["or_unlabelled"] / "annotations.json")  # its labels are not read
    teacher, share = str(config.pseudo_labels[folder]), str(config.validation_share)
    workers = ("--workers", str(config.label_workers)) if config.label_workers > 1 else ()
    options = ("--teacher", teacher, "--split", share, *workers, "--out", str(out))
    return Step(("pseudo-label", unlabelled, *options), out / "annotations.json")


def _test_student(config: ReproduceConfig, name: str) -> list[Step]:
    folder = config.runs / name
    model = folder / f"{name}.onnx"
    weights = str(folder / "weights.safetensors")
    steps = [Step(("export", "--model", weights, "--size", config.input_size, "--out", str(model)), model)]
    test_set = labels_path(config)
    for scale in config.scales:
        results = results_path(config, name, scale)
        options = ("--model", str(model), "--downsample", f"{scale:g}", "--out", str(results.parent))
        arguments = ("run", str(test_set.parent / "images"), "--annotations", str(test_set), *options)
        steps.append(Step(arguments, results))
    return steps + _evaluate(config, name)


def _test_teacher(config: ReproduceConfig) -> list[Step]:
    steps = []
    for scale in config.scales:
        results = results_path(config, config.teacher, scale)
        # average precision also counts people of whom a network is not sure: the teacher's as a student's
        least = f"{RuntimeConfig().min_score:g}"
        options = ("--downsample", f"{scale:g}", "--box-threshold", least, "--results", "--out", str(results.parent))
        arguments = ("pseudo-label", str(labels_path(config)), "--teacher", str(config.teacher_stages), *options)
        steps.append(Step(arguments, results))
    return steps + _evaluate(config, config.teacher)


def _evaluate(config: ReproduceConfig, name: str) -> list[Step]:
    results = [f"{scale_name(s)}={results_path(config, name, s)}" for s in config.scales]
    steps = []
    for protocol in PROTOCOLS:
        out = metrics_path(config, name, protocol)
        files = ("--annotations", str(labels_path(config)), "--results", *results, "--json", str(out))
        options = ("--intervals", "--resample", RESAMPLING.resample)
        joints = ("--joints", joints_of(config, protocol))
        steps.append(Step(("evaluate", "--protocol", protocol, *files, *joints, *options), out))
    return steps
