"""Students with random weights whose outputs are spread like a trained one's: no ties, some people, some background.

torch is imported inside the fixtures: the runtime's tests run without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

    from orpose_models.network import Student


@pytest.fixture(scope="session")
def make_lively_student() -> Callable[[str], Student]:
    """float64 student in evaluation mode; BatchNorm has seen a batch, logits and boxes vary by whole units.

    The same weights whatever ran before in this process: sums depend on the number of threads.
    """
    import torch

    from orpose_models.network import build_student

    def make(preset: str) -> Student:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return make_with_one_thread(preset)
        finally:
            torch.set_num_threads(threads)

    @torch.no_grad()
    def make_with_one_thread(preset: str) -> Student:
        torch.manual_seed(1)
        student = build_student(preset)
        for module in student.modules():
            if hasattr(module, "momentum"):
                module.momentum = None  # a plain mean over the batches below
        student.train()
        student.pyramid(torch.randn(2, 3, 192, 256))
        student.eval()
        features = student.pyramid(torch.randn(1, 3, 192, 256))
        objectness, moves = student.rpn.head(features)
        _spread(student.rpn.head.cls_logits, torch.cat([f.flatten() for f in objectness]), 2.0)
        _spread(student.rpn.head.bbox_pred, torch.cat([f.flatten() for f in moves]), 0.3)
        rois = torch.randn(64, student.preset.fpn_channels, 7, 7) * features[0].std()
        logits, deltas = student.heads.box(rois)
        _spread(student.heads.box.score, logits, 2.0)
        _spread(student.heads.box.delta, deltas, 1.0)
        student.heads.box.score.bias.zero_()
        return student.double()

    return make


def _spread(layer: torch.nn.Module, outputs: torch.Tensor, deviation: float) -> None:
    layer.weight.mul_(deviation / outputs.std())  # type: ignore[operator]


@pytest.fixture(scope="session")
def lively_lite(make_lively_student: Callable[[str], Student]) -> Student:
    return make_lively_student("lite")


@pytest.fixture(scope="session")
def make_bgr_images() -> Callable[[int, tuple[int, int]], torch.Tensor]:
    """`make(batch, (width, height))`: uint8 noise in blocks of several scales, for every pyramid level to see some."""
    import torch

    def make(batch: int, size: tuple[int, int]) -> torch.Tensor:
        width, height = size
        image = torch.zeros(batch, 3, height, width)
        for block in (2, 8, 32):
            small = torch.rand(batch, 3, -(-height // block), -(-width // block))
            image += torch.nn.functional.interpolate(small, scale_factor=block)[..., :height, :width]
        return (image / 3 * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    return make
