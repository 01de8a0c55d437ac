"""The mean of a run's weights and other students' of the same origin.

Trained on from common weights, students lie in one valley of the loss, and their mean generalises better than any of
them (Wortsman et al., Model soups, ICML 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from orpose_models.errors import ConfigError
from orpose_models.network.student import Student
from orpose_models.network.weights import load_student
from training.distill.config import TrainConfig

#: The lifters' layers, and the statistics that they read and write by.
_LIFTERS = ("heads.lifter_hard.", "heads.lifter_soft.", "heads.lifter_stats.")


def load_partners(config: TrainConfig, student: Student) -> list[Student]:
    """The students of `average_with`, in its order. Layers that the run's student does not have are left out.

    Raises:
        ModelError: a weight file is missing, truncated or not ours.
        ConfigError: one lacks a layer of the run's student, or works with other conventions, such as without
            trained lifters.
    """
    return [_load_partner(partner.weights, student) for partner in config.average_with]


def _load_partner(weights: Path, student: Student) -> Student:
    partner = load_student(weights)
    own, other = ({key: tensor.shape for key, tensor in network.state_dict().items()} for network in (student, partner))
    if not own.items() <= other.items():
        raise ConfigError(
            f"average_with: {weights} is of preset {partner.preset.name!r} with lifter input"
            f" {partner.preset.lifter_input!r}, the run's are {student.preset.name!r} and"
            f" {student.preset.lifter_input!r}; it must have all of the run's layers"
        )
    if partner.preset.conventions != student.preset.conventions:
        raise ConfigError(
            f"average_with: {weights} works with {partner.preset.conventions}, the run's weights with"
            f" {student.preset.conventions}; give weights of the same origin"
        )
    return partner


def average(student: Student, partners: Sequence[Student], shares: Sequence[float]) -> None:
    """Sets the student to the mean in which the partners count by `shares` (their sum at most 1) and it by the rest.

    But for the lifters, whose mean is no lifter: those are the first partner's. Without partners nothing changes.
    """
    if not partners:
        return
    others = [partner.state_dict() for partner in partners]
    mean = {}
    for key, own in student.state_dict().items():
        theirs = [other[key].to(own.device) for other in others]
        if key.startswith(_LIFTERS) or not torch.is_floating_point(own):
            mean[key] = theirs[0]
        else:
            mean[key] = own + sum(share * (other - own) for share, other in zip(shares, theirs, strict=True))
    student.load_state_dict(mean)
