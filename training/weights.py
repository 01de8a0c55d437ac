"""`python -m training.weights CONFIG.yaml`: from rendered images to the shipped model files.

Renders the data sets, trains the networks one after another and exports the models that the config names. Each part
whose file is there is done: a stopped chain goes on where it was, and within a part the commands resume.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field

from orpose_models.errors import OrposeError
from orpose_models.settings import Settings, build_settings, read_yaml_mapping
from training.steps import Step, print_plan, run_steps, steps_left, train_step

Pixels = Annotated[str, Field(pattern=r"^\d+x\d+$")]


class ModelConfig(Settings):
    """A model file."""

    run: str = Field(description="the training whose weights it holds")
    size: Pixels = Field(description="the network's input, WIDTHxHEIGHT px")


class WeightsConfig(Settings):
    """The whole way to the model files: the only home of these defaults."""

    data: Path = Field(Path("data"), description="folder of the data sets, as the training configs name it")
    runs: Path = Field(Path("runs"), description="folder of the trainings, as the training configs name it")
    configs: Path = Field(Path("training/configs"), description="folder of the training configs")
    images: dict[str, dict[str, int | str]] = Field(
        min_length=1, description="folder of each data set -> options of `orpose synth`"
    )
    trainings: tuple[str, ...] = Field(min_length=1, description="names of the training configs, in order")
    models: dict[str, ModelConfig] = Field(min_length=1, description="name of each model file and what it holds")
    out: Path = Field(Path("runs/models"), description="folder of the model files and their cards")


def all_steps(config: WeightsConfig, device: str | None = None) -> list[Step]:
    """All steps, in an order in which each finds what it needs; all trainings on `device`, if one is given."""
    steps = []
    for folder, options in config.images.items():
        out = config.data / folder
        given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        steps.append(Step(("synth", *given, "--no-depth", "--out", str(out)), out / "annotations.json"))
    for name in config.trainings:
        steps.append(train_step(config.configs / f"{name}.yaml", config.runs / name, device))
    for name, model in config.models.items():
        weights, out = config.runs / model.run / "weights.safetensors", config.out / f"{name}.onnx"
        given = ["--model", str(weights), "--name", name, "--size", model.size, "--out", str(out)]
        steps.append(Step(("export", *given), out))
    return steps


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.weights", description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file (training/configs/weights.yaml)")
    parser.add_argument("--plan", action="store_true", help="only print the commands that are left")
    parser.add_argument("--device", help="cpu or cuda, for all trainings, instead of their configs'")
    args = parser.parse_args()
    try:
        config = build_settings(WeightsConfig, read_yaml_mapping(args.config), str(args.config))
        left = steps_left(all_steps(config, args.device))
        if args.plan:
            print_plan(left)
            return 0
        return run_steps(left)
    except OrposeError as error:
        print(f"weights: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
