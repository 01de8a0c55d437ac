"""What `orpose convert` cannot read from a checkpoint. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from orpose_models.settings import Settings

LifterKind = Literal["orpose", "martinez"]


class ConvertConfig(Settings):
    """Beside the checkpoint itself."""

    preset: Literal["r50", "r50_single"] | None = Field(
        None,
        description="two keypoint branches or one; as many as the checkpoint has unless given, and a single one becomes"
        " both, which answer alike",
    )
    resnet: Literal["msra", "torchvision"] = Field(
        "msra",
        description="ResNet-50 that a detectron2 network started from: its model zoo's msra (BGR, stride in the 1x1"
        " convolution) or R-50.pkl of torchvision (RGB, in the 3x3)",
    )
    batch_norm_eps: float | None = Field(
        None,
        ge=0,
        le=0.1,
        description="added to the variances; 1e-5 unless given, and 0 for torchvision's published COCO_V1 file",
    )
    h36stats: Path | None = Field(
        None, description="Human3.6M's h36stats.json, which lifters of ORPose and Martinez need"
    )
    lifter: Path | None = Field(None, description="lifter of a file of its own; none unless given or in the checkpoint")
    lifter_kind: LifterKind = Field("orpose", description="whose joints enter it: ORPose's or Martinez' published ones")
