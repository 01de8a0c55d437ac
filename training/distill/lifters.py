"""Fits the two lifters alone, on 2D labels disturbed as the student's own joints are, seen by any camera of a room.

The student's losses (Srivastav 2020) show the lifters each image's few people once an epoch, from the cameras of the
data alone, and the hard branch's one only labelled joints. The network later gives all 17 joints, right or wrong, so
this stage does too (lifter_noise.py); and rooms have other cameras (lifter_views.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from orpose_models.network.lifter import FRAME_LINES, OUTPUT_JOINTS, joint_confidence, lifter_input
from orpose_models.network.student import Student
from orpose_models.settings import Settings
from orpose_models.skeleton import COCO17, H36M17
from training.data.dataset import Item, LabelConfig, Size
from training.distill.lifter_noise import NoiseConfig, disturb
from training.distill.lifter_people import People, labelled_people, people_in_views, poses_in_room
from training.distill.statistics import MIN_STD_MM, MIN_STD_PX

_ZOOM = (0.7, 1.8)
_SHIFT = 0.15
#: People whose joints the statistics are taken of.
_FOR_STATISTICS = 8192


class LifterConfig(Settings):
    """How the lifters are fitted alone, after training."""

    batch_size: int = Field(256, ge=2, description="people in a batch")
    lr: float = Field(1e-3, gt=0, description="peak learning rate of AdamW; a cosine to zero")
    views: float = Field(
        0.7, ge=0, le=1, description="share of people seen by random cameras instead of the label's own"
    )
    pool: int = Field(200_000, ge=1, description="how many random views are made; they are drawn from again and again")
    noise: NoiseConfig = NoiseConfig()


def fit_lifters(
    student: Student,
    items: Sequence[Item],
    labels: LabelConfig,
    config: LifterConfig,
    iterations: int,
    seed: int,
    size: Size,
) -> int:
    """Trains `student`'s lifters in place for `iterations`, their statistics first; the student is then ready for use.

    `size` (w, h) is the network's input, in whose px lifters count.

    Returns:
        The number of labelled people used; 0: nothing was done.
    """
    people = labelled_people(items, labels, size)
    if people is None:
        return 0
    generator = torch.Generator().manual_seed(seed)
    sources = [people, _random_views(items, config, generator)]
    batches = _Batches([each for each in sources if each is not None], config, generator)
    _set_statistics(student, batches)
    _fit(student, batches, config, iterations)
    student.eval().requires_grad_(False)
    return len(people)


def _random_views(items: Sequence[Item], config: LifterConfig, generator: torch.Generator) -> People | None:
    """None without poses in a room (pseudo labels have none)."""
    in_room = poses_in_room(items) if config.views > 0 else torch.zeros(0, 17, 3)
    return people_in_views(in_room, config.pool, generator) if len(in_room) else None


class _Batches:
    """Draws of disturbed people, from the labels and from random views."""

    def __init__(self, sources: Sequence[People], config: LifterConfig, generator: torch.Generator) -> None:
        self.sources, self.config, self.generator = sources, config, generator

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The lifters' joints `(count, 16, 2)` px, their confidence `(count, 16)`, and 3D `(count, 16, 3)` mm."""
        of_views = round(count * self.config.views) if len(self.sources) > 1 else 0
        numbers = (count - of_views, of_views)[: len(self.sources)]
        parts = [self._part(people, number) for people, number in zip(self.sources, numbers, strict=True)]
        joints, confidence, joints_3d = (torch.cat(each) for each in zip(*parts, strict=True))
        return lifter_input(joints, 1.0), joint_confidence(confidence), joints_3d[:, list(OUTPUT_JOINTS)]

    def _part(self, people: People, count: int) -> tuple[Tensor, Tensor, Tensor]:
        chosen = torch.randint(len(people), (count,), generator=self.generator)
        people = People(*(each[chosen] for each in vars(people).values()))
        joints, confidence = disturb(people, self.config.noise, self.generator)
        return _placed_anew(joints, confidence, people.joints_3d, self.generator)


def _placed_anew(
    joints: Tensor, confidence: Tensor, joints_3d: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Other sizes and places in the image; half of the people in a mirror."""
    count = len(joints)

    def uniform(*shape: int, low: float, high: float) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    centre = torch.tensor([FRAME_LINES * 2 / 3, FRAME_LINES / 2])
    shift = uniform(1, 2, low=-_SHIFT, high=_SHIFT) * FRAME_LINES
    joints = (joints - centre) * uniform(1, 1, low=_ZOOM[0], high=_ZOOM[1]) + centre + shift
    flipped = uniform(1, low=0, high=1) < 0.5
    mirrored = joints[:, list(COCO17.flip)] * torch.tensor([-1.0, 1.0]) + torch.tensor([2 * float(centre[0]), 0.0])
    mirrored_3d = joints_3d[:, list(H36M17.flip)] * torch.tensor([-1.0, 1.0, 1.0])
    return (
        torch.where(flipped[..., None], mirrored, joints),
        torch.where(flipped, confidence[:, list(COCO17.flip)], confidence),
        torch.where(flipped[..., None], mirrored_3d, joints_3d),
    )


def _set_statistics(student: Student, batches: _Batches) -> None:
    joints, _, joints_3d = batches.draw(_FOR_STATISTICS)
    std_2d, std_3d = joints.std(dim=0).clamp(min=MIN_STD_PX), joints_3d.std(dim=0).clamp(min=MIN_STD_MM)
    student.set_lifter_statistics(joints.mean(dim=0), std_2d, joints_3d.mean(dim=0), std_3d)


def _fit(student: Student, batches: _Batches, config: LifterConfig, iterations: int) -> None:
    lifters, statistics = student.heads.lifters, student.heads.lifter_stats
    parameters = [parameter.requires_grad_() for lifter in lifters for parameter in lifter.parameters()]
    device = parameters[0].device
    optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    student.train()
    with torch.enable_grad():
        for _ in trange(iterations, desc="lifters", unit="it", mininterval=2.0):
            joints, confidence, joints_3d = (each.to(device) for each in batches.draw(config.batch_size))
            target = statistics.standardise_3d(joints_3d)
            entering = statistics.entering(joints, confidence)
            losses = [F.smooth_l1_loss(lifter(entering), target) for lifter in lifters]
            optimizer.zero_grad(set_to_none=True)
            torch.stack(losses).sum().backward()
            optimizer.step()
            schedule.step()
