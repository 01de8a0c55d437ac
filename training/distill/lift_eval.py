"""Measures lifters on given 2D joints: SynthOR's labels, clean and disturbed, a network's own joints, and MVOR's poses.

    python -m training.distill.lift_eval runs/a/weights.safetensors runs/b/weights.safetensors \\
        --labels data/or_test/annotations.json --predicted 12x=runs/a/12x/results.json --mvor camma_mvor_2018.json

The first lifter is the reference that the others are compared with, person by person.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.errors import ConfigError, OrposeError
from orpose_models.evaluate.lifting import joint_errors, lifting_metrics, mean_pose, paired_difference
from orpose_models.evaluate.resample import ResampleSettings
from orpose_models.evaluate.results import read_results
from orpose_models.evaluate.text import text_table
from orpose_models.files import write_atomically
from orpose_models.json_values import without_nan
from orpose_models.settings import build_settings
from training.distill.lift_sets import LiftSet, disturbed, read_labelled, read_mvor, read_predicted
from training.teacher.config import PublishedLifting
from training.teacher.lifting import PublishedLiftStage
from training.teacher.network import NetworkLiftStage
from training.teacher.stages import LiftStage

_SEED = 1
PUBLISHED = ("orpose", "martinez")


def lifter_of(text: str, statistics: Path | None) -> LiftStage:
    """The lifters of `weights.safetensors` of ours, or a published one: `orpose:FILE`, `martinez:FILE`.

    Raises:
        ModelError: The file is missing or not what it is said to be.
        ConfigError: A published lifter without its statistics.
    """
    device = torch.device("cpu")
    kind, _, path = text.partition(":")
    if kind not in PUBLISHED:
        return NetworkLiftStage(Path(text), device)
    if statistics is None:
        raise ConfigError(f"{text}: needs --statistics, Human3.6M's h36stats.json")
    return PublishedLiftStage(PublishedLifting(kind=kind, weights=Path(path), statistics=statistics), device)


def lift(lifter: LiftStage, people: LiftSet, unknown: str) -> NDArray[np.float64]:
    """`(N, 17, 3)` mm. `unknown` joints enter as "zero" px and confidence 0, or as a guess in the "box".

    A lifter that reads confidences gets 0 either way; the others cannot tell a guess, as from a network's arg-max.
    """
    if unknown == "zero" or getattr(lifter, "reads_confidence", False):
        return lifter.lift(people.joints, people.confidence).astype(np.float64)
    sides = people.boxes[:, None, 2:] - people.boxes[:, None, :2]
    guess = people.boxes[:, None, :2] + np.random.default_rng(_SEED).random(people.joints.shape) * sides
    joints = np.where(people.confidence[..., None] > 0, people.joints, guess)
    return lifter.lift(joints, np.ones_like(people.confidence)).astype(np.float64)


def read_sets(args: argparse.Namespace) -> list[LiftSet]:
    sets = []
    if args.labels is not None:
        clean = read_labelled(args.labels, "labels")
        sets += [clean, disturbed(clean, "labels, disturbed", _SEED)]
        for given in args.predicted:
            name, _, path = given.rpartition("=")
            results = read_results(path, need=("bbox", "keypoints"))
            sets.append(read_predicted(args.labels, results, f"predicted {name}".strip()))
    if args.mvor is not None:
        sets.append(read_mvor(args.mvor))
    if not sets:
        raise ConfigError("lift_eval: nothing to measure on; give --labels or --mvor")
    return sets


def measure(
    lifters: dict[str, LiftStage], people: LiftSet, unknown: str, settings: ResampleSettings
) -> dict[str, dict[str, Any]]:
    """Metrics by lifter, the mean pose's first; from the second lifter on with `against` the first."""
    about = (people.truth, people.known, people.cameras, people.moments, settings)
    found: dict[str, dict[str, Any]] = {"mean pose": lifting_metrics(mean_pose(people.truth, people.known), *about)}
    reference = None
    for name, lifter in lifters.items():
        poses = lift(lifter, people, unknown)
        errors = joint_errors(poses, people.truth, people.known)
        found[name] = lifting_metrics(poses, *about)
        if reference is None:
            reference = errors
        else:
            found[name]["against"] = dict(paired_difference(errors, reference, people.moments, settings))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lifters", nargs="+", help="weights.safetensors of ours, orpose:FILE or martinez:FILE")
    parser.add_argument("--statistics", type=Path, help="h36stats.json, of published lifters")
    parser.add_argument("--labels", type=Path, help="label file with 2D and 3D joints (orpose synth)")
    parser.add_argument(
        "--predicted", action="append", default=[], metavar="NAME=RESULTS",
        help="results of orpose run on the labelled images: their 2D joints are lifted too",
    )  # fmt: skip
    parser.add_argument("--mvor", type=Path, help="camma_mvor_2018.json")
    parser.add_argument(
        "--unknown", choices=("box", "zero"), default="box",
        help="unknown joints of a lifter that reads no confidence: a random place in the box, or 0 px (default: box)",
    )  # fmt: skip
    parser.add_argument("--bootstrap", type=int, default=1000, help="samples of moments for 95 %% intervals")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    args = parser.parse_args(arguments)
    try:
        lifters = {text: lifter_of(text, args.statistics) for text in args.lifters}
        settings = build_settings(ResampleSettings, {"bootstrap": args.bootstrap}, "command line")
        found = {people.name: measure(lifters, people, args.unknown, settings) for people in read_sets(args)}
    except OrposeError as error:
        print(f"lift_eval: error: {error}", file=sys.stderr)
        return 2
    for name, of_lifter in found.items():
        for lifter, rows in of_lifter.items():
            print(text_table(rows, f"{name}: {lifter}"), end="\n\n")
    if args.json is not None:
        write_atomically(args.json, json.dumps(without_nan(found), indent=1, allow_nan=False).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
