"""Non-maximum suppression as tensor operations of fixed shape, equal to the greedy one."""

from __future__ import annotations

import torch
from torch import Tensor

#: Enough for everything but adversarial chains: random boxes need at most 10, and the flag says when it was not.
ITERATIONS = 16


def overlap(boxes: Tensor) -> Tensor:
    """Intersection over union `(..., K, K)` of boxes `(..., K, 4)`; 0 for boxes without area."""
    planes = boxes.movedim(-1, 0)  # 4, ..., K; planes are faster than a last axis of 2
    rows, columns = planes.unsqueeze(-2), planes.unsqueeze(-1)
    sides = (torch.minimum(rows[2:], columns[2:]) - torch.maximum(rows[:2], columns[:2])).relu()
    intersection = sides[0] * sides[1]
    width_height = planes[2:] - planes[:2]
    area = width_height[0] * width_height[1]
    union = area.unsqueeze(-2) + area.unsqueeze(-1) - intersection
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
    if boxes.shape[:-2].numel() == 1:  # as plain matrices an iteration is one operation of ONNX Runtime, not three
        suppresses, usable = suppresses.flatten(0, -2), usable.flatten(0, -2)
    keep, previous = usable, usable
    for _ in range(iterations):
        previous = keep
        # 1 - 0 stays 1; 1 - (1 or more) and 0 - anything become 0
        keep = (
            torch.addmm(usable, keep, suppresses, alpha=-1) if keep.dim() == 2 else usable - keep @ suppresses
        ).relu()
    keep, previous = keep.view(*boxes.shape[:-2], 1, -1), previous.view(*boxes.shape[:-2], 1, -1)
    return keep.squeeze(-2) > 0.5, ((keep - previous).abs().sum(dim=(-2, -1)) < 0.5)
