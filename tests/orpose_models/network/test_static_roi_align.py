from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from orpose_models.network import get_preset
from orpose_models.network.presets import Preset
from orpose_models.network.roi_align import pool_rois, roi_level
from orpose_models.network.static_roi_align import build_atlas, static_pool_rois

HEIGHT, WIDTH = 120, 200


def pyramid(preset: Preset, batch: int, channels: int = 5) -> list[Tensor]:
    shapes = [(-(-HEIGHT // 2**level), -(-WIDTH // 2**level)) for level in preset.fpn_levels]
    return [torch.randn(batch, channels, *shape, dtype=torch.float64) for shape in shapes]


def some_boxes(batch: int, count: int) -> Tensor:
    corner = torch.rand(batch, count, 2, dtype=torch.float64) * torch.tensor([WIDTH, HEIGHT])
    sides = torch.rand(batch, count, 2, dtype=torch.float64) ** 2 * torch.tensor([WIDTH, HEIGHT]) * 1.5
    return torch.cat([corner, corner + sides], dim=2)


ADVERSARIAL = {
    "empty": (50, 40, 50, 40),
    "a point on the border": (WIDTH, HEIGHT, WIDTH, HEIGHT),
    "the whole image": (0, 0, WIDTH, HEIGHT),
    "larger than the image": (-300, -200, 500, 400),
    "left of the image": (-100, 10, -50, 60),
    "just outside": (WIDTH + 0.5, 10, WIDTH + 40, 60),
    "below, across the border": (20, HEIGHT - 3, 60, HEIGHT + 50),
    "a sliver": (10, 10, 10.001, 110),
    "inverted": (60, 60, 40, 30),
}


@pytest.mark.parametrize("name", ["lite", "r50"])
@pytest.mark.parametrize("cells", [7, 14])
@pytest.mark.parametrize("batch", [1, 2])
def test_equals_torchvision(name: str, cells: int, batch: int) -> None:
    preset = get_preset(name)
    features, boxes = pyramid(preset, batch), some_boxes(batch, 20)
    got = static_pool_rois(build_atlas(features, preset), boxes, cells, preset)
    torch.testing.assert_close(got, pool_rois(features, list(boxes), cells, preset), rtol=0, atol=2.2e-13)


@pytest.mark.parametrize("name", ["lite", "r50"])
@pytest.mark.parametrize("corners", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
def test_equals_torchvision_on_adversarial_boxes(name: str, corners: tuple[float, ...]) -> None:
    preset = get_preset(name)
    features, boxes = pyramid(preset, 1), torch.tensor([[corners]], dtype=torch.float64)
    got = static_pool_rois(build_atlas(features, preset), boxes, 7, preset)
    torch.testing.assert_close(got, pool_rois(features, list(boxes), 7, preset), rtol=0, atol=2.2e-13)


def test_is_close_in_single_precision() -> None:
    preset = get_preset("r50")
    features, boxes = [f.float() for f in pyramid(preset, 1)], some_boxes(1, 30).float()
    got = static_pool_rois(build_atlas(features, preset), boxes, 14, preset)
    torch.testing.assert_close(got, pool_rois(features, list(boxes), 14, preset), rtol=0, atol=1.4e-4)


def test_reads_the_right_level_by_hand() -> None:
    """A map that holds the level's number gives it back: 159 px is below lite's canonical 160, 160 px is not."""
    preset = get_preset("lite")
    features = [torch.full((1, 1, 480 // 2**level, 640 // 2**level), float(level)) for level in preset.fpn_levels]
    boxes = torch.tensor([[[0.0, 0, side, side] for side in (10, 159, 160, 319, 320, 480)]])
    got = static_pool_rois(build_atlas(features, preset), boxes, 7, preset)
    assert got.amax(dim=(1, 2, 3)).round(decimals=3).tolist() == [3, 3, 4, 4, 5, 5]


def test_level_rule_is_the_papers_for_r50() -> None:
    """FPN paper, equation 1: k = floor(4 + log2(sqrt(w h) / 224)), within 2-5."""
    boxes = some_boxes(1, 200)[0] * 3
    sides = boxes[:, 2:] - boxes[:, :2]
    expected = (4 + (sides.prod(dim=1).sqrt() / 224).log2()).floor().clamp(2, 5) - 2
    assert torch.equal(roi_level(boxes, get_preset("r50")), expected.long())


def test_one_level_by_hand() -> None:
    """A horizontal ramp, sampled at the centres of two bins of 8 px: they lie on the centres of cells 0 and 1."""
    preset = get_preset("lite")
    ramp = torch.arange(10, dtype=torch.float64).expand(1, 1, 4, 10) * 2
    features = [ramp, ramp[..., :2, :5], ramp[..., :1, :3], ramp[..., :1, :2]]
    boxes = torch.tensor([[[0.0, 0, 16, 16]]], dtype=torch.float64)
    got = static_pool_rois(build_atlas(features, preset), boxes, 2, preset)
    assert got[0, 0].tolist() == [[0, 2], [0, 2]]
    aligned = roi_align(ramp, [boxes[0]], 2, 1 / 8, 1, aligned=True)
    assert torch.equal(got, aligned)
