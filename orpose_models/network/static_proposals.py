"""Candidates of the proposal network as tables of fixed size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.rpn import RPNHead


class CandidateHead(nn.Module):
    """The proposal head with one output layer: `(B, C, h, w)` -> `(B, h * w * A, 5)`, logit and deltas of anchors."""

    def __init__(self, head: RPNHead) -> None:
        super().__init__()
        self.shared = head.conv
        channels, anchors = head.cls_logits.in_channels, head.cls_logits.out_channels
        self.output = nn.Conv2d(channels, 5 * anchors, 1).to(head.cls_logits.weight).requires_grad_(False)
        for own, score, delta in (
            (self.output.weight, head.cls_logits.weight, head.bbox_pred.weight),
            (self.output.bias, head.cls_logits.bias, head.bbox_pred.bias),
        ):
            score, delta = score.unflatten(0, (anchors, 1)), delta.unflatten(0, (anchors, 4))
            own.copy_(torch.cat([score, delta], dim=1).flatten(0, 1))  # type: ignore[union-attr]

    def forward(self, feature: Tensor) -> Tensor:
        return self.output(self.shared(feature)).permute(0, 2, 3, 1).reshape(len(feature), -1, 5)


def best_of_levels(tables: list[Tensor], wanted: int) -> tuple[Tensor, Tensor | None]:
    """The `wanted` rows of highest logit in each level's table `(B, N, 5)`, best first.

    Returns:
        `(B, L, wanted)` rows of the concatenated tables, and `(L, wanted)` bool, which of them are real: a level with
        fewer rows is filled up with its first. None where every level has enough.
    """
    first, best = 0, []
    for table in tables:
        count = table.shape[1]
        index = table[..., :1].flatten(1).topk(min(wanted, count), dim=1).indices + first
        best.append(F.pad(index, (0, wanted - count), value=first) if count < wanted else index)
        first += count
    counts = [min(wanted, table.shape[1]) for table in tables]
    place = torch.arange(wanted, device=tables[0].device)
    real = None if min(counts) == wanted else torch.stack([place < count for count in counts])
    return torch.cat(best, dim=1).unflatten(1, (len(tables), wanted)), real


def rows_of(table: Tensor, index: Tensor) -> Tensor:
    """Rows `(B, ..., D)` of each image's `table` `(B, N, D)` at its own `index` `(B, ...)`."""
    batch, count = table.shape[:2]
    if batch > 1:
        image = torch.arange(batch, device=index.device) * count
        index = index + image.view(-1, *[1] * (index.dim() - 1))
    return F.embedding(index, table.flatten(0, 1))
