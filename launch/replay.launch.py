"""Plays a recording through the node, for a live look at it in RViz or Foxglove. Ends with the recording.

ros2 launch orpose replay.launch.py bag:=samples/or_clip rate:=0.5 downsample:=12

For metrics, a bag of the results and a report: `orpose replay`.
"""

import runpy
from pathlib import Path

from launch.actions import OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from orpose_models.runtime.bags import BagImages

#: The node is started as there, with the same arguments and those of the player.
POSE = runpy.run_path(str(Path(__file__).resolve().with_name("pose.launch.py")))
#: Arguments of the player, and what they mean.
PLAYER = {
    "bag": "rosbag2 folder, or .mcap or .db3 file; needed",
    "topic": "the bag's image topic; needed where it has several",
    "rate": "speed in times real time, or max: the next frame when the last one was answered",
}


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *POSE["declarations"](**PLAYER),
            OpaqueFunction(function=start_node),
            OpaqueFunction(function=start_player),
        ]
    )


def start_node(context: LaunchContext) -> list[Node]:
    """Of compressed images where the bag has such."""
    preset = {"compressed": str(_images(context).is_compressed).lower()} if _given(context, "bag") else {}
    return list(POSE["start_node"](context, tuple(PLAYER), **preset))


def start_player(context: LaunchContext) -> list[Node]:
    images = _images(context)
    camera = POSE["camera_names"](POSE["given_arguments"](context))[0]
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
