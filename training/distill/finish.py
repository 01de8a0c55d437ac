"""The end of a run: average with other weights, fit the lifters, calibrate, measure, write weights and their card."""

from __future__ import annotations

import copy
import platform
from typing import Any

import torch

from orpose_models.network.student import Student
from orpose_models.network.weights import save_weights
from training.distill import processes
from training.distill.calibrate import calibrate
from training.distill.lifters import fit_lifters
from training.distill.schedule import batch_shape
from training.distill.soup import average
from training.distill.start import precision_here
from training.distill.trainer import Trainer

_UNCALIBRATED = "not fitted, as before the run: too few validation joints"
NOT_FOR = "Not a medical device and not for safety-rated separation of people and robots."


def finish(trainer: Trainer) -> dict[str, Any]:
    """Writes weights.safetensors and weights.yaml into the run's folder. Returns the card.

    All processes take part in measuring; the first one fits the lifters and writes. The trainer stays as it is: to
    resume a run that has ended and finish it again gives the same weights.
    """
    config = trainer.config
    student = copy.deepcopy(trainer.average.model)
    average(student, trainer.partners, [partner.share for partner in config.average_with])
    size = batch_shape(config.stages, 1.0).size
    people = _fit_lifters(trainer, student) if processes.is_main() else 0
    processes.share_from_main(student)
    joints = calibrate(student, trainer.validation_items, size, config.validation.downsample)
    metrics = trainer.validate(student)
    card = {
        "name": config.name,
        "data": config.data_notes or [str(source.annotations) for source in config.sources],
        "schedule": _schedule(trainer),
        "metrics": {"validation": metrics, "images": len(trainer.validation_items), "input": f"{size[0]}x{size[1]}"},
        "lifters": _lifter_fact(student, people),
        "score_calibration": f"fitted on {joints} joints" if joints else _UNCALIBRATED,
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


def _fit_lifters(trainer: Trainer, student: Student) -> int:
    """Fits the student's lifters if the run asks for it. Returns on how many people.

    Their dropout draws what training would draw next, and training's generators do not notice.
    """
    config, cuda = trainer.config, trainer.device.type == "cuda"
    if config.lifter_iterations == 0:
        return 0
    with torch.random.fork_rng([trainer.device] if cuda else []):
        items, iterations = trainer.labelled_items, config.lifter_iterations
        size = config.stages[-1].size
        return fit_lifters(student, items, config.labels, config.lifters, iterations, config.seed, size)


def _lifter_fact(student: Student, people: int) -> str:
    if not student.preset.conventions.has_lifters:
        return "not trained, nobody is labelled in 3D: 3D joints are 0 with score 0"
    return f"fitted alone on {people} people" if people else "trained"


def _schedule(trainer: Trainer) -> dict[str, Any]:
    config = trainer.config
    return {
        "iterations": trainer.iteration,
        "images_seen": trainer.position,
        "training_images": len(trainer.dataset),
        "minutes": round(trainer.elapsed_s / 60, 1),
        "machine": _machine(config.threads, trainer),
        "precision": precision_here(config),
        "stages": [stage.model_dump(mode="json") for stage in config.stages],
        "optimizer": config.optimizer.model_dump(mode="json"),
        "augment": config.augment.model_dump(mode="json"),
        "seed": config.seed,
    }


def _machine(threads: int, trainer: Trainer) -> str:
    where = torch.cuda.get_device_name(trainer.device) if trainer.device.type == "cuda" else platform.machine()
    return f"{where}, {trainer.world_size} x {threads} threads, torch {torch.__version__}"
