"""The launch files run by the real launch and launch_ros, where they are installed.

They are on no package index: source ROS 2 from apt, or put their repositories' packages on PYTHONPATH. Without them
test_launch.py still compares what the files declare with the configuration, with stand-ins for launch.
"""

from __future__ import annotations

import array
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from orpose_msgs.msg import PersonArray
from rcl_interfaces.srv import GetParameters
from rclpy import create_node
from rclpy.parameter import parameter_value_to_python
from sensor_msgs.msg import Image

from orpose_ros.config import NodeConfig, ros_value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("launch_ros") is None,
    reason="launch and launch_ros are not installed; test_launch.py checks the files' arguments without them",
)

#: Launch file -> arguments that it needs, parameters that they change, and topics that all it starts publishes at last.
NEEDED: dict[str, tuple[list[str], dict[str, Any], list[str]]] = {
    "pose.launch.py": ([], {}, ["orpose/camera/stats"]),
    "multi_camera.launch.py": (
        ["cameras:=[left, right]"],
        {"cameras": ["left", "right"]},
        ["orpose/left/stats", "orpose/right/stats"],
    ),
    "replay.launch.py": (
        [f"bag:={ROOT / 'samples/or_clip'}"],
        {"compressed": True},
        ["orpose/camera/stats", "camera/image_raw/compressed"],
    ),
}

#: Includes a launch file in a namespace, as users compose them: FILE NAMESPACE [NAME:=VALUE ...]
COMPOSED = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import GroupAction, IncludeLaunchDescription, SetLaunchConfiguration
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace

file, namespace, *words = sys.argv[1:]
arguments = [tuple(word.split(":=", 1)) for word in words]
include = IncludeLaunchDescription(PythonLaunchDescriptionSource(file), launch_arguments=arguments)
service = LaunchService(argv=words)
patience = SetLaunchConfiguration("sigterm_timeout", "60")  # after Ctrl-C, on a busy machine
service.include_launch_description(LaunchDescription([patience, GroupAction([PushRosNamespace(namespace), include])]))
sys.exit(service.run())
"""
#: What a launch file declares: NAME<tab>DEFAULT<tab>DESCRIPTION lines.
SHOW_ARGUMENTS = """
import sys
from launch.launch_description_sources import get_launch_description_from_python_launch_file as read
from launch.utilities import perform_substitutions
from launch import LaunchContext
for argument in read(sys.argv[1]).get_launch_arguments():
    default = perform_substitutions(LaunchContext(), argument.default_value)
    print(argument.name, default, " ".join(argument.description.split()), sep="\\t")
"""


@pytest.fixture(scope="session")
def prefix(tmp_path_factory) -> Path:
    """What `colcon build` installs of this package, as far as launch looks at it: index, share and executables."""
    prefix = tmp_path_factory.mktemp("prefix")
    share, executables = prefix / "share/orpose", prefix / "lib/orpose"
    for folder in (prefix / "share/ament_index/resource_index/packages", share, executables):
        folder.mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/orpose").touch()
    for name in ("launch", "config", "rviz", "package.xml"):
        (share / name).symlink_to(ROOT / name)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, entry in project["scripts"].items():
        script = executables / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {entry.split(":")[0]} "$@"\n')
        script.chmod(0o755)
    return prefix


@pytest.fixture
def launch(prefix) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs a script with launch in a process group that does not outlive the test."""
    started: list[subprocess.Popen[str]] = []
    environment = os.environ | {
        "AMENT_PREFIX_PATH": f"{prefix}{os.pathsep}{os.environ.get('AMENT_PREFIX_PATH', sys.prefix)}",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }

    def run(script: str, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def parameters_of(ros, client_node: Any, node: str) -> dict[str, Any]:
    """All configuration parameters of a running node."""
    client = client_node.create_client(GetParameters, f"{node}/get_parameters")
    ros.until(client.service_is_ready, timeout_s=120)
    future = client.call_async(GetParameters.Request(names=list(NodeConfig.model_fields)))
    ros.until(future.done)
    values = [parameter_value_to_python(value) for value in future.result().values]
    return dict(zip(NodeConfig.model_fields, values, strict=True))


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_declared_arguments_leave_every_default_to_the_configuration(launch, path):
    output, _ = launch(SHOW_ARGUMENTS, str(path)).communicate(timeout=60)
    declared = dict(line.split("\t", 1) for line in output.splitlines())
    assert {"namespace", "params_file", "use_sim_time", "cameras", "downsample"} <= set(declared), output
    for name in set(declared) & set(NodeConfig.model_fields):
        default, description = declared[name].split("\t")
        assert (default, description) == ("", NodeConfig.model_fields[name].description)


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_the_node_has_the_configurations_defaults(ros, launch, namespace, path):
    """The README's tables are made from the same configuration model (tests/test_readme.py)."""
    words, changed, topics = NEEDED[path.name]
    process = launch(COMPOSED, str(path), namespace, *words)
    reader = ros.add(create_node("reader", namespace=namespace))
    found = parameters_of(ros, reader, f"{namespace}/orpose")
    assert found == {name: ros_value(field.default) for name, field in NodeConfig.model_fields.items()} | changed
    ros.until(lambda: all(reader.count_publishers(topic) for topic in topics), timeout_s=60)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: launch itself passes Ctrl-C on to nobody
    output, _ = process.communicate(timeout=30)
    assert "process has finished cleanly" in output and "Traceback" not in output, output


def test_composed_with_a_drivers_topics(ros, launch, namespace, fake_model, tmp_path):
    """Two RealSense cameras, a parameter file, an argument that wins over it, all below a pushed namespace."""
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(f"/**:\n  ros__parameters: {{model: {fake_model}, threads: 1, downsample: 4.0}}\n")
    words = ("cameras:=[left, right]", "downsample:=2", "camera_topics:=realsense", f"params_file:={parameters}")
    launch(COMPOSED, str(ROOT / "launch/pose.launch.py"), namespace, *words)
    node = ros.add(create_node("viewer", namespace=namespace))
    found = parameters_of(ros, node, f"{namespace}/orpose")
    assert (found["cameras"], found["downsample"], found["threads"]) == (["left", "right"], 2.0, 1)
    answers: list[PersonArray] = []
    node.create_subscription(PersonArray, "orpose/right/persons", answers.append, 10)
    driver = node.create_publisher(Image, "/right/right/color/image_raw", 10)
    ros.until(lambda: driver.get_subscription_count() == 1)
    pixels = np.zeros((48, 64, 3), np.uint8)
    image = Image(height=48, width=64, encoding="bgr8", step=192, data=array.array("B", pixels.tobytes()))

    def answered() -> bool:
        driver.publish(image)
        return bool(answers)

    ros.until(answered)
    assert answers[0].downsample == 2.0


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("downsample:=13", "launch argument: downsample: got '13'"),
        ("downsampl:=12", "launch argument: 'downsampl' is not declared; did you mean 'downsample'?"),
    ],
)
def test_an_argument_that_does_not_fit_ends_the_launch_with_its_name(launch, namespace, word, problem):
    process = launch(COMPOSED, str(ROOT / "launch/pose.launch.py"), namespace, word)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert problem in output
