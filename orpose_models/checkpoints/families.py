"""The three families of checkpoints: how each is told, what its layers are called, what it does otherwise than ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orpose_models.checkpoints.config import ConvertConfig
from orpose_models.checkpoints.names import detectron2_layers, torchvision_layers
from orpose_models.errors import ModelError
from orpose_models.network.backbone import IMAGE_MEAN, IMAGE_STD
from orpose_models.network.conventions import Conventions
from orpose_models.network.presets import Preset

#: What torchvision and detectron2 add to the variances.
USUAL_EPS = 1e-5
#: First hex digits of the sha256 of torchvision's COCO_V1 file; torchvision sets the eps to 0 when it loads that one.
_COCO_V1 = "fc266e95"
_DETECTRON2 = Conventions(stride_in_1x1=True, adaptive_sampling=True, rounded_anchors=False, has_lifters=False)


@dataclass(frozen=True)
class Family:
    """What is to be known about a checkpoint to make it ours.

    Attributes:
        branches: Keypoint branches that it has.
        conventions: What cannot be folded.
        eps: Added to the variances of its BatchNorm.
        channels: Order of the colours it reads.
        mean, std: Of the image, in that order, of values in 0-255.
        background: Index of the class that is nobody.
        class_boxes: Box deltas for each class, the background's included.
        licence: Of the published weights of this family.
    """

    name: Literal["torchvision", "detectron2", "orpose"]
    branches: int
    conventions: Conventions
    eps: float
    channels: Literal["RGB", "BGR"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    background: Literal[0, 1]
    class_boxes: bool
    licence: str

    def layers(self, preset: Preset) -> dict[str, str]:
        """Our layer -> its name in the file."""
        if self.name == "torchvision":
            return torchvision_layers(preset)
        return detectron2_layers(preset, two_branches=self.name == "orpose")


def recognise(names: Mapping[str, object], path: Path, sha256: str, config: ConvertConfig) -> Family:
    """The family of a file with tensors of these names.

    Raises:
        ModelError: none of the three.
    """
    if any(name.startswith("backbone.body.") for name in names):
        return _torchvision(sha256, config)
    if any(name.startswith("backbone.bottom_up.") for name in names):
        two_branches = "roi_heads.keypoint_head.score_lowres_soft.weight" in names
        return _detectron2(config, two_branches)
    raise ModelError(
        f"{path}: {len(names)} tensors ({', '.join(sorted(names)[:3])}), none of backbone.body or backbone.bottom_up;"
        " expected a keypoint R-CNN of torchvision, detectron2 or ORPose with ResNet-50 and FPN"
    )


def _torchvision(sha256: str, config: ConvertConfig) -> Family:
    usual = 0.0 if sha256.startswith(_COCO_V1) else USUAL_EPS
    return Family(
        name="torchvision",
        branches=1,
        conventions=Conventions(aligned_rois=False, divided_strides=True, has_lifters=False),
        eps=usual if config.batch_norm_eps is None else config.batch_norm_eps,
        channels="RGB",
        mean=tuple(255 * value for value in IMAGE_MEAN),
        std=tuple(255 * value for value in IMAGE_STD),
        background=0,
        class_boxes=True,
        licence="none stated for the weights (torchvision's code is BSD-3-Clause); trained on COCO",
    )


def _detectron2(config: ConvertConfig, two_branches: bool) -> Family:
    msra = config.resnet == "msra"
    mean, std = (tuple(255 * value for value in values) for values in (IMAGE_MEAN, IMAGE_STD))
    return Family(
        name="orpose" if two_branches else "detectron2",
        branches=2 if two_branches else 1,
        conventions=_DETECTRON2.model_copy(update={"stride_in_1x1": msra, "has_lifters": two_branches}),
        eps=USUAL_EPS if config.batch_norm_eps is None else config.batch_norm_eps,
        channels="BGR" if msra else "RGB",
        mean=mean[::-1] if msra else mean,
        std=(1.0, 1.0, 1.0) if msra else std,
        background=1,
        class_boxes=False,
        licence=(
            "CC BY-NC-SA 4.0 (ORPose): non-commercial scientific research only"
            if two_branches
            else "CC BY-SA 3.0 (detectron2's model zoo); trained on COCO"
        ),
    )
