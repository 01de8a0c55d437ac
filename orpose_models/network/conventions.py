"""What a network from elsewhere does otherwise than ours and cannot be folded into its weights."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Conventions(BaseModel):
    """Part of a preset; weight files carry those that differ from the defaults, our own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stride_in_1x1: bool = Field(
        False, description="a ResNet stage halves its size in the first 1x1 convolution, not in the 3x3 one"
    )
    aligned_rois: bool = Field(
        True, description="RoIAlign shifts by half a cell; without it RoIs are also at least one cell wide and high"
    )
    adaptive_sampling: bool = Field(
        False,
        description="RoIAlign takes one sample per cell that a bin covers, begun ones included, and not the preset's"
        " sampling_ratio; not in the static graph, whose shapes are fixed",
    )
    rounded_anchors: bool = Field(True, description="corners of the anchors of a cell are whole px")
    divided_strides: bool = Field(
        False, description="anchors lie image size // grid size px apart, which for the last level may not be 2**L"
    )
    has_lifters: bool = Field(
        True, description="the lifters are trained; without them 3D joints are 0, their scores too"
    )
