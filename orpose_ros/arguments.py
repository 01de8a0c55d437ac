"""Command line of `orpose_node`: ROS arguments and --help, nothing else."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

from orpose_models.errors import ConfigError
from orpose_ros.config import NodeConfig, ros_value

_USAGE = """usage: orpose_node [--help] [--ros-args ...]

Camera images in, persons with 2D and 3D joints out. Everything is set by ROS arguments:

  orpose_node --ros-args -p cameras:='[cam1, cam2]' -p downsample:=12
  orpose_node --ros-args --params-file config/x86_cpu.yaml
  orpose_node --ros-args -r camera/image_raw:=/usb_cam/image_raw -r __ns:=/or1

Parameters and their defaults:
"""


def usage() -> str:
    """What `orpose_node --help` prints."""
    lines = []
    for name, field in NodeConfig.model_fields.items():
        text = f"{name} ({json.dumps(ros_value(field.default))}): {field.description}"
        lines += textwrap.wrap(text, width=100, initial_indent="  ", subsequent_indent="      ")
    return "\n".join([_USAGE, *lines])


def require_ros_arguments(words: Sequence[str]) -> None:
    """Of the command line, without the program: what is no ROS argument would have no effect.

    Raises:
        ConfigError: There is such a word, `downsample:=12` without `--ros-args -p` for example.
    """
    if others := not_for_ros(words):
        raise ConfigError(
            f"arguments: got '{others[0]}', expected ROS arguments: --ros-args -p NAME:=VALUE; see --help"
        )


def not_for_ros(words: Sequence[str]) -> list[str]:
    """The words outside of `--ros-args ... --`; the last `--` may be missing."""
    others, is_for_ros = [], False
    for word in words:
        if word == "--ros-args":
            is_for_ros = True
        elif is_for_ros:
            is_for_ros = word != "--"
        else:
            others.append(word)
    return others
