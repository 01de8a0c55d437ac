"""In CI nothing may be left out for lack of a package: elsewhere such tests are skipped, there that would be a hole."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.environ.get("CI") != "true", reason="not in CI (CI=true)")


@pytest.mark.parametrize(
    "module",
    [
        "torch",
        "torchvision",
        "onnxscript",
        "openvino",
        "pycocotools",
        "trackeval",
        "plotly",
        pytest.param("rerun", marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="not made for this Python")),
        "embreex",
        "rclpy",
        "orpose_msgs",
    ],
)
def test_the_package_is_installed(module):
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("command", ["colcon", "hadolint"])
def test_the_command_is_installed(command):
    assert (Path(sys.executable).parent / command).exists()
