"""Configuration of the runtime: the only home of its defaults."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from orpose_models.settings import Settings

BackendName = Literal["onnxruntime", "openvino", "torch", "torch-tensorrt", "tensorrt"]
ProviderName = Literal["cpu", "cuda", "tensorrt"]
TorchMode = Literal["eager", "compile", "cudagraphs", "compile-graphs"]
DeviceName = Literal["cpu", "cuda"]
TorchPrecision = Literal["fp32", "fp16"]
#: Smallest side of a network's input, px: below it the coarsest level is a single cell.
MIN_SIDE = 64


def parse_size(value: Any) -> Any:
    """`"640x480"` -> `(640, 480)`: width and height in px. An empty string is None; other types pass through.

    Raises:
        ValueError: A string that is not WIDTHxHEIGHT with both at least 1.
    """
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    match = re.fullmatch(r"\s*(\d{1,6})\s*x\s*(\d{1,6})\s*", value)
    if not match or 0 in (size := (int(match[1]), int(match[2]))):
        raise ValueError("expected WIDTHxHEIGHT in px, both at least 1, such as 640x480")
    return size


Size = Annotated[tuple[int, int], BeforeValidator(parse_size)]
OptionalSize = Annotated[tuple[int, int] | None, BeforeValidator(parse_size)]


def _large_enough(size: tuple[int, int] | None) -> tuple[int, int] | None:
    if size and min(size) < MIN_SIDE:
        raise ValueError(f"expected sides of {MIN_SIDE} px or more")
    return size


class RuntimeConfig(Settings):
    """What `PoseEstimator` needs to know."""

    model: str = Field(
        default="lite",
        min_length=1,
        description="name of a shipped model, or path of an exported .onnx file (openvino: also .xml; tensorrt: also "
        ".engine; torch: .safetensors or .pt2; torch-tensorrt: .safetensors)",
    )
    backend: BackendName = Field(default="onnxruntime", description="what runs the network")
    provider: ProviderName = Field(
        default="cpu",
        description="what backend onnxruntime computes with; cuda, tensorrt: onnxruntime-gpu instead of onnxruntime",
    )
    torch_mode: TorchMode = Field(
        default="eager",
        description="how backend torch runs the network: as it is, compiled (needs a C++ compiler), recorded as a CUDA "
        "graph, or both",
    )
    torch_device: DeviceName = Field(default="cpu", description="where backend torch computes")
    torch_precision: TorchPrecision = Field(
        default="fp32",
        description="arithmetic of backend torch's heavy layers; fp16, on cuda only, keeps boxes and sampling "
        "coordinates in fp32",
    )
    torch_batch: int = Field(
        default=1, ge=1, le=256, description="images per call of backend torch; the others have it in the model file"
    )
    torch_size: Annotated[OptionalSize, AfterValidator(_large_enough)] = Field(
        default=None,
        description=f"input of the network of a .safetensors file, px, sides of {MIN_SIDE} or more; empty = the "
        "file's, 640x480 where it names none",
        json_schema_extra={"metavar": "WxH"},
    )
    engine_cache: str = Field(
        default="",
        description="folder for engines built on this machine, empty = $XDG_CACHE_HOME/orpose or ~/.cache/orpose",
    )
    threads: int = Field(default=0, ge=0, le=1024, description="processor threads of the network, 0 = all cores")
    downsample: float = Field(
        default=1.0,
        ge=1.0,
        le=12.0,
        description="privacy downsampling S, the first step after decoding: down to 480 / S lines, 1 = not at all",
    )
    frame_size: OptionalSize = Field(
        default=None,
        description="the camera's own frame size in px when images come already downsampled; results are in these "
        "pixels, empty = the incoming image's size",
        json_schema_extra={"metavar": "WxH"},
    )
    score_threshold: float = Field(
        default=0.5, ge=0.0, le=1.0, description="box score from which on somebody is reported as a person"
    )
    min_score: float = Field(
        default=0.05, ge=0.0, le=1.0, description="box score below which a candidate is not even kept for evaluation"
    )

    @model_validator(mode="after")
    def _options_fit_the_backend(self) -> RuntimeConfig:
        """An option for another backend would do nothing, unnoticed."""
        of_torch = ("torch_mode", "torch_device", "torch_precision", "torch_batch")
        for name, backend in (("provider", "onnxruntime"), *((name, "torch") for name in of_torch)):
            value = getattr(self, name)
            if self.backend != backend and value != type(self).model_fields[name].default:
                raise ValueError(f"{name} {value} is for backend {backend}; the backend is {self.backend}")
        if self.torch_size and self.backend not in ("torch", "torch-tensorrt"):
            raise ValueError(f"torch_size is for backends torch and torch-tensorrt; the backend is {self.backend}")
        if self.torch_device != "cuda":
            if self.torch_mode in ("cudagraphs", "compile-graphs"):
                raise ValueError(f"torch_mode {self.torch_mode} needs torch_device cuda")
            if self.torch_precision != "fp32":
                raise ValueError(f"torch_precision {self.torch_precision} needs torch_device cuda")
        return self

    @model_validator(mode="after")
    def _candidates_are_kept(self) -> RuntimeConfig:
        if self.score_threshold < self.min_score:
            raise ValueError(
                f"score_threshold {self.score_threshold:g} is below min_score {self.min_score:g}, and weaker ones are "
                "not kept: lower min_score too"
            )
        return self
