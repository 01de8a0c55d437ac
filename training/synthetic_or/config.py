"""What `orpose synth` makes: the only home of its defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SynthConfig(BaseModel):
    """One synthetic data set; the same values give the same bytes on the same kind of CPU and package versions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: Literal["or", "everyday"] = Field(
        "or", description="operating room, or the everyday domain that stands for COCO"
    )
    images: int = Field(100, ge=1, description="number of images; a scene gives one a view")
    seed: int = Field(0, ge=0, description="scene k is drawn from (seed, k), whatever the number of workers")
    size: str = Field("640x480", pattern=r"^\d+x\d+$", description="image size, WIDTHxHEIGHT px")
    views: int = Field(2, ge=1, le=6, description="synchronized cameras a scene")
    depth: bool = Field(False, description="also write depth (16 bit, mm) and instance ids as PNG")
    jpeg_quality: int = Field(92, ge=30, le=100, description="quality of the stored images")

    @property
    def image_size(self) -> tuple[int, int]:
        width, height = (int(value) for value in self.size.split("x"))
        return width, height

    @property
    def num_scenes(self) -> int:
        return -(-self.images // self.views)
