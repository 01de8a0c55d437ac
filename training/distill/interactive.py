"""SSPCM's interactive training (2023): two teachers teach each other, and their corrected ensemble the student.

Every iteration the teachers T1 and T2 label a weak view of unlabelled images. T1 learns from T2's labels, T2 from T1's,
the student from the joints on which the teachers and their snapshots of the previous epoch's end agree. All three learn
on hard views of their own (Cut-Occlude, then the affine warp, then what else `augment` has), and from a labelled batch
in the same step: losses are normalised over both. An epoch is one of the unlabelled images.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel
from orpose_models.errors import ConfigError
from orpose_models.network.student import Student
from training.data.augment_config import NO_AUGMENTATION
from training.data.dataset import Item, Size, SourceConfig, TrainingSet, augment, image_tensor, read_items
from training.data.loader import Batch, BatchShape, EndlessBatches, collate
from training.data.sample import Sample, sample_from_labels, targets_from_sample
from training.distill import processes
from training.distill.config import InteractiveConfig, TrainConfig
from training.distill.ensemble import People, interactive_labels
from training.distill.optim import make_optimizer, set_lr
from training.distill.pictures import draw_labels, write_sheet
from training.distill.start import initial_student
from training.distill.step import make_scaler, train_step
from training.distill.trainer import Trainer

#: What the teachers label.
WEAK_VIEW = NO_AUGMENTATION.model_copy(update={"flip_probability": 0.5})
#: Keeps the hard views' random numbers apart from the loader's.
_HARD = 2


class InteractiveTrainer(Trainer):
    """A run whose student has two teachers that learn; what is kept at the end is the student."""

    def _training_set(self) -> TrainingSet:
        config, interactive = self.config, self._interactive
        if self.world_size > 1:
            raise ConfigError("interactive: trains in one process; start it without torchrun")
        labelled = read_items(interactive.labelled)
        self.labelled = TrainingSet(labelled, config.augment, config.labels, config.seed)
        return TrainingSet(read_items(config.sources, labelled=False), WEAK_VIEW, config.labels, config.seed)

    @property
    def _interactive(self) -> InteractiveConfig:
        assert self.config.interactive is not None
        return self.config.interactive

    @property
    def _sources(self) -> Sequence[SourceConfig]:
        return (*self.config.sources, *self._interactive.labelled)

    @property
    def labelled_items(self) -> Sequence[Item]:
        return self.labelled.items

    def _prepare(self) -> None:
        first, second = (self._teacher(path) for path in self._interactive.teachers)
        if all(torch.equal(a, b) for a, b in zip(_joint_weights(first), _joint_weights(second), strict=True)):
            names = " and ".join(str(path) for path in self._interactive.teachers)
            raise ConfigError(
                f"interactive: teachers: {names} hold the same 2D network; two that were trained from other random"
                " weights can correct each other"
            )
        self.teachers = (first, second)
        self.snapshots = (_frozen(first), _frozen(second))
        self.teacher_optimizers = [make_optimizer(teacher, self.config.optimizer) for teacher in self.teachers]
        self.teacher_scalers = [make_scaler(self.config) for _ in self.teachers]

    def _teacher(self, path: Any) -> Student:
        """Raises ConfigError if it has no lifters of the run's kind: the pseudo labels' 3D would be random."""
        as_it_is = {"initial_weights": path, "interactive": None, "lifter_iterations": 0}
        teacher = initial_student(self.config.model_copy(update=as_it_is), ())
        if not teacher.preset.conventions.has_lifters:
            raise ConfigError(
                f"interactive: teachers: {path} has no trained lifters of lifter_input {self.config.lifter_input!r} for"
                " the 3D pseudo labels; give one that has, or fit them (python -m training.distill.refit)"
            )
        for lifter in teacher.heads.lifters:
            lifter.requires_grad_()  # there is 3D to learn from: the other teacher's
        return self._placed(teacher)

    def _batches(self) -> Iterator[tuple[Batch, float]]:
        both = zip(self._batches_of(self.dataset), self._batches_of(self.labelled), strict=False)
        for (weak, weak_s), (labelled, labelled_s) in both:
            skipped = [*weak.skipped, *labelled.skipped]
            yield weak._replace(labelled=labelled, skipped=skipped), weak_s + labelled_s

    def _step(self, batch: Batch) -> dict[str, float] | None:
        of_first, of_second, of_ensemble = self._labels(batch)
        of_teachers: dict[str, float] = {}
        for number, people in enumerate((of_second, of_first)):  # each learns from the other
            of_teachers |= self._teach(number, self._batch_for(batch, people, number))
        step = super()._step(self._batch_for(batch, of_ensemble, len(self.teachers)))
        self._end_epoch(len(batch.targets))
        return None if step is None else {**step, **of_teachers, **_shares(of_ensemble)}

    def _teach(self, number: int, batch: Batch) -> dict[str, float]:
        """Updates a teacher. Returns what the log says of it: whether it skipped the step, and else its loss."""
        optimizer, scaler = self.teacher_optimizers[number], self.teacher_scalers[number]
        set_lr(optimizer, self.optimizer.param_groups[0]["lr"])
        step = train_step(self.teachers[number], optimizer, scaler, batch, self.config)
        name = f"teacher{number + 1}"
        self._end_if_hopeless(name, step is None)
        return {f"{name}_skipped": float(step is None), **({f"{name}_loss": step["loss"]} if step else {})}

    def _labels(self, batch: Batch) -> tuple[People, People, People]:
        pixels = batch.images.to(self.device).float() / 255
        if self.config.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        return interactive_labels(self.teachers, self.snapshots, pixels, self._interactive)

    def _batch_for(self, batch: Batch, people: People, learner: int) -> Batch:
        """The hard views with these labels, and the labelled batch."""
        assert batch.labelled is not None
        views = hard_views(batch, people, self.config, [_HARD, self.position, learner])
        images = torch.stack([image_tensor(view.image) for view in views])
        targets = [targets_from_sample(view) for view in views]
        return Batch(torch.cat([images, batch.labelled.images]), [*targets, *batch.labelled.targets], [])

    def _end_epoch(self, images: int) -> None:
        """After an epoch's last batch the teachers' weights become the snapshots."""
        if (self.position + images) // len(self.dataset) > self.position // len(self.dataset):
            for snapshot, teacher in zip(self.snapshots, self.teachers, strict=True):
                snapshot.load_state_dict(teacher.state_dict())

    def write_samples(self, count: int = 12) -> None:
        """samples.png: the first hard views, with the labels the student would learn from now."""
        if not processes.is_main():
            return
        shape = BatchShape(self.config.stages[0].size, count)
        draws = next(iter(EndlessBatches(len(self.dataset), self.config.seed, lambda _: shape, 0, 0)))
        batch = collate([self.dataset[draw] for draw in draws])
        _, _, people = self._labels(batch)
        views = hard_views(batch, people, self.config, [_HARD, 0, 2])
        write_sheet(self.out / "samples.png", [draw_labels(view) for view in views])

    def _facts_of_run(self) -> dict[str, Any]:
        return {**super()._facts_of_run(), "num_labelled": len(self.labelled)}

    def _state(self) -> dict[str, Any]:
        return {
            **super()._state(),
            "teachers": [teacher.state_dict() for teacher in self.teachers],
            "snapshots": [snapshot.state_dict() for snapshot in self.snapshots],
            "teacher_optimizers": [optimizer.state_dict() for optimizer in self.teacher_optimizers],
            "teacher_scalers": [scaler.state_dict() for scaler in self.teacher_scalers],
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        super()._load_state(state)
        owners = ("teachers", "snapshots", "teacher_optimizers", "teacher_scalers")
        for name in owners:
            for owner, own in zip(getattr(self, name), state[name], strict=True):
                owner.load_state_dict(own)


def hard_views(batch: Batch, people: People, config: TrainConfig, key: Sequence[int]) -> list[Sample]:
    """Each image of a weak batch with its pseudo labels, seen as `config.augment` has it.

    Cut-Occlude takes its patches from the batch's previous image. Random numbers come from (seed, key) alone.
    """
    each = zip(batch.images, people, batch.frame_sizes, strict=True)
    samples = [_sample(image, labels, frame_size, config) for image, labels, frame_size in each]
    size: Size = (int(batch.images.shape[-1]), int(batch.images.shape[-2]))
    views = []
    for number, sample in enumerate(samples):
        rng = np.random.default_rng([config.seed, *key, number])
        views.append(augment(sample, size, config.augment, config.labels, rng, samples[number - 1]))
    return views


def _sample(image: torch.Tensor, people: list[PersonLabel], frame_size: Size, config: TrainConfig) -> Sample:
    bgr: NDArray[np.uint8] = np.ascontiguousarray(image.numpy().transpose(1, 2, 0)[..., ::-1])
    labels = config.labels
    sample = sample_from_labels(bgr, people, hidden_confidence=labels.hidden_confidence, hard_hidden=labels.hard_hidden)
    return replace(sample, frame_size=frame_size)


def _joint_weights(student: Student) -> list[torch.Tensor]:
    return [*student.pyramid.parameters(), *student.heads.keypoint.parameters()]


def _frozen(student: Student) -> Student:
    return copy.deepcopy(student).eval().requires_grad_(False)


def _shares(people: People) -> dict[str, float]:
    """People an image, and the shares of their joints that are used and that are hard labels."""
    everybody = [person for persons in people for person in persons]
    weights = [person.joint_weight for person in everybody if person.joint_weight is not None]
    joints = max(1, 17 * len(everybody))
    return {
        "pseudo_people": len(everybody) / len(people),
        "pseudo_joints": sum(int((weight > 0).sum()) for weight in weights) / joints,
        "pseudo_hard_joints": sum(person.num_keypoints for person in everybody) / joints,
    }
