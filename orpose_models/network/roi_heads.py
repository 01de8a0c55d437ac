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
from orpose_models.network.lifter import (
    Lifter,
    LifterStatistics,
    joint_confidence,
    lifter_input,
    score_3d,
    with_pelvis,
)
from orpose_models.network.losses import BOX_BETA, Hard3dTarget, TrainedLabels, box_loss, keypoint_loss, lifter_loss
from orpose_models.network.presets import Preset
from orpose_models.network.roi_align import pool_rois
from orpose_models.network.sampling import ProposalSampler, Sampled, keypoint_rois
from orpose_models.skeleton import H36M17_SOURCES

#: Detections that overlap a better one by more are dropped.
NMS_IOU = 0.5
#: Detections with a score below this floor are dropped; the runtime's threshold is applied outside.
MIN_SCORE = 0.05
#: Detections with a shorter side (px) are dropped.
MIN_BOX_SIDE_PX = 1e-2

Target = dict[str, Tensor]


class RoIHeads(nn.Module):
    """The heads on RoI features; `losses` for training, `detect` and `poses` for the dynamic way."""

    def __init__(
        self,
        preset: Preset,
        keypoint_rois_per_image: int,
        hard_3d_target: Hard3dTarget,
        trained_labels: TrainedLabels = "hard+soft",
    ) -> None:
        super().__init__()
        self.preset = preset
        self.keypoint_rois_per_image = keypoint_rois_per_image
        self.hard_3d_target = hard_3d_target
        self.trained_labels = trained_labels
        #: Standard deviation of the heatmaps' Gaussian target, cells; 0: the joint's cell alone, as in the paper.
        self.heatmap_sigma = 0.0
        #: Where the smooth L1 of boxes turns from square to linear.
        self.box_beta = BOX_BETA
        self.box = BoxHead(preset)
        self.keypoint = KeypointHead(preset)
        self.lifter_hard = Lifter(preset.lifter_width, preset.lifter_input)
        if preset.branches == 2:
            self.lifter_soft = Lifter(preset.lifter_width, preset.lifter_input)
        self.lifter_stats = LifterStatistics(preset.lifter_input)
        self.calibration = ScoreCalibration()
        self.sampler = ProposalSampler(preset.box_samples)

    @property
    def lifters(self) -> tuple[Lifter, ...]:
        """One a branch: hard and soft, or the single one (which has the hard one's name)."""
        return (self.lifter_hard, self.lifter_soft) if self.preset.branches == 2 else (self.lifter_hard,)

    def _learns(self, kind: str) -> bool:
        return kind in self.trained_labels.split("+")

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
        classification, regression = box_loss(logits.float(), deltas.float(), labels, delta_targets, self.box_beta)
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
            return {f"loss_2d_{kind}": nothing for kind in ("hard", "soft") if self._learns(kind)}

        def labels(key: str) -> Tensor:
            each = zip(targets, sampled, chosen, strict=True)
            return torch.cat([target[key].to(rois)[s.person[index]] for target, s, index in each])

        # unbind, not maps[:, 0]: its backward fills the maps' gradient once, not once a branch
        maps = self.keypoint(pool_rois(features, boxes, KEYPOINT_CELLS, self.preset)).unbind(1)
        weights = labels("weights")[:, None] * labels("joint_weights")
        losses, sigma = {}, self.heatmap_sigma
        if self._learns("hard"):
            hard = labels("keypoints_hard")
            losses["loss_2d_hard"] = keypoint_loss(maps[0], hard, rois, weights, soft=False, sigma=sigma)
        if self._learns("soft"):
            soft = labels("keypoints_soft")
            losses["loss_2d_soft"] = keypoint_loss(maps[-1], soft, rois, weights, soft=True, sigma=sigma)
        return losses

    def _lifter_losses(self, targets: list[Target]) -> dict[str, Tensor]:
        def labels(key: str) -> Tensor:
            return torch.cat([target[key] for target in targets])[kept]

        kept = torch.cat([(target["keypoints_hard"][..., 2] > 0).any(dim=1) for target in targets])
        scales = [target["scale"].expand(len(target["boxes"])) for target in targets]
        scale = torch.cat(scales)[kept].view(-1, 1, 1)
        soft_3d = labels("keypoints_3d_soft")
        hard_3d = soft_3d if self.hard_3d_target == "s3d" else labels("keypoints_3d_hard")
        weights, stats, lifters = labels("weights"), self.lifter_stats, self.lifters
        hard_2d, soft_2d = labels("keypoints_hard"), labels("keypoints_soft")
        losses = {}
        if self._learns("hard"):
            losses["loss_3d_hard"] = lifter_loss(lifters[0], stats, hard_2d, hard_3d, scale, weights, soft=False)
        if self._learns("soft"):
            losses["loss_3d_soft"] = lifter_loss(lifters[-1], stats, soft_2d, soft_3d, scale, weights, soft=True)
        return losses

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
            maps: `(N, 2, 17, 56, 56)` of the branches hard and soft, or `(N, 1, 17, 56, 56)` of a single one.
            boxes: `(N, 4)` RoIs, network-input px.
            frame_scale: Network-input px to px of a 640x480 frame.
            decoding: "subcell" or "bicubic" (decode.py).

        Returns:
            `(N, 17, 3)` x, y px, score; `(N, 17, 4)` x, y, z mm, score, all 0 where the lifters are not trained.
        """
        mean = (maps[:, 0] + maps[:, 1]) / 2 if self.preset.branches == 2 else maps[:, 0]
        profiles = torch.cat([profiles_of(mean).unsqueeze(1), profiles_of(maps)], dim=1)
        shares, peaks = decode_profiles(profiles)  # of the mean and each branch's maps
        if decoding == "bicubic":
            shares = torch.stack([decode_bicubic(m, boxes)[0] for m in (mean, *maps.unbind(1))], dim=1)
        points, *own = place_in_boxes(shares, boxes).unbind(1)
        scores = self.calibration(softmax_peak(mean, peaks[:, 0]))
        joints = torch.cat([points, scores[..., None]], dim=-1)
        if not self.preset.conventions.has_lifters:
            return joints, joints.new_zeros(len(joints), len(H36M17_SOURCES), 4)
        confidence = joint_confidence(scores)
        of_branch = [
            self.lift(lifter, lifter_input(points, frame_scale), confidence)
            for lifter, points in zip(self.lifters, own, strict=True)
        ]
        lifted = (of_branch[0] + of_branch[1]) / 2 if self.preset.branches == 2 else of_branch[0]
        joints_3d = torch.cat([with_pelvis(lifted), score_3d(scores)[..., None]], dim=-1)
        return joints, joints_3d

    def lift(self, lifter: Lifter, joints: Tensor, confidence: Tensor) -> Tensor:
        """`(N, 16, 3)` mm of `lifter_input` `(N, 16, 2)` and its confidence `(N, 16)`."""
        return self.lifter_stats.restore_3d(lifter(self.lifter_stats.entering(joints, confidence)))
