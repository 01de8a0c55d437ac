"""Starts the node. Declares arguments and forwards those that are given; every default is the node's own.

ros2 launch orpose pose.launch.py cameras:='[cam1, cam2]' downsample:=12 camera_topics:=realsense
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from orpose_models.errors import ConfigError
from orpose_models.settings import read_yaml_mapping
from orpose_ros.config import NodeConfig, parameter_from_text

NAME = "orpose"
#: Arguments that are parameters of the node: all that it has.
PARAMETERS = tuple(NodeConfig.model_fields)
#: Arguments that are not, and what they mean.
OTHERS = {
    "namespace": "put before all relative names",
    "params_file": "parameter file, such as config/x86_cpu.yaml; arguments that are given win over it",
    "camera_topics": "file of a camera driver's topic names, or the name of one in config/cameras: azure_kinect, "
    "realsense, rtsp, usb_cam, zed; for the cameras of `cameras`, or else of params_file",
    "use_sim_time": "true: take the time from /clock",
}
#: How alike an argument that nobody declared is to the one that was meant, 0 to 1.
_ALIKE = 0.8
#: Set by launch_ros for a pushed namespace.
_OF_LAUNCH = "ros_namespace"


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declarations(), OpaqueFunction(function=start_node)])


def declarations(**own: str) -> list[DeclareLaunchArgument]:
    """All arguments; `own` are the further ones, and what they mean, of a launch file that starts this node."""
    # An empty default means: not given. So a parameter file is not overridden by defaults.
    descriptions = {**own, **OTHERS, **{name: NodeConfig.model_fields[name].description for name in PARAMETERS}}
    return [DeclareLaunchArgument(name, default_value="", description=text) for name, text in descriptions.items()]


def start_node(context: LaunchContext, own: tuple[str, ...] = (), **preset: str) -> list[Node]:
    """The node; `own` are a launch file's further arguments, `preset` those of the node where none is given."""
    require_declared(context, (*own, *OTHERS, *PARAMETERS))
    tell_passed_on(context)
    given = preset | given_arguments(context)
    values = {name: parameter_from_text(name, given[name]) for name in PARAMETERS if name in given}
    if "use_sim_time" in given:
        values["use_sim_time"] = bool(yaml.safe_load(given["use_sim_time"]))
    node = Node(
        package="orpose",
        executable="orpose_node",
        name=NAME,
        namespace=given.get("namespace", ""),
        parameters=[*([given["params_file"]] if "params_file" in given else []), values],
        remappings=remappings(given["camera_topics"], camera_names(given)) if "camera_topics" in given else [],
        output="screen",
    )
    return [node]


def given_arguments(context: LaunchContext) -> dict[str, str]:
    names = (*OTHERS, *PARAMETERS)
    return {name: text for name in names if (text := LaunchConfiguration(name).perform(context)) != ""}


def require_declared(context: LaunchContext, declared: tuple[str, ...]) -> None:
    """launch takes a misspelt argument in silence, and the one that was meant keeps its default: `downsample`, say.

    The arguments of a launch file that includes this one are here too: what is nearly one of ours is refused where it
    was typed, else it is a warning.
    """
    for name in context.launch_configurations:
        near = difflib.get_close_matches(name, declared, n=1, cutoff=_ALIKE)
        if not near or name in (*declared, _OF_LAUNCH):
            continue
        said = f"launch argument: '{name}' is not declared; did you mean '{near[0]}'?"
        if name in _typed(context):
            raise ConfigError(
                f"{said} (Of a launch file that includes this one: rename it, or include this one in a GroupAction "
                "with forwarding=False)"
            )
        get_logger(NAME).warning(said)


def tell_passed_on(context: LaunchContext) -> None:
    """launch hands all arguments of a launch file that includes this one on to it, its own `model` or `overlay` too.

    Nothing tells them from those meant for this node: so they are said.
    """
    passed = [f"{name}:={text}" for name, text in given_arguments(context).items() if name not in _typed(context)]
    if passed:
        get_logger(NAME).info(
            f"launch arguments of the launch file that includes this one: {' '.join(passed)} (where they are not meant "
            "for this node, include it in a GroupAction with forwarding=False)"
        )


def _typed(context: LaunchContext) -> set[str]:
    return {word.partition(":=")[0] for word in context.argv}


def camera_names(given: Mapping[str, str]) -> list[str]:
    """The node's cameras, as the arguments or their parameter file name them.

    Raises:
        ConfigError: The file cannot be read, or names several.
    """
    if "cameras" in given:
        return list(parameter_from_text("cameras", given["cameras"]))
    found = list(_cameras_in(read_yaml_mapping(given["params_file"]))) if "params_file" in given else []
    if any(cameras != found[0] for cameras in found):
        raise ConfigError(
            f"{given['params_file']}: cameras of several nodes; say which ones camera_topics is for: cameras:="
        )
    return [str(camera) for camera in found[0]] if found else list(NodeConfig().cameras)


def _cameras_in(tree: Mapping[str, Any], node: str = "") -> Iterator[list[str]]:
    """`cameras` of all nodes of a parameter file that may be ours: those of that name, and /**."""
    for name, below in tree.items():
        if name == "ros__parameters" and node in (NAME, "**") and "cameras" in below:
            yield below["cameras"]
        elif isinstance(below, Mapping) and name != "ros__parameters":
            yield from _cameras_in(below, str(name).rpartition("/")[2])


def remappings(topics_file: str, cameras: list[str]) -> list[tuple[str, str]]:
    """Pairs of our topic name and the driver's; in the file, {camera} stands for the camera's name.

    Raises:
        ConfigError: The file cannot be read, or two cameras would have one topic.
    """
    path = Path(topics_file)
    if not path.suffix:
        path = Path(__file__).resolve().parent.parent / "config" / "cameras" / f"{topics_file}.yaml"
    topics = read_yaml_mapping(path)
    pairs = [
        (f"{camera}/{ours}", theirs.format(camera=camera)) for camera in cameras for ours, theirs in topics.items()
    ]
    if len({theirs for _, theirs in pairs}) < len(pairs):
        raise ConfigError(
            f"{path}: {', '.join(cameras)} would read one topic, {pairs[0][1]}: it is for one camera; give a file of "
            "your own with {camera} in its names"
        )
    return pairs
