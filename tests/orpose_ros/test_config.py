"""The node's configuration: names, launch arguments, ROS values, descriptors."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from rcl_interfaces.msg import ParameterDescriptor

from orpose_models.errors import ConfigError
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.settings import build_settings
from orpose_ros.config import DYNAMIC_PARAMETERS, NodeConfig, parameter_from_text, ros_value
from orpose_ros.parameters import descriptor_of


def descriptor(name: str) -> ParameterDescriptor:
    return descriptor_of(name, NodeConfig.model_fields[name])


def test_every_runtime_option_is_a_parameter():
    assert set(RuntimeConfig.model_fields) <= set(NodeConfig.model_fields)


@pytest.mark.parametrize("name", NodeConfig.model_fields)
def test_parameters_are_described_and_read_only_unless_dynamic(name):
    assert descriptor(name).description
    assert descriptor(name).read_only == (name not in DYNAMIC_PARAMETERS)


def test_the_readme_says_which_parameters_may_change():
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"May change while the node runs: ([^;]*);", text)
    patterns = re.findall(r"`([^`]+)`", sentence)
    named = {name for name in NodeConfig.model_fields if any(fnmatch(name, pattern) for pattern in patterns)}
    assert named == DYNAMIC_PARAMETERS


def test_ranges_and_choices():
    assert (descriptor("downsample").floating_point_range[0].from_value, descriptor("downsample").dynamic_typing) == (
        1,
        True,
    )
    assert descriptor("downsample").floating_point_range[0].to_value == 12
    assert descriptor("threads").integer_range[0].to_value == 1024
    assert descriptor("qos").additional_constraints == "one of auto, sensor_data, reliable"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ""), ((640, 480), "640x480"), (("a", "b"), ["a", "b"]), (True, True), (1.5, 1.5)],
)
def test_ros_values(value, expected):
    assert ros_value(value) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("downsample", "12", 12.0),
        ("cameras", '["cam1", "cam2"]', ["cam1", "cam2"]),
        ("cameras", "[cam1, cam2]", ["cam1", "cam2"]),
        ("cameras", "cam1", ["cam1"]),
        ("compressed", "true", True),
        ("compressed", "False", False),
        ("frame_size", "640x480", "640x480"),
        ("model", "012", "012"),
    ],
)
def test_launch_arguments(name, text, expected):
    assert parameter_from_text(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("downsample", "13", "downsample: got '13'"),
        ("qos", "besteffort", "qos: got 'besteffort'"),
        ("cameras", "[]", "cameras"),
        ("cameras", "[/abs]", "'/abs' is no relative ROS name"),
        ("cameras", "[kamera_süd]", "'kamera_süd' is no relative ROS name"),
        ("cameras", "[a, a]", "named twice"),
        ("compressed", "perhaps", "compressed: got 'perhaps'"),
        ("frame_size", "640", "WIDTHxHEIGHT"),
    ],
)
def test_bad_launch_arguments_are_one_line(name, text, expected):
    with pytest.raises(ConfigError) as caught:
        parameter_from_text(name, text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"tf": True, "tracking": False}, "tf needs tracking"),
        ({"tf": True, "tracking": False, "fuse": True}, ""),
        ({"score_threshold": 0.02}, "score_threshold 0.02 is below min_score 0.05"),
        ({"min_score": 0.3}, "track_low_score 0.2 is below min_score 0.3"),
        ({"min_score": 0.3, "tracking": False}, ""),
        ({"cameras": ["cam1", "room"], "fuse": True}, "'room'"),
        ({"cameras": ["cam1", "room"]}, ""),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(values, expected):
    if not expected:
        build_settings(NodeConfig, values, "here")
        return
    with pytest.raises(ConfigError, match=expected):
        build_settings(NodeConfig, values, "here")
