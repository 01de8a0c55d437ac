"""The end of a run: fit the lifters, calibrate the averaged weights, measure them, write them with their card."""

from __future__ import annotations

import platform
from typing import Any

import torch

from orpose_models.network.weights import save_weights
from training.distill import processes
from training.distill.calibrate import calibrate
from training.distill.lifters import fit_lifters
from training.distill.schedule import batch_shape
from training.distill.trainer import Trainer

NOT_FOR = "Not a medical device and not for safety-rated separation of people and robots."


def finish(trainer: Trainer) -> dict[str, Any]:
    """Writes weights.safetensors and weights.yaml into the run's folder. Returns the card.

    All processes take part in measuring; the first one fits the lifters and writes.
    """
    config = trainer.config
    student = trainer.average.model
    size = batch_shape(config.stages, 1.0).size
    if config.lifter_iterations and processes.is_main():
        fit_lifters(
            student, trainer.labelled_items, config.labels, config.lifters, config.lifter_iterations, config.seed
        )
    processes.share_from_main(student)
    joints = calibrate(student, trainer.validation_items, size, config.validation.downsample)
    metrics = trainer.validate()
    card = {
        "name": config.name,
        "data": config.data_notes or [str(source.annotations) for source in config.sources],
        "schedule": _schedule(trainer),
        "metrics": {"validation": metrics, "images": len(trainer.validation_items), "input": f"{size[0]}x{size[1]}"},
        "score_calibration": f"fitted on {joints} joints" if joints else "none: too few validation joints",
        "licence": "Apache-2.0",
        "commit": trainer.commit,
        "skipped_images": len(trainer.skipped),
        "config": config.model_dump(mode="json", exclude={"augment", "stages", "optimizer"}),
        "limitations": NOT_FOR,
    }
    if processes.is_main():
        save_weights(student, trainer.out / "weights.safetensors", card, size)
    trainer.save()
    return card


def _schedule(trainer: Trainer) -> dict[str, Any]:
    config = trainer.config
    return {
        "iterations": trainer.iteration,
        "images_seen": trainer.position,
        "training_images": len(trainer.dataset),
        "minutes": round(trainer.elapsed_s / 60, 1),
        "machine": _machine(config.threads, trainer),
        "stages": [stage.model_dump(mode="json") for stage in config.stages],
        "optimizer": config.optimizer.model_dump(mode="json"),
        "augment": config.augment.model_dump(mode="json"),
        "seed": config.seed,
    }


def _machine(threads: int, trainer: Trainer) -> str:
    where = torch.cuda.get_device_name(trainer.device) if trainer.device.type == "cuda" else platform.machine()
    return f"{where}, {trainer.world_size} x {threads} threads, torch {torch.__version__}"
