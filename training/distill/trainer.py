"""The training loop: batches in, weights out, to be killed and resumed at any iteration, in one process or several.

Everything random hangs on the seed and on counters that the checkpoint holds, so that a run of a given number of
iterations gives the same weights however often it was interrupted. A run limited by minutes depends on the clock.

With `torchrun` each process takes its share of every batch; gradients are averaged. Losses are normalised and BatchNorm
is computed over a process's own images; the running statistics that are kept are rank 0's. Rank 0 writes; validation is
shared.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from orpose_models.errors import ConfigError, ImageError, InputError, OrposeError
from orpose_models.files import file_sha256
from orpose_models.network.student import Student
from training.data.dataset import Item, SourceConfig, TrainingSet, label_file, read_items, readable
from training.data.loader import Batch, BatchShape, EndlessBatches, make_loader, of_worker
from training.distill import processes
from training.distill.checkpoint import START_ANEW, read_checkpoint, source_commit, write_checkpoint
from training.distill.config import TrainConfig
from training.distill.ema import MovingAverage
from training.distill.log import RunLog
from training.distill.optim import make_optimizer, set_lr
from training.distill.pictures import draw_labels, write_curves, write_sheet
from training.distill.schedule import batch_shape, lr_factor, progress
from training.distill.soup import load_partners
from training.distill.start import initial_student
from training.distill.step import make_scaler, train_step
from training.distill.validate import validate

#: So many steps in a row without a finite gradient end the run.
MAX_BAD_STEPS = 20


class Trainer:
    """One run in the folder `out`: checkpoint.pt, log.jsonl, curves.png, samples.png."""

    def __init__(self, config: TrainConfig, out: Path, *, resume: bool = False) -> None:
        self.config = config
        self.out = out
        self.commit = source_commit()  # now: the files may change while this process runs
        self.rank, self.world_size = processes.rank(), processes.world_size()
        _check_processes(config, self.world_size)
        self.device = processes.choose_device(config.device)
        _make_folder(out)
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed + self.rank)
        self.dataset = self._training_set()
        self.label_files = [file_sha256(label_file(source)) for source in self._sources]
        self.validation_items, unreadable = readable(read_items(config.validation.sources))
        self.skipped = set(unreadable)
        self.student = self._placed(initial_student(config, self.labelled_items))
        self.partners = load_partners(config, self.student)
        self.network = self._parallel()  # takes rank 0's random weights
        self.optimizer = make_optimizer(self.student, config.optimizer)
        self.scaler = make_scaler(config)
        self.average = MovingAverage(self.student, config.ema_decay)
        self.iteration = 0
        self.position = 0  # samples seen, by all processes
        self.elapsed_s = 0.0
        self.bad_steps: dict[str, int] = {}  # in a row, by network
        self._prepare()
        self.stop_signal: int | None = None
        state = read_checkpoint(self.checkpoint_path, config, self._facts_of_run()) if resume else None
        resumed_at = None if state is None else state["iteration"]
        self.log = RunLog(out, resumed_at, tensorboard=config.tensorboard, active=processes.is_main())
        if state is not None:
            self._resume(state)
        self._clock = time.monotonic() - self.elapsed_s

    def _training_set(self) -> TrainingSet:
        config = self.config
        return TrainingSet(read_items(config.sources), config.augment, config.labels, config.seed)

    @property
    def _sources(self) -> Sequence[SourceConfig]:
        """All that the run learns from."""
        return self.config.sources

    @property
    def labelled_items(self) -> Sequence[Item]:
        """What statistics and lifters are taken from."""
        return self.dataset.items

    def _prepare(self) -> None:
        """Makes what a kind of run needs beside the student, before a checkpoint is loaded."""

    def _placed(self, student: Student) -> Student:
        """The network on its device and in its memory layout, in training mode."""
        student = student.to(self.device)
        if self.config.channels_last:
            student = student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return student.train()

    def _parallel(self) -> nn.Module:
        if self.world_size == 1:
            return self.student
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(self.student, device_ids=devices, gradient_as_bucket_view=True)

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
        bar = tqdm(total=100.0, initial=100 * self.progress, unit="%", bar_format=_BAR, disable=not processes.is_main())
        with bar, _signals_stop(self):
            if self.iteration == 0 and self.config.initial_weights is not None:
                self.validate()  # what it starts from
            for batch, data_s in self._batches():
                self._tick()
                if self.stop_signal is not None or self.progress >= 1:
                    break
                step = self._train_batch(batch, data_s)
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

    def _train_batch(self, batch: Batch, data_s: float) -> dict[str, float]:
        started = time.monotonic()
        set_lr(self.optimizer, self.config.optimizer.lr * lr_factor(self.config.optimizer, self.progress))
        step = self._step(batch)
        self._end_if_hopeless("student", step is None)
        if step:
            self.average.update(self.student)
        self.skipped.update(batch.skipped)
        self.iteration += 1
        self.position += len(batch.targets) * self.world_size
        facts = {"step_s": time.monotonic() - started, "data_s": data_s}
        values = processes.average({**(step or {}), "skipped": float(step is None), **facts})
        self.log.add(values)
        if self.iteration % self.config.log_every == 0:
            self.log.flush(self._facts())
        return values

    def _end_if_hopeless(self, network: str, skipped: bool) -> None:
        """Raises OrposeError when this step is the `MAX_BAD_STEPS`th in a row that the network skipped."""
        self.bad_steps[network] = self.bad_steps.get(network, 0) + 1 if skipped else 0
        if self.bad_steps[network] >= MAX_BAD_STEPS:
            raise OrposeError(
                f"{self.out}: {network}: {MAX_BAD_STEPS} steps in a row without a finite gradient at iteration"
                f" {self.iteration}; lower optimizer.lr or clip_norm and start again"
            )

    def _step(self, batch: Batch) -> dict[str, float] | None:
        """Learns from one batch; None: the student was not updated."""
        return train_step(self.network, self.optimizer, self.scaler, batch, self.config)

    def _batches(self) -> Iterator[tuple[Batch, float]]:
        """Batches of this process, and for how many seconds training had to wait for each."""
        return self._batches_of(self.dataset)

    def _batches_of(self, dataset: TrainingSet) -> Iterator[tuple[Batch, float]]:
        batches = EndlessBatches(
            len(dataset),
            self.config.seed,
            self._shape_of,
            self.iteration,
            self.position,
            rank=self.rank,
            world_size=self.world_size,
        )
        pin = self.device.type == "cuda"
        loader = iter(make_loader(dataset, batches, self.config.num_workers, pin_memory=pin))
        while True:
            started = time.monotonic()
            try:
                batch = next(loader)
            except RuntimeError:  # a worker that was still starting got the signal that stops the run
                if self.stop_signal is None:
                    raise
                return
            except ImageError as error:
                raise of_worker(error) from None
            yield batch, time.monotonic() - started

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
        """Reads the clock. All processes call it at the same places, and agree on the time and on having to stop."""
        self.elapsed_s, stop = processes.agree([time.monotonic() - self._clock, self.stop_signal or 0])
        self.stop_signal = int(stop) or None
        return self.elapsed_s

    def validate(self, student: Student | None = None) -> dict[str, float]:
        """Metrics of a student, by default the averaged weights, on the validation images; {} if there are none."""
        if not self.validation_items:
            return {}
        student = student or self.average.model
        size = batch_shape(self.config.stages, self.progress).size
        processes.share_from_main(student)
        metrics = validate(student, self.validation_items, size, self.config.validation.downsample)
        self.log.write({**self._facts(), "validation": metrics})
        if processes.is_main():
            tqdm.write(f"{self.elapsed_s / 60:.1f} min, iteration {self.iteration}: {metrics}")
        return metrics

    def write_samples(self, count: int = 24) -> None:
        """samples.png: the first training samples as the network sees them, with their labels."""
        if not processes.is_main():
            return
        size = self.config.stages[0].size
        draws = next(iter(EndlessBatches(len(self.dataset), self.config.seed, lambda _: BatchShape(size, count), 0, 0)))
        samples = [self.dataset.readable_sample(draw)[0] for draw in draws]
        write_sheet(self.out / "samples.png", [draw_labels(sample) for sample in samples])

    def save(self) -> None:
        """Writes checkpoint and curves."""
        state = self._state()
        if processes.is_main():
            write_checkpoint(self.checkpoint_path, state)
            write_curves(self.out / "curves.png", self.log.path)
            if self.skipped:
                (self.out / "skipped_images.txt").write_text("".join(f"{error}\n" for error in sorted(self.skipped)))

    def _facts_of_run(self) -> dict[str, Any]:
        """What must be the same on resume, beside the settings; label files as their SHA-256."""
        return {"world_size": self.world_size, "num_items": len(self.dataset), "label_files": self.label_files}

    def _state(self) -> dict[str, Any]:
        self.skipped = set().union(*processes.gather(self.skipped))
        return {
            **self._facts_of_run(),
            "config": self.config.model_dump(mode="json"),
            "commit": self.commit,
            "seed": self.config.seed,
            "student": self.student.state_dict(),
            "average": self.average.model.state_dict(),
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "generators": processes.gather(_generators(self.device)),
            "log": self.log.state(),
            "iteration": self.iteration,
            "position": self.position,
            "elapsed_s": self.elapsed_s,
            "skipped": sorted(self.skipped),
        }

    def _resume(self, state: dict[str, Any]) -> None:
        try:
            self._load_state(state)
        except KeyError as error:
            raise InputError(f"{self.checkpoint_path}: has no {error}; {START_ANEW}") from None
        except (RuntimeError, ValueError) as error:
            detail = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.checkpoint_path}: does not fit the run's network: {detail}; {START_ANEW}"
            ) from None

    def _load_state(self, state: dict[str, Any]) -> None:
        self.student.load_state_dict(state["student"])
        self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.updates = state["average_updates"]
        self.scaler.load_state_dict(state["scaler"])
        self.iteration, self.position = state["iteration"], state["position"]
        self.elapsed_s = state["elapsed_s"]
        self.skipped.update(state["skipped"])
        own = state["generators"][self.rank]
        torch.set_rng_state(own["cpu"])
        if self.device.type == "cuda" and "cuda" in own:  # not in a run that was begun on the CPU
            torch.cuda.set_rng_state(own["cuda"], self.device)
        self.log.restore(state["log"])


_BAR = "{l_bar}{bar}| {elapsed} {postfix}"


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be used ({error.strerror}); choose another --out") from None


def _check_processes(config: TrainConfig, world_size: int) -> None:
    sizes = [stage.batch_size for stage in config.stages]
    if any(size % world_size for size in sizes):
        raise ConfigError(f"stages: batch sizes {sizes} cannot be shared by {world_size} processes evenly")
    if world_size > 1 and config.max_minutes is not None and len(config.stages) > 1:
        raise ConfigError("max_minutes: several processes change stage together only with a budget in iterations")


def _generators(device: torch.device) -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return {**states, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


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
