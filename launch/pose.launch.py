"""Starts the node. Declares arguments and forwards those that are given; every default is the node's own.

ros2 launch orpose pose.launch.py cameras:='[cam1, cam2]' downsample:=12 camera_topics:=realsense
"""

from pathlib import Path

import yaml
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from orpose_ros.config import NodeConfig, parameter_from_text

#: Arguments that are parameters of the node.
PARAMETERS = ("cameras", "model", "backend", "downsample", "frame_size", "compressed", "qos", "autostart")
#: Arguments that are not, and what they mean.
OTHERS = {
    "namespace": "put before all relative names",
    "params_file": "parameter file, such as config/x86_cpu.yaml; arguments that are given win over it",
    "camera_topics": "file of a camera driver's topic names, or the name of one in config/cameras: azure_kinect, "
    "realsense, rtsp, usb_cam, zed",
    "use_sim_time": "true: take the time from /clock",
}


def generate_launch_description() -> LaunchDescription:
    # An empty default means: not given. So a parameter file is not overridden by defaults.
    descriptions = {name: NodeConfig.model_fields[name].description or "" for name in PARAMETERS} | OTHERS
    arguments = [DeclareLaunchArgument(name, default_value="", description=text) for name, text in descriptions.items()]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_node)])


def start_node(context: LaunchContext, parameters: tuple[str, ...] = PARAMETERS, **preset: str) -> list[Node]:
    """The node; `parameters` are those that are declared, `preset` arguments for where none is given."""
    given = preset | {
        name: text for name in (*parameters, *OTHERS) if (text := LaunchConfiguration(name).perform(context)) != ""
    }
    values = {name: parameter_from_text(name, given[name]) for name in parameters if name in given}
    if "use_sim_time" in given:
        values["use_sim_time"] = bool(yaml.safe_load(given["use_sim_time"]))
    node = Node(
        package="orpose",
        executable="orpose_node",
        name="orpose",
        namespace=given.get("namespace", ""),
        parameters=[*([given["params_file"]] if "params_file" in given else []), values],
        remappings=remappings(given.get("camera_topics", ""), values.get("cameras", NodeConfig().cameras)),
        output="screen",
    )
    return [node]


def remappings(topics_file: str, cameras: list[str]) -> list[tuple[str, str]]:
    """Pairs of our topic name and the driver's; in the file, {camera} stands for the camera's name."""
    if not topics_file:
        return []
    path = Path(topics_file)
    if not path.suffix:
        path = Path(__file__).resolve().parent.parent / "config" / "cameras" / f"{topics_file}.yaml"
    topics = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [(f"{camera}/{ours}", theirs.format(camera=camera)) for camera in cameras for ours, theirs in topics.items()]
