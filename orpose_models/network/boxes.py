"""Box arithmetic of both ways through the network.

Boxes are `(..., 4)` x1 y1 x2 y2 in input px, pixel edges at 0 and W.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder

#: A box is "inside an ignored region" when more than this share of its area is.
IGNORED_SHARE = 0.5
#: Scale of the box head's regression targets (Faster R-CNN).
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
BOX_CODER = BoxCoder(BOX_WEIGHTS)
#: Scale of the proposal network's.
PROPOSAL_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


def ignore_crowd(labels: Tensor, boxes: Tensor, crowd_boxes: Tensor | None) -> Tensor:
    """Labels `(N,)` with background boxes that lie mostly in an ignored region set to -1 (not sampled).

    Args:
        labels: > 0 person, 0 background, -1 already ignored.
        boxes: `(N, 4)`.
        crowd_boxes: `(M, 4)` or None.
    """
    if crowd_boxes is None or crowd_boxes.numel() == 0:
        return labels
    inside = share_inside(boxes, crowd_boxes).amax(dim=1) > IGNORED_SHARE
    return torch.where(inside & (labels == 0), torch.full_like(labels, -1), labels)


def share_inside(boxes: Tensor, regions: Tensor) -> Tensor:
    """`(N, M)`: the share of each box's area that lies in each region."""
    top_left = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    overlap = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=-1)
    return overlap / area.clamp(min=1e-9)[:, None]


def decode_boxes(deltas: Tensor, boxes: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """torchvision's `BoxCoder.decode` for any leading axes: boxes `(..., 4)` moved and scaled by deltas `(..., 4)`."""
    sides = boxes[..., 2:] - boxes[..., :2]
    centre = boxes[..., :2] + 0.5 * sides
    move = deltas[..., :2] / deltas.new_tensor(weights[:2])
    growth = (deltas[..., 2:] / deltas.new_tensor(weights[2:])).clamp(max=BOX_CODER.bbox_xform_clip)
    centre, half = centre + move * sides, 0.5 * growth.exp() * sides
    return torch.cat([centre - half, centre + half], dim=-1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes `(..., 4)` cut to an image of `size` (width, height)."""
    limit = boxes.new_tensor([*size, *size])
    return torch.minimum(boxes.clamp(min=0), limit)
