"""Starts the node for several cameras of one room, and fuses what they see where their calibration is given.

ros2 launch orpose multi_camera.launch.py cameras:='[cam1, cam2, cam3]' calibration:=calibration.json

Without a calibration file, fuse:=true takes lenses from camera_info and poses from TF.
"""

import runpy
from pathlib import Path

from launch.actions import OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

#: The node is started as there, with the same arguments.
POSE = runpy.run_path(str(Path(__file__).resolve().with_name("pose.launch.py")))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*POSE["declarations"](), OpaqueFunction(function=start_node)])


def start_node(context: LaunchContext) -> list[Node]:
    """A calibration that is given is there to fuse with."""
    preset = {"fuse": "true"} if LaunchConfiguration("calibration").perform(context) else {}
    return list(POSE["start_node"](context, **preset))
