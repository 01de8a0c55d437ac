"""The sizes of the student network, with two branches or one. Every number of its architecture has its home here."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orpose_models.errors import ConfigError
from orpose_models.network.conventions import Conventions
from orpose_models.network.lifter import LifterInput


class Preset(BaseModel):
    """Architecture of a student network. Sizes in pixels are those of the network's input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="written into weight files; they load into this preset only")
    backbone: Literal["mobilenet_v3_large", "resnet50"] = Field(description="torchvision trunk that feeds the pyramid")
    fpn_channels: int = Field(ge=8, description="channels of every pyramid level")
    fpn_levels: tuple[int, ...] = Field(
        description="pyramid levels, level L has stride 2**L px; the last is a pooled one"
    )
    batch_norm_heads: bool = Field(
        description="BatchNorm in pyramid and heads, to train from scratch on short schedules; off = the paper's layers"
    )
    anchor_sizes: tuple[float, ...] = Field(description="side of the square anchor of each level, px")
    anchor_ratios: tuple[float, ...] = Field(description="height / width of the anchors of every cell")
    anchor_person_iou: float = Field(
        ge=0.3,
        le=1,
        description="anchors that overlap a person by this much learn to propose; the best one always does",
    )
    canonical_size: float = Field(gt=0, description="RoIs of this side (px) and up to twice it are read from level 4")
    sampling_ratio: int = Field(ge=1, description="RoIAlign samples per bin and axis")
    box_head_width: int = Field(ge=8, description="units of the box head's two fully connected layers")
    keypoint_head_layers: int = Field(ge=1, description="3x3 convolutions of the keypoint head")
    keypoint_head_width: int = Field(ge=8, description="channels of these convolutions")
    branches: int = Field(
        ge=1, le=2, description="keypoint branches, each with a lifter of its own: 2 hard and soft, 1 the ablation's"
    )
    lifter_width: int = Field(ge=8, description="units of the lifters' linear layers")
    lifter_input: LifterInput = Field(
        "paper", description="what the lifters read of the 2D joints (lifter.py); weight files tell which"
    )
    proposals_per_level: int = Field(ge=1, description="best anchors of each level that enter the NMS, inference")
    proposals: int = Field(ge=1, description="proposals after NMS that reach the box head, inference")
    max_persons: int = Field(ge=1, description="people per image, the best ones")
    box_samples: int = Field(ge=4, description="proposals per image in the box loss, a quarter of them people at most")
    conventions: Conventions = Field(Conventions(), description="of the network that the weights come from")

    @model_validator(mode="after")
    def _one_anchor_size_per_level(self) -> Preset:
        if len(self.anchor_sizes) != len(self.fpn_levels):
            raise ValueError(f"anchor_sizes: expected one per level of {self.fpn_levels}, got {self.anchor_sizes}")
        return self

    @property
    def roi_levels(self) -> tuple[int, ...]:
        """Pyramid levels that RoIs are read from: all but the pooled last one."""
        return self.fpn_levels[:-1]

    def with_conventions(self, conventions: Conventions) -> Preset:
        """The same sizes for weights of other `conventions`."""
        return self.model_copy(update={"conventions": conventions})

    def with_lifter_input(self, kind: str) -> Preset:
        """The same network with lifters that read `kind`.

        Raises:
            ConfigError: no such input.
        """
        if kind not in get_args(LifterInput):
            raise ConfigError(f"lifter_input: got {kind!r}, expected one of {', '.join(get_args(LifterInput))}")
        return self.model_copy(update={"lifter_input": kind})

    @property
    def anchors_per_cell(self) -> int:
        return len(self.anchor_ratios)


R50 = Preset(
    name="r50",
    backbone="resnet50",
    fpn_channels=256,
    fpn_levels=(2, 3, 4, 5, 6),
    batch_norm_heads=False,
    anchor_sizes=(32, 64, 128, 256, 512),
    anchor_ratios=(0.5, 1.0, 2.0),
    anchor_person_iou=0.7,
    canonical_size=224,
    sampling_ratio=2,
    box_head_width=1024,
    keypoint_head_layers=8,
    keypoint_head_width=512,
    branches=2,
    lifter_width=1024,
    proposals_per_level=256,
    proposals=128,
    max_persons=16,
    box_samples=512,
)

LITE = Preset(
    name="lite",
    backbone="mobilenet_v3_large",
    fpn_channels=64,
    fpn_levels=(3, 4, 5, 6),
    batch_norm_heads=True,
    anchor_sizes=(48, 96, 192, 384),
    anchor_ratios=(0.5, 1.0, 2.0),
    anchor_person_iou=0.6,
    canonical_size=160,
    sampling_ratio=1,
    box_head_width=256,
    keypoint_head_layers=4,
    keypoint_head_width=128,
    branches=2,
    lifter_width=512,
    proposals_per_level=128,
    proposals=32,
    max_persons=8,
    box_samples=64,
)

#: `lite` for inputs of a quarter to a half of the reference size: a finer pyramid, smaller anchors.
LITE_SMALL = LITE.model_copy(
    update={
        "name": "lite_small",
        "fpn_levels": (2, 3, 4, 5, 6),
        "anchor_sizes": (16, 32, 64, 128, 256),
        "canonical_size": 80,
    }
)

#: `lite` for privacy mode: half of the reference size holds all that is left of a frame.
LITE_12X = LITE.model_copy(
    update={
        "name": "lite_12x",
        "anchor_sizes": (24, 48, 96, 192),
        "canonical_size": 80,
        "keypoint_head_layers": 2,
    }
)

#: The single-branch ablation (Srivastav 2020, Table 3).
R50_SINGLE, LITE_SINGLE, LITE_SMALL_SINGLE = (
    p.model_copy(update={"name": f"{p.name}_single", "branches": 1}) for p in (R50, LITE, LITE_SMALL)
)

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (R50, LITE, LITE_SMALL, LITE_12X, R50_SINGLE, LITE_SINGLE, LITE_SMALL_SINGLE)
}


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset: got {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
