"""The four distillation losses of the keypoint branches (Srivastav 2020) and the box head's."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from orpose_models.network.heads import HEATMAP_CELLS
from orpose_models.network.lifter import (
    OUTPUT_JOINTS,
    Lifter,
    LifterStatistics,
    joint_confidence,
    lifter_input,
)

Hard3dTarget = Literal["s3d", "h3d"]
#: Labels that are trained on (Srivastav 2020, Table 3).
TrainedLabels = Literal["hard", "soft", "hard+soft"]
#: Where the box head's smooth L1 turns from square to linear, unless `RoIHeads.box_beta` is set.
BOX_BETA = 1 / 9
#: Class index that `cross_entropy` leaves out.
_NO_TARGET = -100


def box_loss(
    logits: Tensor, deltas: Tensor, labels: Tensor, delta_targets: Tensor, beta: float = BOX_BETA
) -> tuple[Tensor, Tensor]:
    """Cross-entropy over person and background, and smooth L1 of people's boxes (torchvision's `fastrcnn_loss`).

    Args:
        logits: `(N, 2)`.
        deltas: `(N, 4)`, predicted.
        labels: `(N,)`, 1 for a person.
        delta_targets: `(N, 4)`, used where there is a person.
        beta: The smooth L1 is square below it and linear above.
    """
    positive = labels > 0
    classification = F.cross_entropy(logits, labels)
    regression = F.smooth_l1_loss(deltas[positive], delta_targets[positive], beta=beta, reduction="sum")
    return classification, regression / max(labels.numel(), 1)


def heatmap_targets(keypoints: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The cell of each joint in its RoI's heatmap.

    Args:
        keypoints: `(N, 17, 2)` px.
        boxes: `(N, 4)` px.

    Returns:
        `(N, 17)` cell index `row * 56 + column`, and `(N, 17)` bool: the joint lies inside the RoI.
    """
    sides = (boxes[:, None, 2:] - boxes[:, None, :2]).clamp(min=1e-3)
    cells = ((keypoints - boxes[:, None, :2]) / sides * HEATMAP_CELLS).floor()
    inside = ((cells >= 0) & (cells < HEATMAP_CELLS)).all(dim=-1)
    column, row = cells.clamp(0, HEATMAP_CELLS - 1).long().unbind(-1)
    return row * HEATMAP_CELLS + column, inside


def keypoint_loss(
    logits: Tensor, keypoints: Tensor, boxes: Tensor, weights: Tensor, *, soft: bool, sigma: float = 0.0
) -> Tensor:
    """L2D of one branch: cross-entropy over the 56x56 cells, mean over the valid joints.

    Args:
        logits: `(N, 17, 56, 56)`.
        keypoints: `(N, 17, 3)` x, y px and confidence (a visibility flag for the hard labels); 0 = no target.
        boxes: `(N, 4)` RoIs.
        weights: `(N, 17)` of each joint's loss; they do not change the divisor.
        soft: The logits are multiplied by the joint's confidence before the softmax.
        sigma: Standard deviation in cells of a Gaussian target; 0: the joint's cell alone (Srivastav 2020).
    """
    cells, inside = heatmap_targets(keypoints[..., :2], boxes)
    confidence = keypoints[..., 2]
    valid = inside & (confidence > 0)
    maps = logits.flatten(2).float()
    if soft:
        maps = maps * confidence[..., None]
    if sigma > 0:
        losses = _gaussian_cross_entropy(maps, keypoints[..., :2], boxes, sigma) * valid
    else:
        targets = torch.where(valid, cells, _NO_TARGET)
        losses = F.cross_entropy(maps.flatten(0, 1), targets.flatten(), reduction="none").view_as(weights)
    return (losses * weights).sum() / valid.sum().clamp(min=1)


def _gaussian_cross_entropy(maps: Tensor, keypoints: Tensor, boxes: Tensor, sigma: float) -> Tensor:
    """`(N, 17)` cross-entropy between maps `(N, 17, 56 * 56)` and a Gaussian about each joint, cut at the RoI's border.

    The target is the product of its profiles along x and y, so log-softmax needs no map of targets. Autocast would
    round both parts of the difference to 8 bits.
    """
    sides = (boxes[:, None, 2:] - boxes[:, None, :2]).clamp(min=1e-3)
    centres = ((keypoints - boxes[:, None, :2]) / sides * HEATMAP_CELLS - 0.5).clamp(0, HEATMAP_CELLS - 1)
    cells = torch.arange(HEATMAP_CELLS, device=maps.device, dtype=maps.dtype)
    profile_x, profile_y = torch.softmax(-((cells - centres[..., None]) ** 2) / (2 * sigma**2), dim=-1).unbind(2)
    logits = maps.unflatten(2, (HEATMAP_CELLS, HEATMAP_CELLS))
    with torch.autocast(maps.device.type, enabled=False):
        expected = ((logits @ profile_x[..., None]).squeeze(-1) * profile_y).sum(dim=-1)
    return torch.logsumexp(maps, dim=2) - expected


def lifter_loss(
    lifter: Lifter,
    statistics: LifterStatistics,
    keypoints: Tensor,
    joints_3d: Tensor,
    frame_scale: Tensor,
    weights: Tensor,
    *,
    soft: bool,
) -> Tensor:
    """L3D of one branch: smooth L1, standardised, between the 3D label and the lifter applied to the label's 2D.

    Args:
        keypoints: `(N, 17, 3)` COCO-17 label, network-input px and confidence (a visibility flag for the hard labels).
        joints_3d: `(N, 17, 4)` Human3.6M-17 label, mm, pelvis-relative, and a flag.
        frame_scale: `(N, 1, 1)`, network-input px to px of a 640x480 frame.
        weights: `(N,)` of each person.
        soft: All joints enter where the label has them; else those without confidence, and what is made of them, enter
            as 0 px.
    """
    valid = joints_3d[:, list(OUTPUT_JOINTS), 3] > 0
    # BatchNorm needs two people in a batch.
    if len(keypoints) < 2 or not valid.any():
        return sum((p.sum() for p in lifter.parameters()), torch.zeros((), device=keypoints.device)) * 0
    joints = lifter_input(keypoints[..., :2], frame_scale)
    confidence = joint_confidence(keypoints[..., 2])
    if not soft:
        confidence = (confidence > 0).to(joints.dtype)
        joints = joints * confidence[..., None]
    predicted = lifter(statistics.entering(joints, confidence))
    target = statistics.standardise_3d(joints_3d[:, list(OUTPUT_JOINTS), :3])
    losses = F.smooth_l1_loss(predicted, target, reduction="none").mean(dim=-1)
    return (losses * weights[:, None])[valid].sum() / valid.sum()
