"""Fits the lifters of a finished student again; all else of it stays as it is.

    python -m training.distill.refit CONFIG runs/a/weights.safetensors --out runs/a/refitted.safetensors \\
        --lifter-input confidence --iterations 6000

CONFIG is a training run's YAML file: its `sources`, `labels`, `lifters` and `seed` are used, no pixel is read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from orpose_models.errors import AnnotationError, ConfigError, OrposeError
from orpose_models.network.lifter import LifterInput
from orpose_models.network.student import Student, build_student
from orpose_models.network.weights import load_student, read_input_size, save_weights
from orpose_models.settings import read_yaml_mapping
from training.data.dataset import read_items
from training.distill.checkpoint import source_commit
from training.distill.config import TrainConfig, read_config
from training.distill.lifters import fit_lifters
from training.distill.start import copy_weights


def student_with(source: Student, kind: LifterInput) -> Student:
    """A copy of the student with lifters to fit; they are new ones where they read something else now."""
    conventions = source.preset.conventions.model_copy(update={"has_lifters": True})
    student = build_student(source.preset.with_conventions(conventions).with_lifter_input(kind))
    copy_weights(source, student)
    return student


def refit(weights: Path, config_path: Path, out: Path, **changes: Any) -> int:
    """Writes `out` and its card. `changes` replace keys of the config, of which None are left out.

    Returns:
        How many labelled people the lifters were fitted on.

    Raises:
        OrposeError: A file cannot be read, or nobody in the sources has 3D joints.
    """
    config = read_config(config_path, **{key: value for key, value in changes.items() if value is not None})
    if out.resolve() == weights.resolve():
        raise ConfigError(f"{out}: is the file that is read; give another --out")
    if config.lifter_iterations == 0:
        raise ConfigError(f"{config_path}: lifter_iterations is 0; give --iterations")
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    student = student_with(load_student(weights), config.lifter_input)
    items = read_items(config.sources)
    size, iterations = read_input_size(weights) or config.stages[-1].size, config.lifter_iterations
    people = fit_lifters(student, items, config.labels, config.lifters, iterations, config.seed, size)
    if people == 0:
        raise AnnotationError(f"{config_path}: sources: nobody with 2D and 3D joints; the lifters were not fitted")
    card = {**_card_of(weights), "lifters": _facts(config, people)}
    save_weights(student, out, card, read_input_size(weights))
    return people


def _card_of(weights: Path) -> dict[str, Any]:
    card = weights.with_suffix(".yaml")
    return read_yaml_mapping(card) if card.is_file() else {}


def _facts(config: TrainConfig, people: int) -> dict[str, Any]:
    sources = [str(source.annotations) for source in config.sources]
    return {
        "fitted_on": sources,
        "people": people,
        "iterations": config.lifter_iterations,
        "seed": config.seed,
        "commit": source_commit(),
        **config.lifters.model_dump(mode="json"),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="YAML file of a training run")
    parser.add_argument("weights", type=Path, help="safetensors file of the student")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write; its card goes beside it")
    parser.add_argument("--lifter-input", choices=get_args(LifterInput), help="instead of the file's")
    parser.add_argument("--iterations", type=int, help="batches, instead of the file's lifter_iterations")
    parser.add_argument("--threads", type=int, help="threads of torch, instead of the file's")
    args = parser.parse_args(arguments)
    changes = {"lifter_input": args.lifter_input, "lifter_iterations": args.iterations, "threads": args.threads}
    try:
        people = refit(args.weights, args.config, args.out, **changes)
    except OrposeError as error:
        print(f"refit: error: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: lifters fitted on {people} people")
    return 0


if __name__ == "__main__":
    sys.exit(main())
