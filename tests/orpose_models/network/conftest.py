"""Same numbers in every run, and a labelled target."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor


@pytest.fixture(autouse=True)
def seed_and_one_thread() -> Iterator[None]:
    """Same numbers in every run. One thread: the tensors are small, and two wait for each other on a busy machine."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_target(width: int, height: int, people: int = 3) -> dict[str, Tensor]:
    """A target with random people."""
    corner = torch.rand(people, 2) * torch.tensor([width * 0.6, height * 0.4])
    sides = 30 + torch.rand(people, 2) * torch.tensor([width * 0.25, height * 0.5])
    points = corner[:, None] + torch.rand(people, 17, 2) * sides[:, None]
    confidence = torch.rand(people, 17, 1)
    return {
        "boxes": torch.cat([corner, corner + sides], dim=1),
        "labels": torch.ones(people, dtype=torch.long),
        "keypoints_soft": torch.cat([points, confidence], dim=2),
        "keypoints_hard": torch.cat([points, (confidence > 0.4).float()], dim=2),
        "keypoints_3d_soft": torch.cat([torch.randn(people, 17, 3) * 300, torch.ones(people, 17, 1)], dim=2),
        "keypoints_3d_hard": torch.cat([torch.randn(people, 17, 3) * 300, torch.ones(people, 17, 1)], dim=2),
    }


@pytest.fixture
def target() -> dict[str, Tensor]:
    return make_target(160, 128)
