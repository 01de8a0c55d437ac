"""Students with random weights whose outputs are spread like a trained one's: no ties, some people, some background."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from orpose_models.network import Student, build_student


@pytest.fixture(autouse=True)
def seed_and_one_thread() -> Iterator[None]:
    """Same numbers in every run. One thread: the tensors are small, and two wait for each other on a busy machine."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def make_lively_student() -> Callable[[str], Student]:
    """float64 student; BatchNorm has seen a batch, logits and boxes vary by whole units."""

    def make(preset: str) -> Student:
        torch.manual_seed(1)
        student = build_student(preset)
        for module in student.modules():
            if hasattr(module, "momentum"):
                module.momentum = None  # a plain mean over the batches below
        student.train()
        student.pyramid(torch.randn(2, 3, 192, 256))
        student.eval()
        features = student.pyramid(torch.randn(1, 3, 192, 256))
        with torch.no_grad():
            _spread(student.rpn.head.cls_logits, torch.cat([f.flatten() for f in student.rpn.head(features)[0]]), 2.0)
            _spread(student.rpn.head.bbox_pred, torch.cat([f.flatten() for f in student.rpn.head(features)[1]]), 0.3)
            rois = torch.randn(64, student.preset.fpn_channels, 7, 7) * features[0].std()
            logits, deltas = student.heads.box(rois)
            _spread(student.heads.box.score, logits, 2.0)
            _spread(student.heads.box.delta, deltas, 1.0)
            student.heads.box.score.bias.zero_()
        return student.double()

    return make


def _spread(layer: torch.nn.Module, outputs: Tensor, deviation: float) -> None:
    layer.weight.mul_(deviation / outputs.std())


@pytest.fixture(scope="session")
def lively_lite(make_lively_student: Callable[[str], Student]) -> Student:
    return make_lively_student("lite")


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
