"""The launch file declares and forwards; every default is the node's. Checked with a stand-in for launch itself."""

from __future__ import annotations

import importlib.util
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from orpose_models.bags import write_image_bag
from orpose_models.errors import ConfigError
from orpose_models.settings import build_settings
from orpose_ros.config import NodeConfig
from orpose_ros.player import build_parser

ROOT = Path(__file__).resolve().parents[2]
#: ros.md: the same in every launch file.
REQUIRED = {
    "namespace", "cameras", "model", "backend", "downsample", "frame_size", "compressed", "qos", "params_file",
    "use_sim_time", "autostart",
}  # fmt: skip


@dataclass
class Recorded:
    """Stands in for a launch action or substitution: keeps its arguments."""

    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


class LaunchConfiguration(Recorded):
    def perform(self, context: dict[str, str]) -> str:
        return context[self.args[0]]


def _recorder(base: type = Recorded):
    class Action(base):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(args, kwargs)

    return Action


@pytest.fixture(params=sorted((ROOT / "launch").glob("*.launch.py")), ids=lambda path: path.name)
def launch_file(request, monkeypatch):
    contents = {
        "launch": {"LaunchContext": dict, "LaunchDescription": _recorder()},
        "launch.actions": {name: _recorder() for name in ("DeclareLaunchArgument", "OpaqueFunction", "Shutdown")},
        "launch.substitutions": {"LaunchConfiguration": _recorder(LaunchConfiguration)},
        "launch_ros": {},
        "launch_ros.actions": {"Node": _recorder()},
    }
    for name, attributes in contents.items():
        module = types.ModuleType(name)
        module.__dict__.update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("launch_file", request.param)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def declared(launch_file) -> dict[str, Recorded]:
    (entities,) = launch_file.generate_launch_description().args
    return {entity.args[0]: entity for entity in entities if "default_value" in entity.kwargs}


def start(launch_file, **given: str) -> dict[str, Any]:
    defaults = {name: argument.kwargs["default_value"] for name, argument in declared(launch_file).items()}
    (node,) = launch_file.start_node(defaults | given)
    return node.kwargs


def test_declares_the_common_arguments_with_descriptions(launch_file):
    assert set(declared(launch_file)) >= REQUIRED
    assert all(argument.kwargs["description"] for argument in declared(launch_file).values())


def test_parameters_exist_in_the_configuration(launch_file):
    assert set(launch_file.PARAMETERS) <= set(NodeConfig.model_fields)
    for name in launch_file.PARAMETERS:
        assert declared(launch_file)[name].kwargs["description"] == NodeConfig.model_fields[name].description


def test_nothing_given_leaves_the_nodes_defaults(launch_file):
    node = start(launch_file)
    assert node["parameters"] == [{}]
    assert node["remappings"] == []
    assert (node["package"], node["executable"], node["name"]) == ("orpose", "orpose_node", "orpose")


def test_given_arguments_win_over_the_parameter_file(launch_file):
    node = start(launch_file, params_file="x.yaml", downsample="12", cameras="[cam1, cam2]", use_sim_time="true")
    assert node["parameters"] == [
        "x.yaml",
        {"cameras": ["cam1", "cam2"], "downsample": 12.0, "use_sim_time": True},
    ]


def test_a_value_that_does_not_fit_is_refused(launch_file):
    with pytest.raises(ConfigError, match="downsample"):
        start(launch_file, downsample="lots")


def test_a_drivers_topics_become_remappings(launch_file):
    node = start(launch_file, camera_topics="realsense", cameras="[left, right]")
    assert ("left/image_raw", "/left/left/color/image_raw") in node["remappings"]
    assert ("right/depth/image_raw", "/right/right/aligned_depth_to_color/image_raw") in node["remappings"]


@pytest.mark.parametrize("launch_file", [ROOT / "launch/replay.launch.py"], indirect=True, ids=lambda path: path.name)
def test_a_recording_is_played_as_the_nodes_first_camera(launch_file, tmp_path):
    image = np.zeros((4, 4, 3), np.uint8)
    write_image_bag(tmp_path / "bag", [image], "/or1/image_raw/compressed", [10**18])
    given = {name: "" for name in declared(launch_file)}
    given |= {"bag": str(tmp_path / "bag"), "cameras": "[left, right]", "rate": "max", "namespace": "ward"}
    (node,) = launch_file.start_node(given)
    assert node.kwargs["parameters"] == [{"cameras": ["left", "right"], "compressed": True}]
    (player,) = launch_file.start_player(given)
    words = [str(tmp_path / "bag"), "--topic", "/or1/image_raw/compressed", "--camera", "left", "--rate", "max"]
    assert player.kwargs["arguments"] == words
    assert (player.kwargs["executable"], player.kwargs["namespace"]) == ("orpose_player", "ward")
    args = build_parser().parse_args(words)
    assert (args.camera, args.rate) == ("left", None)


@pytest.mark.parametrize(
    "launch_file", [ROOT / "launch/multi_camera.launch.py"], indirect=True, ids=lambda path: path.name
)
def test_a_calibration_is_there_to_fuse_with(launch_file):
    given = {"cameras": "[left, right]", "calibration": "room.json", "moved_deg": "3"}
    assert start(launch_file, **given)["parameters"] == [
        {"cameras": ["left", "right"], "fuse": True, "calibration": "room.json", "moved_deg": 3.0}
    ]
    assert start(launch_file, cameras="[left, right]", fuse="false")["parameters"][0]["fuse"] is False


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_parameter_files_fit_the_configuration(path):
    parameters = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    build_settings(NodeConfig, parameters, str(path))
    assert "backend" in parameters, "nothing falls back silently: the file names the backend"


@pytest.mark.parametrize("path", sorted((ROOT / "config/cameras").glob("*.yaml")), ids=lambda path: path.name)
def test_camera_files_name_topics_we_use(path):
    assert set(yaml.safe_load(path.read_text())) <= {"image_raw", "camera_info", "depth/image_raw"}


def test_the_launch_argument_names_every_camera_file(launch_file):
    names = sorted(path.stem for path in (ROOT / "config/cameras").glob("*.yaml"))
    assert ", ".join(names) in declared(launch_file)["camera_topics"].kwargs["description"]


@pytest.mark.parametrize(
    ("driver", "image"),
    [
        ("azure_kinect", "/rgb/image_raw"),
        ("realsense", "/cam1/cam1/color/image_raw"),
        ("rtsp", "/cam1/camera/image_raw"),
        ("usb_cam", "/image_raw"),
        ("zed", "/cam1/cam1/rgb/color/rect/image"),
    ],
)
def test_each_drivers_image_topic(launch_file, driver, image):
    assert ("cam1/image_raw", image) in start(launch_file, camera_topics=driver, cameras="cam1")["remappings"]
