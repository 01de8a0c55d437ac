"""Region proposals: torchvision's network, with ignored regions, a prior on objectness and our anchors."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from orpose_models.network.anchors import PyramidAnchors
from orpose_models.network.boxes import ignore_crowd
from orpose_models.network.presets import Preset

NMS_IOU = 0.7
#: Boxes with a side below this (px) are no proposals.
MIN_SIDE_PX = 1e-3
#: First guess of the share of people among sampled anchors and proposals; the first steps need not unlearn 50 %.
PRIOR = 0.1
#: Best anchors of each level that enter the NMS in training, unless `training_proposals_per_level` is set.
TRAIN_PROPOSALS_PER_LEVEL = 500
#: Proposals an image in training, unless `ProposalNetwork.training_proposals` is set.
TRAIN_PROPOSALS = 500


def prior_bias(probability: float = PRIOR) -> float:
    """The logit of a probability."""
    return math.log(probability / (1 - probability))


class ProposalNetwork(RegionProposalNetwork):
    """torchvision's RPN; anchors mostly inside a `crowd_boxes` region are no negatives."""

    def __init__(self, preset: Preset) -> None:
        head = RPNHead(preset.fpn_channels, preset.anchors_per_cell)
        nn.init.constant_(head.cls_logits.bias, prior_bias())
        super().__init__(
            PyramidAnchors(preset),
            head,
            fg_iou_thresh=preset.anchor_person_iou,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": TRAIN_PROPOSALS_PER_LEVEL, "testing": preset.proposals_per_level},
            post_nms_top_n={"training": TRAIN_PROPOSALS, "testing": preset.proposals},
            nms_thresh=NMS_IOU,
        )
        self.min_size = MIN_SIDE_PX

    @property
    def training_proposals(self) -> int:
        """The best proposals of an image, which the box head's samples are drawn from in training."""
        return self._post_nms_top_n["training"]

    @training_proposals.setter
    def training_proposals(self, count: int) -> None:
        self._post_nms_top_n["training"] = count

    @property
    def training_proposals_per_level(self) -> int:
        """The best anchors of each pyramid level of an image, which enter the NMS in training."""
        return self._pre_nms_top_n["training"]

    @training_proposals_per_level.setter
    def training_proposals_per_level(self, count: int) -> None:
        self._pre_nms_top_n["training"] = count

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        labels, matched_boxes = super().assign_targets_to_anchors(anchors, targets)
        labels = [
            ignore_crowd(label, boxes, target.get("crowd_boxes"))
            for label, boxes, target in zip(labels, anchors, targets, strict=True)
        ]
        return labels, matched_boxes
