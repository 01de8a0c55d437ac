"""The mean of a run's weights and another student's of the same origin.

Trained on from common weights, two students lie in one valley of the loss, and their mean generalises better than
either (Wortsman et al., Model soups, ICML 2022).
"""

from __future__ import annotations

import torch

from orpose_models.errors import ConfigError
from orpose_models.network.student import Student
from orpose_models.network.weights import load_student
from training.distill.config import TrainConfig

#: The lifters' layers, and the statistics that they read and write by.
_LIFTERS = ("heads.lifter_hard.", "heads.lifter_soft.", "heads.lifter_stats.")


def load_partner(config: TrainConfig, student: Student) -> Student | None:
    """The student of `average_with`; None where the config names none.

    Raises:
        ModelError: the weight file is missing, truncated or not ours.
        ConfigError: it is of another network, or works with other conventions, such as without trained lifters.
    """
    if config.average_with is None:
        return None
    partner = load_student(config.average_with)
    own, other = ({key: tensor.shape for key, tensor in network.state_dict().items()} for network in (student, partner))
    if own != other:
        raise ConfigError(
            f"average_with: {config.average_with} is of preset {partner.preset.name!r} with lifter input"
            f" {partner.preset.lifter_input!r}, the run's are {student.preset.name!r} and"
            f" {student.preset.lifter_input!r}; their layers must be the same"
        )
    if partner.preset.conventions != student.preset.conventions:
        raise ConfigError(
            f"average_with: {config.average_with} works with {partner.preset.conventions}, the run's weights with"
            f" {student.preset.conventions}; give weights of the same origin"
        )
    return partner


def average(student: Student, partner: Student, share: float) -> None:
    """Sets the student to the mean of both, in which the partner's weights count by `share` (0-1).

    But for the lifters, whose mean is no lifter: those are the partner's.
    """
    other = partner.state_dict()
    mean = {}
    for key, own in student.state_dict().items():
        theirs = other[key].to(own.device)
        whole = key.startswith(_LIFTERS) or not torch.is_floating_point(own)
        mean[key] = theirs if whole else torch.lerp(own, theirs, share)
    student.load_state_dict(mean)
