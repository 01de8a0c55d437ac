"""What the lifters' input and output are standardised with, from the training labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from orpose_models.network.lifter import INPUT_JOINTS, OUTPUT_JOINTS, lifter_input
from orpose_models.network.student import Student
from training.data.dataset import Item, LabelConfig, Size
from training.data.geometry import lifter_matrix, moved_points
from training.data.sample import joints_3d_of, joints_of

#: Fewer people with 3D labels than this say nothing about the spread of poses.
MIN_PEOPLE = 16
#: Smallest deviations, px and mm: joints that hardly move must not blow up noise.
MIN_STD_PX, MIN_STD_MM = 10.0, 20.0


def has_3d_labels(items: Sequence[Item]) -> bool:
    """Whether the lifters' losses have anybody to learn from."""
    people = (person for item in items for person in item.persons if not person.is_crowd)
    return any(person.keypoints is not None and (joints_3d_of(person)[0][:, 3] > 0).any() for person in people)


def set_lifter_statistics(student: Student, items: Sequence[Item], labels: LabelConfig, size: Size) -> bool:
    """Sets mean and deviation of 2D and 3D (mm) joints; False where too few have 3D labels.

    2D is in px of the network's input, `size` (w, h), scaled to 480 lines.
    """
    joints_2d, joints_3d = [], []
    for item in items:
        for person in item.persons:
            soft, _, soft_3d, _ = joints_of(person, labels.hidden_confidence, labels.hard_hidden)
            if not person.is_crowd and (soft[:, 2] > 0).all() and (soft_3d[:, 3] > 0).all():
                matrix = lifter_matrix((item.image.width, item.image.height), size)
                points = moved_points(soft[None, :, :2], matrix).astype(np.float32)
                joints_2d.append(lifter_input(torch.from_numpy(points), 1.0)[0])
                joints_3d.append(torch.from_numpy(soft_3d[list(OUTPUT_JOINTS), :3]))
    if len(joints_2d) < MIN_PEOPLE:
        return False
    two, three = torch.stack(joints_2d), torch.stack(joints_3d)
    assert two.shape[1] == len(INPUT_JOINTS)
    std_2d, std_3d = two.std(dim=0).clamp(min=MIN_STD_PX), three.std(dim=0).clamp(min=MIN_STD_MM)
    student.set_lifter_statistics(two.mean(dim=0), std_2d, three.mean(dim=0), std_3d)
    return True
