"""The student network: training losses, and the dynamic (torchvision style) way of inference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from orpose_models.network.backbone import Pyramid, normalise
from orpose_models.network.heads import KEYPOINT_CELLS
from orpose_models.network.lifter import FRAME_LINES
from orpose_models.network.losses import Hard3dTarget, TrainedLabels
from orpose_models.network.presets import Preset, get_preset
from orpose_models.network.roi_align import pool_rois
from orpose_models.network.roi_heads import RoIHeads, Target
from orpose_models.network.rpn import ProposalNetwork

_REQUIRED = {"boxes": (4,), "keypoints_soft": (17, 3), "keypoints_hard": (17, 3)}
_OPTIONAL = {"keypoints_3d_soft": (17, 4), "keypoints_3d_hard": (17, 4)}
_OPTIONAL_WEIGHTS: dict[str, tuple[int, ...]] = {"weights": (), "joint_weights": (17,)}


class Student(nn.Module):
    """Faster R-CNN on an FPN with a two-branch keypoint head and lifters (Srivastav 2020; or one branch).

    In training mode `student(images, targets)` returns the losses, all of weight 1: `loss_objectness`,
    `loss_rpn_box_reg`, `loss_classifier`, `loss_box_reg`, `loss_2d_hard`, `loss_2d_soft`, `loss_3d_hard` and
    `loss_3d_soft`; of the last four only those of the trained labels.
    In evaluation mode `student(images)` returns for each image `boxes` (N, 4), `scores` (N,), `keypoints` (N, 17, 3)
    and `keypoints_3d` (N, 17, 4), mm.

    Images are `(3, H, W)` float RGB in 0-1. Targets are dicts of tensors in px of their image:
        boxes (N, 4): x1 y1 x2 y2
        keypoints_soft (N, 17, 3): x, y, confidence; keypoints_hard (N, 17, 3): x, y, used where > 0. A soft joint of
            confidence 0 has no heatmap to learn, but enters the lifter
        keypoints_3d_soft, keypoints_3d_hard (N, 17, 4), optional: mm, pelvis-relative, camera axes, used where > 0
        crowd_boxes (M, 4), optional: regions in which nothing is a negative
        weights (N,), optional: of each person's keypoint and 3D losses; joint_weights (N, 17): of each joint's 2D loss
        scale (), optional: px of the image to px of a 640x480 frame, 480 / H unless given
    """

    def __init__(
        self,
        preset: Preset,
        *,
        keypoint_rois_per_image: int = 16,
        hard_3d_target: Hard3dTarget = "s3d",
        trained_labels: TrainedLabels = "hard+soft",
    ) -> None:
        super().__init__()
        self.preset = preset
        self.pyramid = Pyramid(preset)
        self.rpn = ProposalNetwork(preset)
        if preset.branches == 2 and trained_labels != "hard+soft":
            raise ValueError(
                f"trained_labels: two branches need hard+soft, got {trained_labels!r}; use {preset.name}_single"
            )
        self.heads = RoIHeads(preset, keypoint_rois_per_image, hard_3d_target, trained_labels)
        # A quarter faster in training on the CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Target] | None = None, decoding: str = "subcell"
    ) -> dict[str, Tensor] | list[Target]:
        batch = _stack(images)
        features = self.pyramid(normalise(batch.tensors))
        if not self.training:
            return self._infer(batch, features, decoding)
        if targets is None:
            raise ValueError("targets: expected one dict per image in training mode, got None")
        complete = [complete_target(target, image) for target, image in zip(targets, images, strict=True)]
        # boxes are px: autocast's 8 or 11 bits would move them, so proposals are made in float32
        with torch.autocast(batch.tensors.device.type, enabled=False):
            proposals, losses = self.rpn(batch, _named([each.float() for each in features]), complete)
        return {**losses, **self.heads.losses(features, proposals, complete)}

    def detect(self, images: Sequence[Tensor]) -> list[Target]:
        """`boxes` and `scores` of each image as in evaluation mode, without the work of the poses."""
        batch = _stack(images)
        return self._detect(batch, self.pyramid(normalise(batch.tensors)))

    def _detect(self, batch: ImageList, features: list[Tensor]) -> list[Target]:
        proposals, _ = self.rpn(batch, _named(features))
        return self.heads.detect(features, proposals, batch.image_sizes)

    def _infer(self, batch: ImageList, features: list[Tensor], decoding: str) -> list[Target]:
        results = self._detect(batch, features)
        maps = self.heads.keypoint(pool_rois(features, [r["boxes"] for r in results], KEYPOINT_CELLS, self.preset))
        for result, own, size in zip(
            results, maps.split([len(r["boxes"]) for r in results]), batch.image_sizes, strict=True
        ):
            poses = self.heads.poses(own, result["boxes"], FRAME_LINES / size[0], decoding)
            result["keypoints"], result["keypoints_3d"] = poses
        return results

    @property
    def lifter_stats(self) -> nn.Module:
        return self.heads.lifter_stats

    def set_lifter_statistics(self, mean2d: Tensor, std2d: Tensor, mean3d: Tensor, std3d: Tensor) -> None:
        """Sets what the lifters' 2D `(16, 2)` px of a 640x480 frame and 3D `(16, 3)` mm are standardised with."""
        self.heads.lifter_stats.set(mean2d, std2d, mean3d, std3d)

    def set_score_calibration(self, peaks: Tensor, scores: Tensor) -> None:
        """Sets the monotone map from softmax peaks to joint scores (decode.py, ScoreCalibration)."""
        self.heads.calibration.set(peaks, scores)


def build_student(
    preset: str | Preset,
    *,
    keypoint_rois_per_image: int = 16,
    hard_3d_target: Hard3dTarget = "s3d",
    trained_labels: TrainedLabels = "hard+soft",
) -> Student:
    """A student with random weights; nothing is ever downloaded.

    Args:
        preset: A name of `PRESETS`, or an own one.
        keypoint_rois_per_image: Boxes of people per image that the keypoint loss looks at.
        hard_3d_target: The 3D label of the hard branch: the soft one (the paper) or its own (the public code).
        trained_labels: The labels that are trained on; fewer than both in a single-branch student only.

    Raises:
        ConfigError: no preset of that name.
    """
    chosen = get_preset(preset) if isinstance(preset, str) else preset
    return Student(
        chosen,
        keypoint_rois_per_image=keypoint_rois_per_image,
        hard_3d_target=hard_3d_target,
        trained_labels=trained_labels,
    )


def complete_target(target: Target, image: Tensor) -> Target:
    """The target with its optional parts filled in (3D labels unused, weights 1, scale 480 / H).

    Raises:
        ValueError: a missing key or a wrong shape.
    """
    people = len(target["boxes"]) if "boxes" in target else -1
    optional = {**_OPTIONAL, **_OPTIONAL_WEIGHTS}
    for key, shape in {**_REQUIRED, **{k: v for k, v in optional.items() if k in target}}.items():
        got = tuple(target[key].shape) if key in target else "nothing"
        if got != (people, *shape):
            raise ValueError(f"target {key!r}: expected shape {(people, *shape)}, got {got}")
    defaults: Target = {key: image.new_zeros(people, *shape) for key, shape in _OPTIONAL.items()}
    defaults.update({key: image.new_ones(people, *shape) for key, shape in _OPTIONAL_WEIGHTS.items()})
    defaults["labels"] = torch.ones(people, dtype=torch.long, device=image.device)
    defaults["scale"] = image.new_tensor(FRAME_LINES / image.shape[-2])
    complete = {**defaults, **target}
    complete["scale"] = torch.as_tensor(complete["scale"], dtype=image.dtype, device=image.device)
    return complete


def _named(features: list[Tensor]) -> dict[str, Tensor]:
    return {str(i): feature for i, feature in enumerate(features)}


def _stack(images: Sequence[Tensor]) -> ImageList:
    """One batch; smaller images are padded with black on the right and below."""
    sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    tensors = images[0].new_zeros(len(images), 3, height, width).to(memory_format=torch.channels_last)
    for image, slot in zip(images, tensors, strict=True):
        slot[:, : image.shape[-2], : image.shape[-1]].copy_(image)
    return ImageList(tensors, sizes)
