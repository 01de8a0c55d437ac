"""What `orpose bench` measures: the only home of these defaults."""

from __future__ import annotations

from pydantic import Field

from orpose_models.runtime.config import RuntimeConfig, Size
from orpose_models.settings import Settings

_RUNTIME = RuntimeConfig.model_fields


class BenchConfig(Settings):
    """What is measured, and how often."""

    backends: str = Field(default="onnxruntime", description="comma-separated backends, measured in turns")
    all_backends: bool = Field(default=False, description="all backends that are installed")
    keep_going: bool = Field(default=False, description="leave out what cannot be or does not start, with the reason")
    presets: str = Field(
        default="",
        description="comma-separated presets with random weights, exported on first use, in --model's place",
    )
    sizes: str = Field(default="", description="comma-separated input and frame sizes of --presets, empty = --size")
    batches: str = Field(default="1", description="comma-separated images per call of --presets")
    precisions: str = Field(
        default="fp32",
        description="comma-separated precisions, fp32 and fp16, of exported --presets; torch: --torch-precisions",
    )
    providers: str = Field(
        default=_RUNTIME["provider"].default,
        description="comma-separated providers of backend onnxruntime: cpu, cuda, tensorrt",
    )
    buckets: bool = Field(default=False, description="also the two-graph form of --presets, run for --persons")
    torch_devices: str = Field(
        default=_RUNTIME["torch_device"].default,
        description="comma-separated devices of backend torch and of torchvision's network",
    )
    torch_modes: str = Field(
        default=_RUNTIME["torch_mode"].default,
        description="comma-separated modes of backend torch, see `orpose run -h`",
    )
    torch_precisions: str = Field(
        default=_RUNTIME["torch_precision"].default, description="comma-separated precisions of backend torch"
    )
    threads: int = Field(default=2, ge=0, le=1024, description="processor threads of each, 0 = all cores")
    size: Size = Field(
        default=(640, 480), description="size of the camera frames in px", json_schema_extra={"metavar": "WxH"}
    )
    frames: int = Field(default=200, ge=1, description="calls measured of each, over all rounds")
    warmup: int = Field(default=20, ge=0, description="calls before that which are not counted")
    rounds: int = Field(default=5, ge=1, le=100, description="rounds in which all take turns")
    peer: bool = Field(
        default=False, description="measure torchvision's eager keypointrcnn_resnet50_fpn (random weights), too"
    )
    peers: bool = Field(default=False, description="measure torchvision's and YOLO11n/s-pose, those that are installed")
    yolo_onnx: str = Field(
        default="", description="comma-separated exported YOLO pose graphs, empty = ultralytics exports"
    )
    persons: int = Field(
        default=8, ge=1, le=100, description="people in view: slots that torchvision and two-graph models run"
    )
    peer_frames: int = Field(
        default=15, ge=1, description="calls measured of torchvision's, and at most of what takes over 100 ms"
    )
    peer_warmup: int = Field(default=2, ge=0, description="of these, the calls before that which are not counted")
    roofline: bool = Field(default=False, description="compare with the measured ceilings of the processor or GPU")
