"""The student that a run starts from: random weights, or those of another run."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from orpose_models.errors import ConfigError
from orpose_models.machine import computes_bfloat16
from orpose_models.network.presets import get_preset
from orpose_models.network.student import Student, build_student
from orpose_models.network.weights import load_student
from training.data.dataset import Item
from training.distill.config import TrainConfig
from training.distill.lifter_people import is_anybody_labelled
from training.distill.statistics import has_3d_labels, set_lifter_statistics


def initial_student(config: TrainConfig, items: Sequence[Item]) -> Student:
    """The student of `initial_weights`, else a random one; without trained lifters their statistics are the labels'.

    Lifters that nothing in the run trains stay as they are. If `initial_weights` did not train them either, the student
    has none (`Conventions.has_lifters`): all its 3D joints are 0 with score 0.

    Raises:
        ModelError: the weight file is missing, truncated or not ours.
        ConfigError: it is of another preset, or the run is to fit lifters on items without 3D labels.
    """
    source = None if config.initial_weights is None else load_student(config.initial_weights)
    if config.lifter_iterations and not is_anybody_labelled(items, config.labels):
        raise ConfigError(
            f"lifter_iterations: got {config.lifter_iterations}, but nobody is labelled in 2D and 3D to fit lifters on;"
            " give labels with 3D joints (orpose pseudo-label, orpose synth), or leave the key out"
        )
    learn_3d = config.interactive is not None or has_3d_labels(items)  # teachers label everybody in 3D
    preset = get_preset(config.preset)
    conventions = preset.conventions if source is None else source.preset.conventions  # weights work with their own
    has_lifters = learn_3d or (source is not None and _has_same_lifters(source, config))
    preset = preset.with_conventions(conventions.model_copy(update={"has_lifters": has_lifters}))
    student = build_student(
        preset.with_lifter_input(config.lifter_input),
        keypoint_rois_per_image=config.keypoint_rois_per_image,
        hard_3d_target=config.hard_3d_target,
        trained_labels=config.trained_labels,
    )
    if source is not None:
        if not _fits(source, student):
            raise ConfigError(
                f"initial_weights: {config.initial_weights} is of preset {source.preset.name!r}, the run's is"
                f" {student.preset.name!r}, whose layers differ; give weights of that preset, or change `preset`"
            )
        copy_weights(source, student)
    if source is None or not source.preset.conventions.has_lifters:
        # too few labels: round numbers of a person in a room
        set_lifter_statistics(student, items, config.labels, config.stages[-1].size)
    if not learn_3d:
        for lifter in student.heads.lifters:
            lifter.requires_grad_(False)  # weight decay would change them
    student.rpn.training_proposals = config.training_proposals
    student.rpn.training_proposals_per_level = config.training_proposals_per_level
    student.heads.box_beta = config.box_beta
    if config.freeze_batch_norm:
        student.pyramid.freeze_batch_norm()
    student.heads.heatmap_sigma = config.heatmap_sigma
    student.heads.keypoint.train_in_bf16 = precision_here(config) == "bf16" and config.device == "cpu"
    return student


def precision_here(config: TrainConfig) -> str:
    """The run's precision, but fp32 for bf16 on a processor without it, which would take several times as long."""
    if config.precision == "bf16" and config.device == "cpu" and not computes_bfloat16():
        return "fp32"
    return config.precision


def copy_weights(source: Student, student: Student) -> None:
    """Copies weights; one branch and two are made of each other: a single branch is the hard one, and twice the two.

    So the ablation's networks (Srivastav 2020, Table 3) all start from one undistilled student. Joint scores are
    calibrated anew after training. Lifters that read something else than the source's keep the weights that they
    have. Layers that the student does not have are left out.
    """
    tensors, own = source.state_dict(), student.state_dict()
    same_input = source.preset.lifter_input == student.preset.lifter_input
    student.load_state_dict(
        {key: _tensor_for(key, tensors) if same_input or not _is_lifters(key) else own[key] for key in own}
    )


def _has_same_lifters(source: Student, config: TrainConfig) -> bool:
    """Whether the source's lifters are trained and read what the run's read."""
    return source.preset.conventions.has_lifters and source.preset.lifter_input == config.lifter_input


def _is_lifters(key: str) -> bool:
    return key.startswith(("heads.lifter_hard.", "heads.lifter_soft."))


def _fits(source: Student, student: Student) -> bool:
    """Whether the source has all of the student's layers, but for lifters, in their shape."""
    tensors, own = source.state_dict(), student.state_dict()  # once: each call makes all of it
    try:
        return all(_tensor_for(key, tensors).shape == own[key].shape for key in own if not _is_lifters(key))
    except KeyError:
        return False


def _tensor_for(key: str, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    of_hard = key.replace("heads.keypoint.soft.", "heads.keypoint.hard.").replace(
        "heads.lifter_soft.", "heads.lifter_hard."
    )
    return tensors[key] if key in tensors else tensors[of_hard]
