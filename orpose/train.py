"""`orpose train`: a student network from a configuration file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from orpose_models.errors import BackendError, InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="YAML file of the run (training/configs has examples)")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, checkpoint, log and pictures")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--max-minutes", type=float, help="budget in minutes, instead of the file's")
    parser.add_argument("--check", action="store_true", help="read config and data, write samples.png, do not train")


def run(args: argparse.Namespace) -> int:
    # Threads that spin while they wait make training ten times slower as soon as another process wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise BackendError(f"train: {error.name} is not installed; pip install 'orpose[train]'") from None
    from training.distill.config import read_config

    overrides = {} if args.max_minutes is None else {"max_minutes": args.max_minutes}
    config = read_config(args.config, **overrides)
    _require_fresh(args.out, args.resume)

    from training.distill.finish import finish
    from training.distill.trainer import Trainer

    trainer = Trainer(config, args.out, resume=args.resume)
    if args.check:
        trainer.write_samples()
        images, held_out = len(trainer.dataset), len(trainer.validation_items)
        print(f"{images} training and {held_out} validation images; {args.out}/samples.png")
        return 0
    if not trainer.train():
        resume = f"orpose train {args.config} --out {args.out} --resume"
        print(f"stopped at iteration {trainer.iteration}; to go on: {resume}")
        return 128 + (trainer.stop_signal or 0)
    card = finish(trainer)
    print(f"{args.out}/weights.safetensors: {trainer.iteration} iterations, {card['metrics']['validation']}")
    return 0


def _require_fresh(out: Path, resume: bool) -> None:
    if not resume and (out / "checkpoint.pt").exists():
        raise InputError(f"{out}: holds a run already (checkpoint.pt); add --resume, or choose another --out")
