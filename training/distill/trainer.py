"""The training loop: batches in, weights out, to be killed and resumed at any iteration.

Everything random hangs on the seed and on counters that the checkpoint holds, so that a run of a given number of
iterations gives the same weights however often it was interrupted. A run limited by minutes depends on the clock.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from orpose_models.errors import OrposeError
from orpose_models.network.student import Student, build_student
from orpose_models.network.weights import load_student
from training.data.dataset import Draw, TrainingSet, read_items
from training.data.loader import BatchShape, EndlessBatches, make_loader
from training.distill.checkpoint import read_checkpoint, write_checkpoint
from training.distill.config import TrainConfig
from training.distill.ema import MovingAverage
from training.distill.log import RunLog
from training.distill.optim import make_optimizer, set_lr
from training.distill.pictures import draw_labels, write_curves, write_sheet
from training.distill.schedule import batch_shape, lr_factor, progress
from training.distill.statistics import set_lifter_statistics
from training.distill.step import train_step
from training.distill.validate import validate

#: So many steps in a row without a finite loss end the run.
MAX_BAD_STEPS = 20


class Trainer:
    """One run in the folder `out`: checkpoint.pt, log.jsonl, curves.png, samples.png."""

    def __init__(self, config: TrainConfig, out: Path, *, resume: bool = False) -> None:
        self.config = config
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.dataset = TrainingSet(read_items(config.sources), config.augment, config.labels, config.seed)
        self.validation_items = read_items(config.validation.sources)
        self.student = _initial_student(config, self.dataset)
        if config.channels_last:
            self.student = self.student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.student.train()
        self.optimizer = make_optimizer(self.student, config.optimizer)
        self.average = MovingAverage(self.student, config.ema_decay)
        self.iteration = 0
        self.position = 0  # samples seen
        self.elapsed_s = 0.0
        self.bad_steps = 0
        self.stop_signal: int | None = None
        state = read_checkpoint(self.checkpoint_path) if resume else {"iteration": 0}
        self.log = RunLog(out / "log.jsonl", state["iteration"])
        if resume:
            self._load_state(state)
        self._clock = time.monotonic()

    @property
    def checkpoint_path(self) -> Path:
        return self.out / "checkpoint.pt"

    @property
    def progress(self) -> float:
        return progress(self.config, self.iteration, self.elapsed_s)

    def train(self) -> bool:
        """Runs to the end of the budget. Returns False if SIGTERM or SIGINT stopped it; a checkpoint is there then."""
        if self.iteration == 0:
            self.write_samples()
        self._clock = time.monotonic() - self.elapsed_s
        last_checkpoint = last_validation = self.elapsed_s
        bar = tqdm(total=100.0, initial=100 * self.progress, unit="%", bar_format=_BAR, smoothing=0)
        with bar, _signals_stop(self):
            for batch in self._batches():
                if self.stop_signal is not None or self.progress >= 1:
                    break
                step = self._train_batch(batch)
                bar.update(100 * self.progress - bar.n)
                bar.set_postfix_str(f"it {self.iteration} loss {step.get('loss', float('nan')):.3f}", refresh=False)
                if self.elapsed_s - last_validation > 60 * self.config.validation.every_minutes:
                    self.validate()
                    last_validation = self._tick()
                if self.elapsed_s - last_checkpoint > 60 * self.config.checkpoint_minutes:
                    self.save()
                    last_checkpoint = self._tick()
        self.save()
        return self.stop_signal is None

    def _train_batch(self, batch: Any) -> dict[str, float]:
        started = time.monotonic()
        set_lr(self.optimizer, self.config.optimizer.lr * lr_factor(self.config.optimizer, self.progress))
        step = train_step(self.student, self.optimizer, batch, self.config)
        self.bad_steps = 0 if step else self.bad_steps + 1
        if self.bad_steps >= MAX_BAD_STEPS:
            raise OrposeError(
                f"{self.out}: {MAX_BAD_STEPS} steps in a row without a finite loss at iteration {self.iteration};"
                " lower optimizer.lr or clip_norm and start again"
            )
        if step:
            self.average.update(self.student)
        self.iteration += 1
        self.position += len(batch[1])
        before = self.elapsed_s
        self._tick()
        facts = {"step_ms": 1e3 * (time.monotonic() - started), "iteration_ms": 1e3 * (self.elapsed_s - before)}
        self.log.add({**(step or {"skipped": 1.0}), **facts})
        if self.iteration % self.config.log_every == 0:
            self.log.flush(self._facts())
        return step or {}

    def _batches(self) -> Iterator[Any]:
        batches = EndlessBatches(len(self.dataset), self.config.seed, self._shape_of, self.iteration, self.position)
        loader = iter(make_loader(self.dataset, batches, self.config.num_workers))
        while True:
            try:
                batch = next(loader)
            except RuntimeError:  # a worker that was still starting got the signal that stops the run
                if self.stop_signal is None:
                    raise
                return
            yield batch

    def _shape_of(self, batch_index: int) -> BatchShape:
        return batch_shape(self.config.stages, progress(self.config, batch_index, self.elapsed_s))

    def _facts(self) -> dict[str, Any]:
        return {
            "iteration": self.iteration,
            "images": self.position,
            "minutes": round(self.elapsed_s / 60, 3),
            "progress": round(self.progress, 5),
            "lr": self.optimizer.param_groups[0]["lr"],
        }

    def _tick(self) -> float:
        self.elapsed_s = time.monotonic() - self._clock
        return self.elapsed_s

    def validate(self) -> dict[str, float]:
        """Metrics of the averaged weights on the validation images; {} if there are none."""
        if not self.validation_items:
            return {}
        size = batch_shape(self.config.stages, self.progress).size
        metrics = validate(self.average.model, self.validation_items, size, self.config.validation.downsample)
        self.log.write({**self._facts(), "validation": metrics})
        tqdm.write(f"{self.elapsed_s / 60:.1f} min, iteration {self.iteration}: {metrics}")
        return metrics

    def write_samples(self, count: int = 24) -> None:
        """samples.png: the first training samples as the network sees them, with their labels."""
        size = self.config.stages[0].size
        draws = next(iter(EndlessBatches(len(self.dataset), self.config.seed, lambda _: BatchShape(size, count), 0, 0)))
        pictures = [draw_labels(self.dataset.sample(Draw(d.position, d.index, size))) for d in draws]
        write_sheet(self.out / "samples.png", pictures)

    def save(self) -> None:
        """Writes checkpoint and curves."""
        write_checkpoint(self.checkpoint_path, self._state())
        write_curves(self.out / "curves.png", self.log.path)

    def _state(self) -> dict[str, Any]:
        return {
            "student": self.student.state_dict(),
            "average": self.average.model.state_dict(),
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "log": self.log.state(),
            "iteration": self.iteration,
            "position": self.position,
            "elapsed_s": self.elapsed_s,
            "num_items": len(self.dataset),
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        if state["num_items"] != len(self.dataset):
            raise OrposeError(
                f"{self.checkpoint_path}: the run had {state['num_items']} training images, got {len(self.dataset)};"
                " resume with the same data, or start without --resume"
            )
        self.student.load_state_dict(state["student"])
        self.average.model.load_state_dict(state["average"])
        self.average.updates = state["average_updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.position = state["iteration"], state["position"]
        self.elapsed_s = state["elapsed_s"]
        torch.set_rng_state(state["torch_rng"])
        self.log.restore(state["log"])


_BAR = "{l_bar}{bar}| {elapsed} {postfix}"


def _initial_student(config: TrainConfig, dataset: TrainingSet) -> Student:
    if config.initial_weights is not None:
        student = load_student(config.initial_weights)
        student.heads.keypoint_rois_per_image = config.keypoint_rois_per_image
        student.heads.hard_3d_target = config.hard_3d_target
        return student
    student = build_student(
        config.preset, keypoint_rois_per_image=config.keypoint_rois_per_image, hard_3d_target=config.hard_3d_target
    )
    set_lifter_statistics(student, dataset.items, config.labels)
    return student


@contextmanager
def _signals_stop(trainer: Trainer) -> Iterator[None]:
    """SIGTERM and SIGINT end the run after the step in progress."""

    def stop(number: int, _: object) -> None:
        trainer.stop_signal = number

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
