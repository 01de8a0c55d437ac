"""Non-maximum suppression as tensor operations of fixed shape, equal to the greedy one."""

from __future__ import annotations

import torch
from torch import Tensor

#: Enough for everything but adversarial chains: random boxes need at most 10, and the flag says when it was not.
ITERATIONS = 16


def overlap(boxes: Tensor) -> Tensor:
    """Intersection over union `(..., K, K)` of boxes `(..., K, 4)`; 0 for boxes without area."""
    x1, y1, x2, y2 = boxes.unsqueeze(-2).unbind(-1)  # each (..., 1, K); planes are faster than a last axis of 2
    columns = torch.stack([x1, y1, x2, y2]).transpose(-1, -2)
    x1_, y1_, x2_, y2_ = columns.unbind(0)  # each (..., K, 1)
    width = (torch.minimum(x2, x2_) - torch.maximum(x1, x1_)).relu()
    height = (torch.minimum(y2, y2_) - torch.maximum(y1, y1_)).relu()
    intersection = width * height
    union = (x2 - x1) * (y2 - y1) + (x2_ - x1_) * (y2_ - y1_) - intersection
    return intersection / union.clamp(min=1e-12)


def static_nms(boxes: Tensor, valid: Tensor, iou: float, iterations: int = ITERATIONS) -> tuple[Tensor, Tensor]:
    """Which boxes greedy NMS keeps.

    With M the overlaps above `iou` strictly above the diagonal, `keep = valid & (keep M == 0)` is repeated. Greedy NMS
    is its only fixed point: box k depends on better boxes only, so by induction each fixed point decides as it does.

    Args:
        boxes: `(..., K, 4)`, best first.
        valid: `(..., K)` bool; others neither stay nor suppress.
        iou: Boxes that overlap a kept one by more are dropped.

    Returns:
        `(..., K)` bool, and `(...)` bool: the last two iterates are equal, so the set is the greedy one. A chain of K
        boxes, each of which overlaps the next only, needs K - 1 iterations.
    """
    better = torch.ones(boxes.shape[-2], boxes.shape[-2], dtype=torch.bool, device=boxes.device).triu(1)
    suppresses = ((overlap(boxes) > iou) & better).to(boxes.dtype)
    usable = valid.to(boxes.dtype).unsqueeze(-2)
    keep, previous = usable, usable
    for _ in range(iterations):
        previous = keep
        keep = (usable - keep @ suppresses).relu()  # 1 - 0 stays 1; 1 - (1 or more) and 0 - anything become 0
    return keep.squeeze(-2) > 0.5, ((keep - previous).abs().sum(dim=(-2, -1)) < 0.5)
