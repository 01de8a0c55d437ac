"""Configuration of the node: the runtime's, and what only the node needs. The only home of its defaults."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from orpose_models.runtime.config import RuntimeConfig

QosName = Literal["auto", "sensor_data", "reliable"]

#: Parameters that may change while the node runs; all others are read-only.
DYNAMIC_PARAMETERS = frozenset({"score_threshold", "watchdog_s", "overlay"})

_RELATIVE_NAME = re.compile(r"[A-Za-z]\w*(/[A-Za-z]\w*)*")


class NodeConfig(RuntimeConfig):
    """Every field is a ROS parameter of the same name."""

    cameras: tuple[str, ...] = Field(
        default=("camera",),
        min_length=1,
        description="camera names: images come from {camera}/image_raw, answers go to orpose/{camera}/persons",
    )
    compressed: bool = Field(
        default=False, description="subscribe to {camera}/image_raw/compressed (JPEG or PNG) instead of raw images"
    )
    qos: QosName = Field(
        default="auto",
        description="reliability of the image subscription; auto: reliable where every publisher offers it, else best "
        "effort",
    )
    watchdog_s: float = Field(
        default=5.0, ge=0.1, le=3600.0, description="time without an image, s, after which diagnostics warn"
    )
    overlay: bool = Field(
        default=False, description="publish the image, at the resolution privacy allows, with the skeletons drawn on it"
    )
    autostart: bool = Field(default=True, description="configure and activate at start-up, without a lifecycle manager")

    @field_validator("cameras")
    @classmethod
    def _are_topic_names(cls, cameras: tuple[str, ...]) -> tuple[str, ...]:
        for camera in cameras:
            if not _RELATIVE_NAME.fullmatch(camera):
                raise ValueError(f"'{camera}' is no relative ROS name, expected letters, digits, _ and / such as cam1")
        if len(set(cameras)) < len(cameras):
            raise ValueError("a camera is named twice")
        return cameras
