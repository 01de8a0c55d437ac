"""Plays a recording through the node, for a live look at it in RViz or Foxglove. Ends with the recording.

ros2 launch orpose replay.launch.py bag:=samples/or_clip rate:=0.5 downsample:=12

For metrics, a bag of the results and a report: `orpose replay`.
"""

import runpy
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from orpose_models.runtime.bags import BagImages
from orpose_ros.config import NodeConfig, parameter_from_text

#: The node is started as there, with the same arguments.
POSE = runpy.run_path(str(Path(__file__).resolve().with_name("pose.launch.py")))
PARAMETERS = POSE["PARAMETERS"]
#: Arguments of the player, and what they mean.
PLAYER = {
    "bag": "rosbag2 folder, or .mcap or .db3 file; needed",
    "topic": "the bag's image topic; needed where it has several",
    "rate": "speed in times real time, or max: the next frame when the last one was answered",
}


def generate_launch_description() -> LaunchDescription:
    arguments = [DeclareLaunchArgument(name, default_value="", description=text) for name, text in PLAYER.items()]
    pose = [
        DeclareLaunchArgument(
            name, default_value="", description=POSE["OTHERS"].get(name) or NodeConfig.model_fields[name].description
        )
        for name in (*PARAMETERS, *POSE["OTHERS"])
    ]
    return LaunchDescription(
        [*arguments, *pose, OpaqueFunction(function=start_node), OpaqueFunction(function=start_player)]
    )


def start_node(context: LaunchContext) -> list[Node]:
    """Of compressed images where the bag has such."""
    preset = {"compressed": str(_images(context).is_compressed).lower()} if _given(context, "bag") else {}
    return list(POSE["start_node"](context, **preset))


def start_player(context: LaunchContext) -> list[Node]:
    images, cameras = _images(context), _given(context, "cameras")
    camera = parameter_from_text("cameras", cameras)[0] if cameras else NodeConfig().cameras[0]
    arguments = [str(images.path), "--topic", str(images.topic), "--camera", camera]
    if rate := _given(context, "rate"):
        arguments += ["--rate", rate]
    player = Node(
        package="orpose",
        executable="orpose_player",
        name="orpose_player",
        namespace=_given(context, "namespace"),
        arguments=arguments,
        output="screen",
        on_exit=Shutdown(reason="the recording has ended"),
    )
    return [player]


def _images(context: LaunchContext) -> BagImages:
    """Raises InputError where there is no such bag."""
    return BagImages(Path(_given(context, "bag")), _given(context, "topic") or None)


def _given(context: LaunchContext, name: str) -> str:
    return str(LaunchConfiguration(name).perform(context))
