"""The launch file declares and forwards; every default is the node's. Checked with a stand-in for launch itself."""

from __future__ import annotations

import importlib.util
import logging
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


class LaunchContext(dict):
    """The arguments' values by name; all of them were typed, unless `argv` says otherwise."""

    def __init__(self, values: dict[str, str], argv: list[str] | None = None) -> None:
        super().__init__(values)
        self.argv = [f"{name}:={value}" for name, value in values.items()] if argv is None else argv

    @property
    def launch_configurations(self) -> dict[str, str]:
        return self


def _recorder(base: type = Recorded):
    class Action(base):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(args, kwargs)

    return Action


@pytest.fixture(params=sorted((ROOT / "launch").glob("*.launch.py")), ids=lambda path: path.name)
def launch_file(request, monkeypatch):
    contents = {
        "launch": {"LaunchContext": LaunchContext, "LaunchDescription": _recorder()},
        "launch.actions": {name: _recorder() for name in ("DeclareLaunchArgument", "OpaqueFunction", "Shutdown")},
        "launch.logging": {"get_logger": logging.getLogger},
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
    (node,) = launch_file.start_node(LaunchContext(defaults | given))
    return node.kwargs


def test_declares_the_common_arguments_with_descriptions(launch_file):
    assert set(declared(launch_file)) >= REQUIRED
    assert all(argument.kwargs["description"] for argument in declared(launch_file).values())


def test_every_parameter_is_an_argument(launch_file):
    arguments = declared(launch_file)
    for name, parameter in NodeConfig.model_fields.items():
        assert arguments[name].kwargs["description"] == parameter.description


@pytest.mark.parametrize("name", ["downsampl", "down_sample", "downsampling", "frame-size", "camera", "param_file"])
def test_a_misspelt_argument_is_refused(launch_file, name):
    with pytest.raises(ConfigError, match=rf"'{name}' is not declared; did you mean"):
        start(launch_file, **{name: "12"})


def test_a_nearly_right_argument_of_a_launch_file_that_includes_ours_is_a_warning(launch_file, caplog):
    defaults = {name: argument.kwargs["default_value"] for name, argument in declared(launch_file).items()}
    (node,) = launch_file.start_node(LaunchContext({**defaults, "camera": "cam1"}, argv=[]))
    assert node.kwargs["parameters"] == [{}]
    assert "'camera' is not declared; did you mean 'cameras'?" in caplog.text


def test_arguments_that_another_launch_file_passes_on_are_told(launch_file, caplog):
    """Its own `model` reaches the node as if it had been typed: launch has no way to tell which one was meant."""
    caplog.set_level(logging.INFO)
    defaults = {name: argument.kwargs["default_value"] for name, argument in declared(launch_file).items()}
    (node,) = launch_file.start_node(LaunchContext({**defaults, "model": "b.onnx"}, argv=["threads:=1", "model.py"]))
    assert node.kwargs["parameters"] == [{"model": "b.onnx"}]
    assert "of the launch file that includes this one: model:=b.onnx (" in caplog.text
    caplog.clear()
    launch_file.start_node(LaunchContext({**defaults, "model": "b.onnx"}, argv=["model:=b.onnx"]))
    assert not caplog.text


@pytest.mark.parametrize("name", ["ros_namespace", "camera_name", "enable_depth", "publish_tf", "rviz", "node_name"])
def test_arguments_of_a_launch_file_that_includes_ours_are_let_be(launch_file, name):
    assert start(launch_file, **{name: "x"})["parameters"] == [{}]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"overlay": "true", "tf": "True"}, {"overlay": True, "tf": True}),
        ({"torch_device": "cuda", "min_score": "0.6"}, {"torch_device": "cuda", "min_score": 0.6}),
    ],
    ids=["switches", "what goes with others in the parameter file"],
)
def test_values_of_the_rarer_arguments(launch_file, given, expected):
    assert start(launch_file, **given)["parameters"] == [expected]


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


PARAMETERS = "{ros__parameters: {cameras: %s}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/**: " + PARAMETERS % "[left, right]", ["left", "right"]),
        ("orpose: " + PARAMETERS % "[left]", ["left"]),
        ("/or1/orpose: " + PARAMETERS % "[left]", ["left"]),
        ("or1: {orpose: " + PARAMETERS % "[left]" + "}", ["left"]),
        ("other: " + PARAMETERS % "[left]", ["camera"]),
        ("/**: {ros__parameters: {downsample: 4.0}}", ["camera"]),
    ],
)
def test_a_drivers_topics_are_for_the_cameras_of_the_parameter_file(launch_file, tmp_path, text, expected):
    (tmp_path / "p.yaml").write_text(text)
    node = start(launch_file, camera_topics="rtsp", params_file=str(tmp_path / "p.yaml"))
    assert [ours for ours, _ in node["remappings"] if "image" in ours] == [f"{name}/image_raw" for name in expected]


def test_a_parameter_file_of_several_nodes_needs_the_argument(launch_file, tmp_path):
    (tmp_path / "p.yaml").write_text(f"/a/orpose: {PARAMETERS % '[x]'}\n/b/orpose: {PARAMETERS % '[y]'}\n")
    given = {"camera_topics": "rtsp", "params_file": str(tmp_path / "p.yaml")}
    with pytest.raises(ConfigError, match="cameras of several nodes"):
        start(launch_file, **given)
    assert start(launch_file, cameras="x", **given)["remappings"]


def test_two_cameras_on_one_topic_are_refused(launch_file):
    with pytest.raises(ConfigError, match=r"usb_cam.yaml: cam1, cam2 would read one topic, /image_raw"):
        start(launch_file, camera_topics="usb_cam", cameras="[cam1, cam2]")


@pytest.mark.parametrize("launch_file", [ROOT / "launch/replay.launch.py"], indirect=True, ids=lambda path: path.name)
def test_a_recording_is_played_as_the_nodes_first_camera(launch_file, tmp_path):
    image = np.zeros((4, 4, 3), np.uint8)
    write_image_bag(tmp_path / "bag", [image], "/or1/image_raw/compressed", [10**18])
    given = LaunchContext({name: "" for name in declared(launch_file)})
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
        ("zed", "/cam1/zed_node/rgb/color/rect/image"),
    ],
)
def test_each_drivers_image_topic(launch_file, driver, image):
    assert ("cam1/image_raw", image) in start(launch_file, camera_topics=driver, cameras="cam1")["remappings"]
