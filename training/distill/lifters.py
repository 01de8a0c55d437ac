"""Trains the two lifters alone, on 2D labels disturbed as the student's own joints are: noise, cut people, any place.

The student's losses (paper.md) show the lifters each image's few people once an epoch, and the hard branch's one only
labelled joints. The network later gives all 17 joints, so this stage does too: a joint outside of the image is put
somewhere in the box, where the arg-max will put it. So does `sample.place_unknown_joints` for the soft branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from orpose_models.network.lifter import FRAME_LINES, OUTPUT_JOINTS, lifter_input
from orpose_models.network.student import Student
from orpose_models.skeleton import COCO17, H36M17
from training.data.dataset import Item, LabelConfig
from training.data.sample import joints_of

_BATCH = 256
_LR = 1e-3
#: Standard deviation of a joint's error, as a share of the box's larger side, is drawn up to this for each person.
_NOISE = 0.06
_ZOOM = (0.7, 1.8)
_SHIFT = 0.15
_MIN_JOINTS = 6


@dataclass(frozen=True)
class People:
    """N labelled people, px of a 640x480 frame and pelvis-relative mm.

    `joints (N, 17, 2)`, `known (N, 17)` bool, `boxes (N, 4)` xyxy, `joints_3d (N, 17, 3)`.
    """

    joints: Tensor
    known: Tensor
    boxes: Tensor
    joints_3d: Tensor


def fit_lifters(student: Student, items: Sequence[Item], labels: LabelConfig, iterations: int, seed: int) -> int:
    """Trains `student`'s lifters in place for `iterations`; it is then ready for use, not for training.

    Returns:
        The number of people used; 0: nothing was done.
    """
    people = _people(items, labels)
    if people is None:
        return 0
    lifters = student.heads.lifters
    parameters = [parameter.requires_grad_() for lifter in lifters for parameter in lifter.parameters()]
    device = parameters[0].device
    optimizer = torch.optim.AdamW(parameters, lr=_LR, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    generator = torch.Generator().manual_seed(seed)
    statistics = student.heads.lifter_stats
    student.train()
    with torch.enable_grad():
        for _ in trange(iterations, desc="lifters", unit="it", mininterval=2.0):
            joints, joints_3d = (each.to(device) for each in _draw(people, generator))
            target = statistics.standardise_3d(joints_3d[:, list(OUTPUT_JOINTS)])
            entering = statistics.standardise_2d(lifter_input(joints, 1.0))
            losses = [F.smooth_l1_loss(lifter(entering), target) for lifter in lifters]
            optimizer.zero_grad(set_to_none=True)
            torch.stack(losses).sum().backward()
            optimizer.step()
            schedule.step()
    student.eval().requires_grad_(False)
    return len(people.joints)


def _people(items: Sequence[Item], labels: LabelConfig) -> People | None:
    joints, known, boxes, joints_3d = [], [], [], []
    for item in items:
        scale = FRAME_LINES / item.image.height
        for person in item.persons:
            soft, _, soft_3d, _ = joints_of(person, labels.hidden_confidence, labels.hard_hidden)
            if person.is_crowd or (soft[:, 2] > 0).sum() < _MIN_JOINTS or not (soft_3d[:, 3] > 0).all():
                continue
            x, y, w, h = person.bbox
            joints.append(torch.from_numpy(soft[:, :2]) * scale)
            known.append(torch.from_numpy(soft[:, 2] > 0))
            boxes.append(torch.tensor([x, y, x + w, y + h]) * scale)
            joints_3d.append(torch.from_numpy(soft_3d[:, :3]))
    if not joints:
        return None
    return People(
        torch.stack(joints).float(), torch.stack(known), torch.stack(boxes).float(), torch.stack(joints_3d).float()
    )


def _draw(people: People, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch of disturbed 2D joints `(B, 17, 2)` px and their 3D `(B, 17, 3)` mm."""

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(*shape, generator=generator) * (high - low) + low

    index = torch.randint(len(people.joints), (_BATCH,), generator=generator)
    joints, boxes, joints_3d = people.joints[index], people.boxes[index], people.joints_3d[index]
    size = boxes[:, 2:] - boxes[:, :2]
    guess = boxes[:, None, :2] + uniform(_BATCH, 17, 2) * size[:, None]
    joints = torch.where(people.known[index][..., None], joints, guess)
    spread = uniform(_BATCH, 1, 1, high=_NOISE) * size.amax(dim=1)[:, None, None]
    joints = joints + torch.randn(joints.shape, generator=generator) * spread
    centre = torch.tensor([FRAME_LINES * 2 / 3, FRAME_LINES / 2])
    shift = uniform(_BATCH, 1, 2, low=-_SHIFT, high=_SHIFT) * FRAME_LINES
    joints = (joints - centre) * uniform(_BATCH, 1, 1, low=_ZOOM[0], high=_ZOOM[1]) + centre + shift
    flipped = uniform(_BATCH)[:, None, None] < 0.5
    mirrored = joints[:, list(COCO17.flip)] * torch.tensor([-1.0, 1.0]) + torch.tensor([2 * float(centre[0]), 0.0])
    mirrored_3d = joints_3d[:, list(H36M17.flip)] * torch.tensor([-1.0, 1.0, 1.0])
    return torch.where(flipped, mirrored, joints), torch.where(flipped, mirrored_3d, joints_3d)
