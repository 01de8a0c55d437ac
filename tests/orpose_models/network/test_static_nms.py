from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_iou, nms

from orpose_models.network.static_nms import overlap, static_nms


def greedy(boxes: Tensor, valid: Tensor, iou: float) -> Tensor:
    """torchvision's answer as a mask; boxes are sorted, so any falling scores do."""
    index = torch.where(valid)[0]
    kept = index[nms(boxes[index], torch.arange(len(index), 0, -1, dtype=boxes.dtype), iou)]
    mask = torch.zeros(len(boxes), dtype=torch.bool)
    mask[kept] = True
    return mask


def random_boxes(count: int, spread: float, size: float) -> Tensor:
    corner = torch.rand(count, 2, dtype=torch.float64) * spread
    return torch.cat([corner, corner + torch.rand(count, 2, dtype=torch.float64) * size + 1], dim=1)


@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(("spread", "size"), [(300, 100), (100, 100), (20, 100), (1, 50)])
def test_equals_torchvision_on_random_boxes(spread: float, size: float, iou: float) -> None:
    for _ in range(5):
        boxes, valid = random_boxes(128, spread, size), torch.rand(128) > 0.2
        keep, converged = static_nms(boxes, valid, iou)
        assert converged
        assert torch.equal(keep, greedy(boxes, valid, iou))


box = st.tuples(*[st.integers(-5, 20)] * 2, *[st.integers(0, 12)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(box, min_size=1, max_size=14), st.sampled_from([0.3, 0.5, 0.7]), st.integers(0, 2**14 - 1))
def test_equals_torchvision_on_small_integer_boxes(found: list, iou: float, bits: int) -> None:
    """Identical, empty and touching boxes, and overlaps that hit the threshold exactly."""
    boxes = torch.tensor(found, dtype=torch.float64)
    valid = torch.tensor([bool(bits >> i & 1) for i in range(len(found))])
    keep, converged = static_nms(boxes, valid, iou)
    assert converged
    assert torch.equal(keep, greedy(boxes, valid, iou))


def chain(count: int) -> Tensor:
    """Boxes of width 10 in steps of 4: each overlaps the next by 6/14 = 0.43 and the one after by 2/18."""
    left = torch.arange(count, dtype=torch.float64) * 4
    return torch.stack([left, torch.zeros(count), left + 10, torch.full((count,), 10.0)], dim=1)


def test_a_chain_needs_as_many_iterations_as_it_has_links() -> None:
    valid = torch.ones(8, dtype=torch.bool)
    keep, converged = static_nms(chain(8), valid, 0.3, iterations=8)
    assert converged
    assert keep.tolist() == [True, False] * 4


def test_a_chain_that_is_too_long_is_flagged() -> None:
    valid = torch.ones(40, dtype=torch.bool)
    keep, converged = static_nms(chain(40), valid, 0.3)
    assert not converged
    assert not torch.equal(keep, greedy(chain(40), valid, 0.3))


def test_no_wrong_set_goes_unflagged() -> None:
    """With few iterations some sets are wrong; each of those must be flagged."""
    wrong = 0
    for _ in range(60):
        boxes, valid = random_boxes(64, 40, 40), torch.ones(64, dtype=torch.bool)
        keep, converged = static_nms(boxes, valid, 0.4, iterations=3)
        if not torch.equal(keep, greedy(boxes, valid, 0.4)):
            wrong += 1
            assert not converged
    assert wrong > 0


def test_leading_axes_are_independent() -> None:
    boxes = torch.stack([torch.stack([random_boxes(20, 30, 30) for _ in range(3)]) for _ in range(2)])
    valid = torch.rand(2, 3, 20) > 0.3
    keep, converged = static_nms(boxes, valid, 0.5)
    assert keep.shape == (2, 3, 20)
    assert converged.shape == (2, 3)
    for b in range(2):
        for level in range(3):
            assert torch.equal(keep[b, level], greedy(boxes[b, level], valid[b, level], 0.5))


def test_nothing_valid_keeps_nothing() -> None:
    keep, converged = static_nms(random_boxes(5, 10, 10), torch.zeros(5, dtype=torch.bool), 0.5)
    assert not keep.any()
    assert converged


def test_overlap_equals_torchvision() -> None:
    boxes = random_boxes(30, 40, 40)
    torch.testing.assert_close(overlap(boxes), box_iou(boxes, boxes), rtol=1e-13, atol=0)
