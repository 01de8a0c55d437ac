"""The command line of `orpose_node`."""

from __future__ import annotations

import pytest

from orpose_ros.arguments import not_for_ros
from orpose_ros.config import NodeConfig
from orpose_ros.node import main


def test_help_names_every_parameter_and_starts_nothing(capsys, monkeypatch):
    monkeypatch.setattr("rclpy.init", lambda **_: pytest.fail("started"))
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "--ros-args -p cameras:=" in text
    assert [name for name in NodeConfig.model_fields if f"\n  {name} (" not in text] == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["downsample:=12"], "got 'downsample:=12', expected ROS arguments: --ros-args -p NAME:=VALUE"),
        (["--ros-args", "-r", "__ns:=/or1", "--", "cam1"], "got 'cam1'"),
        (["--ros-args", "-p", "downsample:12"], "Couldn't parse parameter override rule: '-p downsample:12'"),
        (["--ros-args", "--params-file", "missing.yaml"], "missing.yaml"),
        (["--ros-args", "--zoom"], "--zoom"),
    ],
)
def test_arguments_that_ros_does_not_read_are_refused(capsys, words, expected):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("orpose_node: arguments: ")
    assert error.count("\n") == 1
    assert expected in error


def test_what_launch_adds_is_all_for_ros():
    """As launch_ros composes it: name, namespace, a file for each source of parameters, remappings."""
    words = "--ros-args -r __node:=orpose -r __ns:=/or1 --params-file /tmp/a --params-file /tmp/b -r image:=/usb/image"
    assert not_for_ros(words.split()) == []
    assert not_for_ros(["a", "--ros-args", "-p", "x:=1", "--", "b", "--ros-args", "-p", "y:=2"]) == ["a", "b"]
