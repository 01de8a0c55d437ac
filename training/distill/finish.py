"""The end of a run: fit the lifters, calibrate the averaged weights, measure them, write them with their card."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from orpose_models.network.weights import save_weights
from training.distill.calibrate import calibrate
from training.distill.lifters import fit_lifters
from training.distill.schedule import batch_shape
from training.distill.trainer import Trainer

NOT_FOR = "Not a medical device and not for safety-rated separation of people and robots."


def finish(trainer: Trainer) -> dict[str, Any]:
    """Writes weights.safetensors and weights.yaml into the run's folder. Returns the card."""
    config = trainer.config
    student = trainer.average.model
    size = batch_shape(config.stages, 1.0).size
    if config.lifter_iterations:
        fit_lifters(student, trainer.dataset.items, config.labels, config.lifter_iterations, config.seed)
    joints = calibrate(student, trainer.validation_items, size, config.validation.downsample)
    metrics = trainer.validate()
    card = {
        "name": config.name,
        "data": config.data_notes or [str(source.annotations) for source in config.sources],
        "schedule": _schedule(trainer),
        "metrics": {"validation": metrics, "images": len(trainer.validation_items), "input": f"{size[0]}x{size[1]}"},
        "score_calibration": f"fitted on {joints} joints" if joints else "none: too few validation joints",
        "licence": "Apache-2.0",
        "commit": _commit(),
        "limitations": NOT_FOR,
    }
    save_weights(student, trainer.out / "weights.safetensors", card)
    trainer.save()
    return card


def _schedule(trainer: Trainer) -> dict[str, Any]:
    config = trainer.config
    return {
        "iterations": trainer.iteration,
        "images_seen": trainer.position,
        "training_images": len(trainer.dataset),
        "minutes": round(trainer.elapsed_s / 60, 1),
        "machine": f"{platform.machine()}, {config.threads} threads, torch {torch.__version__}",
        "stages": [stage.model_dump(mode="json") for stage in config.stages],
        "optimizer": config.optimizer.model_dump(mode="json"),
        "augment": config.augment.model_dump(mode="json"),
        "seed": config.seed,
    }


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not run from a repository)"
