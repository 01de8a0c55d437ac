"""Configuration of the node: the runtime's, and what only the node needs. The only home of its defaults."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, create_model, model_validator

from orpose_models.depth import SYNC_MS
from orpose_models.people import PeopleConfig
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.settings import Settings, build_settings

QosName = Literal["auto", "sensor_data", "reliable"]

#: Parameters that may change while the node runs; all others are read-only.
DYNAMIC_PARAMETERS = frozenset(
    {
        "score_threshold",
        "max_fps",
        "watchdog_s",
        "overlay",
        "joint_threshold",
        "depth_sync_ms",
        *PeopleConfig.model_fields,
    }
)

_RELATIVE_NAME = re.compile(r"[A-Za-z]\w*(/[A-Za-z]\w*)*", re.ASCII)


def _camera_names(cameras: tuple[str, ...]) -> tuple[str, ...]:
    for camera in cameras:
        if not _RELATIVE_NAME.fullmatch(camera):
            raise ValueError(f"'{camera}' is no relative ROS name, expected letters, digits, _ and / such as cam1")
    if len(set(cameras)) < len(cameras):
        raise ValueError("a camera is named twice")
    return cameras


class NodeConfig(RuntimeConfig, PeopleConfig):
    """Every field is a ROS parameter of the same name."""

    cameras: Annotated[tuple[str, ...], AfterValidator(_camera_names)] = Field(
        default=("camera",),
        min_length=1,
        description="camera names: images come from {camera}/image_raw, answers go to orpose/{camera}/persons",
    )
    compressed: bool = Field(
        default=False,
        description="subscribe to {camera}/image_raw/compressed (JPEG or PNG) instead of raw images; a remapped "
        "{camera}/image_raw takes it along",
    )
    qos: QosName = Field(
        default="auto",
        description="reliability of the image subscription; auto: reliable where every publisher offers it, else best "
        "effort",
    )
    max_fps: float = Field(
        default=0.0,
        ge=0.0,
        le=1000.0,
        description="images a second, of each camera, that are answered at most; others are dropped before any work; "
        "0: no limit",
    )
    watchdog_s: float = Field(
        default=5.0, ge=0.1, le=3600.0, description="time without an image, s, after which diagnostics warn"
    )
    overlay: bool = Field(
        default=False, description="publish the image, at the resolution privacy allows, with the skeletons drawn on it"
    )
    tracking: bool = Field(
        default=True, description="give people identities over time (track_id) and smooth their joints"
    )
    depth: bool = Field(
        default=True,
        description="use {camera}/depth/image_raw, registered to the image (16UC1 mm or 32FC1 m), where somebody "
        "publishes it: joints in metres",
    )
    depth_sync_ms: float = Field(
        default=SYNC_MS,
        ge=0.0,
        le=1000.0,
        description="time, ms, that a depth image may differ from its image; 0: equal stamps only",
    )
    tf: bool = Field(
        default=False,
        description="publish a TF frame {frame}/person_{track}/{joint} for each joint whose place in metres is known; "
        "needs tf2_msgs, and tracking or fuse",
    )
    joint_threshold: float = Field(
        default=0.3, ge=0.0, le=1.0, description="joint score from which on a joint gets a TF frame"
    )
    fuse: bool = Field(
        default=False,
        description="fuse what several cameras see into people in the room, orpose/room/persons; needs a calibration",
    )
    calibration: str = Field(
        default="",
        description="file of the cameras' intrinsics and poses, of `orpose calibrate` or MVOR's; empty = from "
        "{camera}/camera_info and TF",
    )
    room_frame: str = Field(default="room", min_length=1, description="TF frame of people in the room")
    sync_tolerance_ms: float = Field(
        default=50.0, ge=1.0, le=1000.0, description="largest difference of stamps, ms, of images that are fused"
    )
    moved_deg: float = Field(
        default=2.0,
        ge=0.2,
        le=30.0,
        description="turn of a camera, degrees, from which on diagnostics warn that it was moved",
    )
    autostart: bool = Field(default=True, description="configure and activate at start-up, without a lifecycle manager")

    @model_validator(mode="after")
    def _settings_fit_together(self) -> NodeConfig:
        """One without an effect would go unnoticed, and so would people under the name of others."""
        if self.tf and not (self.tracking or self.fuse):
            raise ValueError("tf needs tracking (or fuse): frames are named after tracks")
        if self.fuse and "room" in self.cameras:
            raise ValueError("cameras: 'room' is taken with fuse: its topics are those of the fused people; rename it")
        if self.tracking and self.track_low_score < self.min_score:
            raise ValueError(
                f"track_low_score {self.track_low_score:g} is below min_score {self.min_score:g}, and weaker boxes "
                "are not kept: lower min_score, or raise track_low_score to it"
            )
        return self


def ros_value(value: Any) -> Any:
    """A configuration value as a ROS parameter value: no size is "", a size is WIDTHxHEIGHT."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        is_size = all(isinstance(part, int) for part in value)
        return "x".join(str(part) for part in value) if is_size else list(value)
    return value


def parameter_from_text(name: str, text: str) -> Any:
    """A launch argument as the value of the parameter of that name: `12` for a number, `[cam1, cam2]` for names.

    Whether it goes with the other parameters is seen by the node, which knows those of the parameter file too.

    Raises:
        ConfigError: A text that does not fit the parameter.
    """
    field = NodeConfig.model_fields[name]
    is_list = isinstance(field.default, tuple)
    value = yaml.safe_load(text) if is_list or field.annotation is bool else text
    if is_list and not isinstance(value, list):
        value = [value]
    fields: dict[str, Any] = {name: (field.annotation, field)}
    alone = create_model("Argument", __base__=Settings, **fields)
    return ros_value(getattr(build_settings(alone, {name: value}, "launch argument"), name))
