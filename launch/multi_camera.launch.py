"""Starts the node for several cameras of one room, and fuses what they see where their calibration is given.

ros2 launch orpose multi_camera.launch.py cameras:='[cam1, cam2, cam3]' calibration:=calibration.json

Without a calibration file, fuse:=true takes lenses from camera_info and poses from TF.
"""

import runpy
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from orpose_ros.config import NodeConfig

#: The node is started as there, with the same arguments and a few more.
POSE = runpy.run_path(str(Path(__file__).resolve().with_name("pose.launch.py")))
PARAMETERS = (*POSE["PARAMETERS"], "fuse", "calibration", "room_frame", "sync_tolerance_ms", "moved_deg")


def generate_launch_description() -> LaunchDescription:
    descriptions = {name: NodeConfig.model_fields[name].description or "" for name in PARAMETERS} | POSE["OTHERS"]
    arguments = [DeclareLaunchArgument(name, default_value="", description=text) for name, text in descriptions.items()]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_node)])


def start_node(context: LaunchContext) -> list[Node]:
    """A calibration that is given is there to fuse with."""
    preset = {"fuse": "true"} if LaunchConfiguration("calibration").perform(context) else {}
    return list(POSE["start_node"](context, PARAMETERS, **preset))
