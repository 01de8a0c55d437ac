"""`orpose train`: a student network from a configuration file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from orpose_models.errors import BackendError, InputError

if TYPE_CHECKING:
    from training.distill.config import TrainConfig
    from training.distill.trainer import Trainer

#: Keys of the configuration that an option replaces.
OVERRIDES = ("iterations", "max_minutes", "threads", "device")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="YAML file of the run (training/configs has examples)")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, checkpoint, log and pictures")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--iterations", type=int, help="budget in iterations, instead of the file's")
    parser.add_argument("--max-minutes", type=float, help="budget in minutes, instead of the file's")
    parser.add_argument("--threads", type=int, help="threads of each process, instead of the file's")
    parser.add_argument("--device", help="cpu or cuda, instead of the file's")
    parser.add_argument("--check", action="store_true", help="read config and data, write samples.png, do not train")
    parser.epilog = (
        "Several processes: `torchrun --standalone --nproc-per-node N -m orpose train CONFIG --out DIR`;"
        " a batch is shared by all of them."
    )


def run(args: argparse.Namespace) -> int:
    # Threads that spin while they wait make training ten times slower as soon as another process wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise BackendError(f"train: {error.name} is not installed; pip install 'orpose[train]'") from None
    from training.distill.config import read_config
    from training.distill.memory import keep_freed_memory
    from training.distill.processes import process_group

    given = {name: getattr(args, name) for name in OVERRIDES if getattr(args, name) is not None}
    config = read_config(args.config, **given)
    _require_fresh(args.out, args.resume)
    keep_freed_memory()
    with process_group(config.device):
        return _train(args, config)


def _train(args: argparse.Namespace, config: TrainConfig) -> int:
    from training.distill.finish import finish
    from training.distill.interactive import InteractiveTrainer
    from training.distill.processes import is_main
    from training.distill.start import precision_here
    from training.distill.trainer import Trainer

    kind = Trainer if config.interactive is None else InteractiveTrainer
    trainer = kind(config, args.out, resume=args.resume)
    say: Callable[[str], None] = print if is_main() else _silence
    if (precision := precision_here(config)) != config.precision:
        say(f"precision: {precision} instead of {config.precision}, which this processor only emulates, slowly")
    if args.check:
        trainer.write_samples()
        images, held_out = len(trainer.dataset), len(trainer.validation_items)
        say(f"{images} training and {held_out} validation images; {args.out}/samples.png")
        return 0
    if not trainer.train():
        say(f"stopped at iteration {trainer.iteration}; to go on: the same command with --resume")
        return 128 + (trainer.stop_signal or 0)
    card = finish(trainer)
    _list_skipped(trainer, say)
    say(f"{args.out}/weights.safetensors: {trainer.iteration} iterations, {card['metrics']['validation']}")
    return 0


def _list_skipped(trainer: Trainer, say: Callable[[str], None]) -> None:
    if trainer.skipped:
        path = trainer.out / "skipped_images.txt"
        say(f"{len(trainer.skipped)} images could not be read and were skipped; they are listed in {path}")


def _silence(_: str) -> None:
    pass


def _require_fresh(out: Path, resume: bool) -> None:
    if not resume and (out / "checkpoint.pt").exists():
        raise InputError(f"{out}: holds a run already (checkpoint.pt); add --resume, or choose another --out")
