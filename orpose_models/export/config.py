"""What `orpose export` needs to know: the only home of its defaults. Needs neither torch nor onnx."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from orpose_models.export.int8_config import Activations, Int8Config
from orpose_models.runtime.config import MIN_SIDE, OptionalSize, Size
from orpose_models.runtime.models import REFERENCE_INPUT_SIZE

FormatName = Literal["onnx", "torch-export", "torch-tensorrt", "tensorrt", "tensorrt-rtx", "openvino"]
PrecisionName = Literal["fp32", "fp16", "int8"]
WeightStorage = Literal["float16", "float32"]
#: Compute capabilities that TensorRT-RTX builds for ahead of time, without the GPU.
GpuName = Literal["75", "80", "86", "89", "120", "121"]

#: Formats that are made from the ONNX graph, and so can be of its quantised form.
FROM_ONNX: tuple[FormatName, ...] = ("onnx", "tensorrt", "tensorrt-rtx", "openvino")


class ExportConfig(Int8Config):
    """One export. Formats: docs/export.md."""

    format: FormatName = Field(default="onnx", description="kind of file to write")
    precision: PrecisionName = Field(
        default="fp32",
        description="arithmetic of the heavy layers; fp16 and int8 keep boxes and sampling coordinates in fp32",
    )
    batch: int = Field(default=1, ge=1, le=256, description="images per call")
    size: Size = Field(
        default=REFERENCE_INPUT_SIZE,
        description=f"the network's input, px, sides of {MIN_SIDE} or more; unless given, the size that the weight "
        "file names",
        json_schema_extra={"metavar": "WxH"},
    )
    frame_size: OptionalSize = Field(
        default=None,
        description="camera frames of this size go in and are letterboxed inside the graph; empty = images of --size",
        json_schema_extra={"metavar": "WxH"},
    )
    sm: GpuName | None = Field(
        default=None, description="GPU to build for, its compute capability without the dot; tensorrt-rtx only"
    )
    max_persons: int | None = Field(default=None, ge=1, description="person slots per image, the preset's unless given")
    buckets: bool = Field(
        default=False,
        description="two graphs, NAME.onnx that finds people and NAME.poses.onnx that is run for as many as there are",
    )
    weights: WeightStorage | None = Field(
        default=None,
        description="storage of large weights in an fp32 .onnx or .xml file; float16, unless given, halves it",
    )

    @field_validator("size")
    @classmethod
    def _large_enough(cls, size: tuple[int, int]) -> tuple[int, int]:
        if min(size) < MIN_SIDE:
            raise ValueError(f"expected sides of {MIN_SIDE} px or more")
        return size

    @model_validator(mode="after")
    def _fits_the_format(self) -> ExportConfig:
        if self.format == "tensorrt-rtx" and self.sm is None:
            raise ValueError("--format tensorrt-rtx builds for one kind of GPU: give --sm, such as --sm 86")
        if self.format != "tensorrt-rtx" and self.sm is not None:
            raise ValueError(f"--sm is for --format tensorrt-rtx; got --format {self.format}")
        if self.weights and (self.format not in ("onnx", "openvino") or self.precision != "fp32"):
            raise ValueError(f"--weights is for fp32 in onnx and openvino; got {self.precision} in {self.format}")
        if self.precision == "int8" and self.format not in FROM_ONNX:
            raise ValueError(f"int8 is for --format {', '.join(FROM_ONNX)}; got {self.format}")
        if self.buckets and (self.format, self.precision, self.batch, self.frame_size) != ("onnx", "fp32", 1, None):
            raise ValueError("--buckets is for --format onnx in fp32 with --batch 1 and without --frame-size")
        return self

    @model_validator(mode="after")
    def _can_be_measured(self) -> ExportConfig:
        if self.precision == "int8":
            if not (self.calibration and self.validation):
                raise ValueError("int8 needs --calibration (images) and --validation (a label file of other images)")
            if self.batch != 1:
                raise ValueError(f"int8 is measured through the runtime, one image per call; got --batch {self.batch}")
        elif given := [name for name in Int8Config.model_fields if name in self.model_fields_set]:
            option = given[0].replace("_", "-")
            raise ValueError(f"--{option} is for --precision int8; got --precision {self.precision}")
        return self

    @property
    def int8_activations(self) -> Activations:
        """As asked for, else what the format's runtime takes or is fastest with."""
        return self.activations or ("signed" if self.format in ("tensorrt", "tensorrt-rtx") else "unsigned")

    @property
    def weight_storage(self) -> WeightStorage:
        """How large weights are stored in an fp32 file: engines and torch programs keep them exact."""
        return self.weights or ("float16" if self.format in ("onnx", "openvino") else "float32")
