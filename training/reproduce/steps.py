"""The steps of a reproduction: each a command of `orpose` and the file it makes.

A step whose file is there is done, so a stopped reproduction goes on where it was; within a step the commands resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.reproduce.config import ReproduceConfig

#: Folder of each split of SynthOR, as the training configs name them.
FOLDERS = {
    "everyday_train": "everyday",
    "everyday_validation": "everyday_val",
    "or_unlabelled": "or_unlabelled",
    "or_test": "or_test",
}
PROTOCOLS = ("coco-bbox", "coco-keypoints", "mpjpe")


@dataclass(frozen=True)
class Step:
    """`orpose *arguments` makes the file `product`; with `resume`, added if the file `under_way` is there."""

    arguments: tuple[str, ...]
    product: Path
    under_way: Path | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments of `orpose` as things are now."""
        going_on = self.under_way is not None and self.under_way.exists()
        return (*self.arguments, "--resume") if going_on else self.arguments


def all_steps(config: ReproduceConfig) -> list[Step]:
    """All steps, in an order in which each finds what it needs."""
    steps = [_synth(config, split) for split in FOLDERS]
    for name in (config.undistilled, config.teacher):
        steps.append(_train(config, name))
    steps += _test_student(config, config.undistilled) + _test_teacher(config)
    steps += [_pseudo_label(config, folder) for folder in config.pseudo_labels]
    for name in config.distilled:
        steps += [_train(config, name), *_test_student(config, name)]
    return steps


def scale_name(scale: float) -> str:
    """How tables and files call a downsampling factor."""
    return f"{scale:g}x"


def metrics_path(config: ReproduceConfig, name: str, protocol: str) -> Path:
    """Where the metrics of a network are."""
    return config.runs / name / f"{protocol}.json"


def _synth(config: ReproduceConfig, split: str) -> Step:
    out = config.data / FOLDERS[split]
    images = str(config.images[split])
    options = ("--images", images, "--size", config.size, "--no-depth", "--out", str(out))
    return Step(("synth", "--benchmark", split, *options), out / "annotations.json")


def _train(config: ReproduceConfig, name: str) -> Step:
    out = config.runs / name
    arguments = ("train", str(config.configs / f"{name}.yaml"), "--out", str(out))
    return Step(arguments, out / "weights.safetensors", out / "checkpoint.pt")


def _test_set(config: ReproduceConfig) -> Path:
    return config.data / FOLDERS["or_test"] / "annotations.json"


def _pseudo_label(config: ReproduceConfig, folder: str) -> Step:
    out = config.data / folder
    unlabelled = str(config.data / FOLDERS["or_unlabelled"] / "annotations.json")  # its labels are not read
    teacher, share = str(config.pseudo_labels[folder]), str(config.validation_share)
    options = ("--teacher", teacher, "--split", share, "--out", str(out))
    return Step(("pseudo-label", unlabelled, *options), out / "annotations.json")


def _test_student(config: ReproduceConfig, name: str) -> list[Step]:
    folder = config.runs / name
    model = folder / f"{name}.onnx"
    weights = str(folder / "weights.safetensors")
    steps = [Step(("export", "--model", weights, "--size", config.input_size, "--out", str(model)), model)]
    test_set = _test_set(config)
    for scale in config.scales:
        out = folder / scale_name(scale)
        options = ("--model", str(model), "--downsample", f"{scale:g}", "--out", str(out))
        arguments = ("run", str(test_set.parent / "images"), "--annotations", str(test_set), *options)
        steps.append(Step(arguments, out / "results.json"))
    return steps + _evaluate(config, name)


def _test_teacher(config: ReproduceConfig) -> list[Step]:
    steps = []
    for scale in config.scales:
        out = config.runs / config.teacher / scale_name(scale)
        options = (
            "--teacher",
            str(config.teacher_stages),
            "--downsample",
            f"{scale:g}",
            "--results",
            "--out",
            str(out),
        )
        steps.append(Step(("pseudo-label", str(_test_set(config)), *options), out / "results.json"))
    return steps + _evaluate(config, config.teacher)


def _evaluate(config: ReproduceConfig, name: str) -> list[Step]:
    results = [f"{scale_name(s)}={config.runs / name / scale_name(s) / 'results.json'}" for s in config.scales]
    steps = []
    for protocol in PROTOCOLS:
        out = metrics_path(config, name, protocol)
        arguments = ("evaluate", "--protocol", protocol, "--annotations", str(_test_set(config)), "--results", *results)
        steps.append(Step((*arguments, "--intervals", "--json", str(out)), out))
    return steps
