"""Which proposals the box head and the keypoint head learn from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, Matcher
from torchvision.ops import box_iou

from orpose_models.network.boxes import ignore_crowd

_PERSON_IOU = 0.5
_POSITIVE_FRACTION = 0.25


@dataclass(frozen=True)
class Sampled:
    """Proposals of one image: `boxes` (N, 4), `labels` (N,) 1 or 0, `person` (N,) index of the labelled person."""

    boxes: Tensor
    labels: Tensor
    person: Tensor


class ProposalSampler:
    """Matches proposals with labelled people (IoU 0.5) and draws a balanced set."""

    def __init__(self, samples_per_image: int) -> None:
        self.matcher = Matcher(_PERSON_IOU, _PERSON_IOU, allow_low_quality_matches=False)
        self.balance = BalancedPositiveNegativeSampler(samples_per_image, _POSITIVE_FRACTION)

    def __call__(self, proposals: Tensor, target: dict[str, Tensor]) -> Sampled:
        person_boxes = target["boxes"].to(proposals)
        boxes = torch.cat([proposals.detach(), person_boxes])
        if len(person_boxes):
            person = self.matcher(box_iou(person_boxes, boxes))
        else:
            person = torch.full((len(boxes),), -1, dtype=torch.long, device=boxes.device)
        labels = ignore_crowd((person >= 0).long(), boxes, target.get("crowd_boxes"))
        positive, negative = self.balance([labels])
        chosen = torch.where(positive[0].bool() | negative[0].bool())[0]
        return Sampled(boxes[chosen], labels[chosen], person[chosen].clamp(min=0))


def keypoint_rois(sampled: Sampled, target: dict[str, Tensor], limit: int) -> Tensor:
    """Indices into `sampled` of at most `limit` boxes of people that have a labelled joint inside the box."""
    candidates = torch.where(sampled.labels > 0)[0]
    boxes, person = sampled.boxes[candidates], sampled.person[candidates]
    has_joint = torch.zeros(len(candidates), dtype=torch.bool, device=boxes.device)
    for key in ("keypoints_soft", "keypoints_hard"):
        joints = target[key][person]
        inside = (joints[..., :2] >= boxes[:, None, :2]) & (joints[..., :2] < boxes[:, None, 2:])
        has_joint |= (inside.all(dim=-1) & (joints[..., 2] > 0)).any(dim=1)
    candidates = candidates[has_joint]
    return candidates[torch.randperm(len(candidates), device=candidates.device)[:limit]]
