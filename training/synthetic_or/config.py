"""What `orpose synth` makes: the only home of its defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from orpose_models.settings import Settings
from training.synthetic_or.scenes.room_file import RoomFile, load_room

_SMALLEST_PX, _LARGEST_PX = 64, 4096


class SynthConfig(Settings):
    """One synthetic data set; the same values give the same bytes on the same kind of CPU and package versions."""

    domain: Literal["or", "everyday"] = Field(
        "or", description="operating room, or the everyday domain that stands for COCO"
    )
    images: int = Field(
        100,
        ge=1,
        le=10_000_000,
        description="number of images; a scene gives one a view and moment, and sequences are not cut",
    )
    seed: int = Field(0, ge=0, description="scene k is drawn from (seed, k), whatever the number of workers")
    size: str = Field("640x480", description=f"image size, WIDTHxHEIGHT px, {_SMALLEST_PX} to {_LARGEST_PX}")
    views: int = Field(3, ge=1, le=6, description="synchronized cameras a scene")
    cameras: Literal["mvor", "ceiling", "fisheye", "mixed"] = Field(
        "mixed",
        description="family of cameras: MVOR's, wide ceiling lenses, overhead fisheyes (in everyday rooms as well), or "
        "a mixture (everyday: eye level)",
    )
    room: RoomFile | None = Field(
        None,
        description="room.yaml of the own operating room (config/rooms/); its cameras, if any, give the views",
        json_schema_extra={"metavar": "FILE"},
    )
    depth: bool = Field(True, description="write depth (16 bit, mm) and instance ids as PNG as well")
    sequence: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="length of each scene's sequence (s); 0: single moments",
        json_schema_extra={"metavar": "SECONDS"},
    )
    fps: float = Field(10.0, gt=0, le=240, description="frames a second of a sequence")
    jpeg_quality: int = Field(92, ge=30, le=100, description="quality of the stored images")

    @field_validator("size")
    @classmethod
    def _size_is_sensible(cls, size: str) -> str:
        if not re.fullmatch(r"[0-9]{1,9}x[0-9]{1,9}", size):
            raise ValueError("expected WIDTHxHEIGHT, such as 640x480")
        if not all(_SMALLEST_PX <= int(side) <= _LARGEST_PX for side in size.split("x")):
            raise ValueError(f"expected a width and height from {_SMALLEST_PX} to {_LARGEST_PX}")
        return size

    @field_validator("room", mode="before")
    @classmethod
    def _read_room(cls, room: Any) -> Any:
        return load_room(room) if isinstance(room, str | Path) else room

    @model_validator(mode="after")
    def _room_fits(self) -> SynthConfig:
        if self.room is None:
            return self
        if self.domain != "or":
            raise ValueError("room: only for operating rooms; leave out --domain everyday")
        self.room.require_aspect(self.image_size)
        if fixed := len(self.room.cameras):
            if "views" in self.model_fields_set and self.views != fixed:
                raise ValueError(f"views: got {self.views}: the room file has {fixed} cameras; leave out --views")
            if "cameras" in self.model_fields_set:
                raise ValueError(f"cameras: got {self.cameras!r}: the room file has its own; leave out --cameras")
            object.__setattr__(self, "views", fixed)
        return self

    @model_validator(mode="after")
    def _sequence_has_frames(self) -> SynthConfig:
        if self.sequence and self.frames < 2:
            raise ValueError(
                f"sequence: {self.sequence:g} s at {self.fps:g} frames/s are fewer than 2 frames; give a longer "
                "sequence or more fps"
            )
        return self

    @property
    def image_size(self) -> tuple[int, int]:
        width, height = (int(side) for side in self.size.split("x"))
        return width, height

    @property
    def frames(self) -> int:
        """Moments a scene."""
        return max(1, round(self.sequence * self.fps))

    @property
    def num_scenes(self) -> int:
        return -(-self.images // (self.views * self.frames))

    @property
    def num_images(self) -> int:
        """`images`, or those of whole sequences."""
        return self.num_scenes * self.views * self.frames if self.sequence else self.images
