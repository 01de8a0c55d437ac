"""2D joints as a student gives them: places that are wrong in its ways, and scores that tell something about it.

A person has one level of noise, from a sharp image to one of 40 lines: the same student is good at one person and bad
at another. On top of it joints are mistaken for others, hidden ones more often, and their scores fall with their error,
loosely: of the shipped student's joints with scores of 0.8 and more the median error is 5 % of the box, below 0.4 22 %.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from orpose_models.settings import Settings
from orpose_models.skeleton import COCO17
from training.distill.lifter_people import People

_PAIRS = [[COCO17.index(f"{side}_{name}") for side in ("left", "right")] for name in
          ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]  # fmt: skip
_LOWER = [COCO17.index(f"{side}_{name}") for side in ("left", "right") for name in ("knee", "ankle")]
_HIPS = [COCO17.index(f"{side}_hip") for side in ("left", "right")]


class NoiseConfig(Settings):
    """How the joints that lifters are fitted on are disturbed; shares are of people or of joints."""

    spread: float = Field(0.06, ge=0, description="largest deviation of a joint, as a share of the box's larger side")
    heavy_tails: bool = Field(
        True, description="joints are mistaken for others and sides swapped, more with more noise"
    )
    dropped: float = Field(0.5, ge=0, le=1, description="share of people who lose joints: below a drape, or any")
    scores: bool = Field(True, description="confidences tell about the error; off: they are the label's")


def disturb(people: People, config: NoiseConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Joints `(N, 17, 2)` px and confidences `(N, 17)` of the people, as a student would give them.

    A joint that is not known, or was dropped, is anywhere in the box, where an arg-max would put it, with a low score;
    half of such people have no guess but confidence 0, as labels do.
    """
    draw = _Draw(len(people), generator)
    size = (people.boxes[:, 2:] - people.boxes[:, :2]).amax(dim=1)[:, None, None]
    level = draw.uniform(1, 1)  # N, 1, 1
    known = people.confidence > 0
    kept = known & ~_dropped(draw, config.dropped)
    hidden = (people.confidence < 1) & known
    joints = people.joints + draw.normal(17, 2) * size * config.spread * level * (1 + hidden[..., None])
    guess = people.boxes[:, None, :2] + draw.uniform(17, 2) * (people.boxes[:, 2:] - people.boxes[:, :2])[:, None]
    if config.heavy_tails:
        joints = _mistaken(draw, joints, guess, hidden, level[..., 0])
    joints = torch.where(kept[..., None], joints, guess)
    error = (joints - people.joints).norm(dim=-1) / size[..., 0]
    told = _scores(draw, torch.where(known, error, 1.0)) if config.scores else people.confidence * kept
    as_labels = draw.uniform(1)[:, 0:1] < 0.5
    confidence = torch.where(kept, told, torch.where(as_labels, 0.0, told))
    return joints, confidence


class _Draw:
    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.count, *shape, generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.count, *shape, generator=self.generator)


def _dropped(draw: _Draw, share: float) -> Tensor:
    """`(N, 17)`: legs below a drape (half of those who lose any), the hips with them, or joints at random."""
    kind = draw.uniform(1) / max(share, 1e-9)
    lost = torch.zeros(draw.count, 17, dtype=torch.bool)
    lost[:, _LOWER] = kind < 0.5
    lost[:, _HIPS] = kind < 0.1
    return lost | ((kind >= 0.5) & (kind < 1) & (draw.uniform(17) < 0.5 * draw.uniform(1)))


def _mistaken(draw: _Draw, joints: Tensor, guess: Tensor, hidden: Tensor, level: Tensor) -> Tensor:
    """Some joints anywhere in the box, some of the other side, some people the wrong way round."""
    rate = 0.01 + 0.12 * level**2  # N, 1
    joints = torch.where((draw.uniform(17) < rate * (1 + 2 * hidden))[..., None], guess, joints)
    around = draw.uniform(1) < 0.5 * rate
    for pair in _PAIRS:
        swapped = (draw.uniform(1) < 0.5 * rate) | around
        own = joints[:, pair]
        joints[:, pair] = torch.where(swapped[..., None], own.flip(1), own)
        one_for_both = draw.uniform(1) < 0.5 * rate  # both on one side's joint
        own = joints[:, pair]
        joints[:, pair] = torch.where(one_for_both[..., None], own[:, :1].expand_as(own), own)
    return joints


def _scores(draw: _Draw, error: Tensor) -> Tensor:
    """Scores in (0, 1) that fall with the error (share of the box), loosely."""
    return torch.sigmoid(2.2 - 14 * error.clamp(max=0.22) + 0.9 * draw.normal(17))
