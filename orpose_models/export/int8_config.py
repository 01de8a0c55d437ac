"""What the int8 export needs to know, beside the rest of an export: the only home of its defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orpose_models.settings import Settings

CalibrationMethod = Literal["percentile", "minmax"]
Activations = Literal["unsigned", "signed"]
#: A privacy downsampling factor.
Factor = Annotated[float, Field(ge=1.0, le=12.0)]


class Int8Config(Settings):
    """Which images the ranges of values are taken from, and what the quantised graph must prove."""

    calibration: str | None = Field(
        default=None,
        description="int8: images to take the ranges of values from: a folder, a label file, a video or a bag",
        json_schema_extra={"metavar": "PATH"},
    )
    calibration_images: int = Field(
        default=100, ge=8, le=10_000, description="int8: how many of them are used, evenly spread; fewer is an error"
    )
    calibration_method: CalibrationMethod = Field(
        default="percentile",
        description="int8: range of a tensor: 99.99 % of its values, or all of them",
    )
    activations: Activations | None = Field(
        default=None,
        description="int8: signed with zero point 0 is what TensorRT takes, unsigned is faster in ONNX Runtime on x86; "
        "empty = the format's",
    )
    validation: str | None = Field(
        default=None,
        description="int8: label file (COCO-17) with other images, on which both graphs are measured",
        json_schema_extra={"metavar": "LABELS"},
    )
    validation_downsample: tuple[Factor, ...] = Field(
        default=(1.0, 12.0), min_length=1, description="int8: privacy downsampling factors to measure at"
    )
    max_drop: float = Field(
        default=0.05,
        gt=0.0,
        lt=1.0,
        description="int8: largest loss of box AP or keypoint AP, as a share of the float graph's, that is accepted",
    )
