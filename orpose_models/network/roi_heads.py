"""Everything after the proposals: box head, keypoint head, lifters; their losses, and the dynamic way of inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image, nms

from orpose_models.network.boxes import BOX_CODER
from orpose_models.network.decode import (
    ScoreCalibration,
    decode_bicubic,
    decode_profiles,
    place_in_boxes,
    profiles_of,
    softmax_peak,
)
from orpose_models.network.heads import BOX_CELLS, KEYPOINT_CELLS, BoxHead, KeypointHead
from orpose_models.network.lifter import Lifter, LifterStatistics, lifter_input, score_3d, with_pelvis
from orpose_models.network.losses import Hard3dTarget, box_loss, keypoint_loss, lifter_loss
from orpose_models.network.presets import Preset
from orpose_models.network.roi_align import pool_rois
from orpose_models.network.sampling import ProposalSampler, Sampled, keypoint_rois

#: Detections that overlap a better one by more are dropped.
NMS_IOU = 0.5
#: Detections with a score below this floor are dropped; the runtime's threshold is applied outside.
MIN_SCORE = 0.05
#: Detections with a shorter side (px) are dropped.
MIN_BOX_SIDE_PX = 1e-2

Target = dict[str, Tensor]


class RoIHeads(nn.Module):
    """The heads on RoI features; `losses` for training, `detect` and `poses` for the dynamic way."""

    def __init__(self, preset: Preset, keypoint_rois_per_image: int, hard_3d_target: Hard3dTarget) -> None:
        super().__init__()
        self.preset = preset
        self.keypoint_rois_per_image = keypoint_rois_per_image
        self.hard_3d_target = hard_3d_target
        self.box = BoxHead(preset)
        self.keypoint = KeypointHead(preset)
        self.lifter_hard = Lifter(preset.lifter_width)
        self.lifter_soft = Lifter(preset.lifter_width)
        self.lifter_stats = LifterStatistics()
        self.calibration = ScoreCalibration()
        self.sampler = ProposalSampler(preset.box_samples)

    def losses(self, features: list[Tensor], proposals: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """The box head's two losses and the keypoint branches' four."""
        with torch.no_grad():
            sampled = [self.sampler(boxes, target) for boxes, target in zip(proposals, targets, strict=True)]
        return {
            **self._box_losses(features, sampled, targets),
            **self._keypoint_losses(features, sampled, targets),
            **self._lifter_losses(targets),
        }

    def _box_losses(self, features: list[Tensor], sampled: list[Sampled], targets: list[Target]) -> dict[str, Tensor]:
        boxes = [s.boxes for s in sampled]
        matched = [
            target["boxes"].to(s.boxes)[s.person] if len(target["boxes"]) else s.boxes
            for s, target in zip(sampled, targets, strict=True)
        ]
        delta_targets = BOX_CODER.encode_single(torch.cat(matched), torch.cat(boxes))
        logits, deltas = self.box(pool_rois(features, boxes, BOX_CELLS, self.preset))
        labels = torch.cat([s.labels for s in sampled])
        classification, regression = box_loss(logits, deltas, labels, delta_targets)
        return {"loss_classifier": classification, "loss_box_reg": regression}

    def _keypoint_losses(
        self, features: list[Tensor], sampled: list[Sampled], targets: list[Target]
    ) -> dict[str, Tensor]:
        limit = self.keypoint_rois_per_image
        chosen = [keypoint_rois(s, target, limit) for s, target in zip(sampled, targets, strict=True)]
        boxes = [s.boxes[index] for s, index in zip(sampled, chosen, strict=True)]
        rois = torch.cat(boxes)
        if len(rois) == 0:
            nothing = sum((p.sum() for p in self.keypoint.parameters()), rois.new_zeros(())) * 0
            return {"loss_2d_hard": nothing, "loss_2d_soft": nothing}

        def labels(key: str) -> Tensor:
            each = zip(targets, sampled, chosen, strict=True)
            return torch.cat([target[key].to(rois)[s.person[index]] for target, s, index in each])

        maps = self.keypoint(pool_rois(features, boxes, KEYPOINT_CELLS, self.preset))
        weights = labels("weights")
        return {
            "loss_2d_hard": keypoint_loss(maps[:, 0], labels("keypoints_hard"), rois, weights, soft=False),
            "loss_2d_soft": keypoint_loss(maps[:, 1], labels("keypoints_soft"), rois, weights, soft=True),
        }

    def _lifter_losses(self, targets: list[Target]) -> dict[str, Tensor]:
        def labels(key: str) -> Tensor:
            return torch.cat([target[key] for target in targets])[kept]

        kept = torch.cat([(target["keypoints_hard"][..., 2] > 0).any(dim=1) for target in targets])
        scales = [target["scale"].expand(len(target["boxes"])) for target in targets]
        scale = torch.cat(scales)[kept].view(-1, 1, 1)
        soft_3d = labels("keypoints_3d_soft")
        hard_3d = soft_3d if self.hard_3d_target == "s3d" else labels("keypoints_3d_hard")
        weights, stats = labels("weights"), self.lifter_stats
        hard = lifter_loss(self.lifter_hard, stats, labels("keypoints_hard"), hard_3d, scale, weights)
        soft = lifter_loss(self.lifter_soft, stats, labels("keypoints_soft"), soft_3d, scale, weights)
        return {"loss_3d_hard": hard, "loss_3d_soft": soft}

    def detect(self, features: list[Tensor], proposals: list[Tensor], sizes: list[tuple[int, int]]) -> list[Target]:
        """Boxes and scores of the people in each image of size (h, w), best first, at most `max_persons`."""
        logits, deltas = self.box(pool_rois(features, proposals, BOX_CELLS, self.preset))
        counts = [len(boxes) for boxes in proposals]
        decoded = BOX_CODER.decode_single(deltas, torch.cat(proposals)).split(counts)
        margins = (logits[:, 1] - logits[:, 0]).split(counts)
        results = []
        for boxes, margin, size in zip(decoded, margins, sizes, strict=True):
            boxes = clip_boxes_to_image(boxes, size)
            # Ranked by the margin: its sigmoid saturates to ties.
            usable = (margin.sigmoid() > MIN_SCORE) & ((boxes[:, 2:] - boxes[:, :2]) >= MIN_BOX_SIDE_PX).all(dim=1)
            boxes, margin = boxes[usable], margin[usable]
            kept = nms(boxes, margin, NMS_IOU)[: self.preset.max_persons]
            results.append({"boxes": boxes[kept], "scores": margin[kept].sigmoid()})
        return results

    def poses(self, maps: Tensor, boxes: Tensor, frame_scale: float | Tensor, decoding: str) -> tuple[Tensor, Tensor]:
        """2D and 3D poses from heatmap logits.

        Args:
            maps: `(N, 2, 17, 56, 56)` of the branches hard and soft.
            boxes: `(N, 4)` RoIs, network-input px.
            frame_scale: Network-input px to px of a 640x480 frame.
            decoding: "subcell" or "bicubic" (decode.py).

        Returns:
            `(N, 17, 3)` x, y px, score; `(N, 17, 4)` x, y, z mm, score.
        """
        mean = (maps[:, 0] + maps[:, 1]) / 2
        profiles = torch.cat([profiles_of(mean).unsqueeze(1), profiles_of(maps)], dim=1)
        shares, peaks = decode_profiles(profiles)  # of the mean, the hard and the soft maps
        if decoding == "bicubic":
            shares = torch.stack([decode_bicubic(m, boxes)[0] for m in (mean, maps[:, 0], maps[:, 1])], dim=1)
        points, hard, soft = place_in_boxes(shares, boxes).unbind(1)
        scores = self.calibration(softmax_peak(mean, peaks[:, 0]))
        lifted = (self._lift(self.lifter_hard, hard, frame_scale) + self._lift(self.lifter_soft, soft, frame_scale)) / 2
        joints_3d = torch.cat([with_pelvis(lifted), score_3d(scores)[..., None]], dim=-1)
        return torch.cat([points, scores[..., None]], dim=-1), joints_3d

    def _lift(self, lifter: Lifter, points: Tensor, frame_scale: float | Tensor) -> Tensor:
        standard = self.lifter_stats.standardise_2d(lifter_input(points, frame_scale))
        return self.lifter_stats.restore_3d(lifter(standard))
