"""Building: colcon finds both packages the ways the README says, and the build script mends what it must."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COLCON = Path(sysconfig.get_path("scripts")) / "colcon"

needs_colcon = pytest.mark.skipif(not COLCON.exists(), reason="colcon is not installed in this environment")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A colcon workspace with the packages' build files under src/orpose, as in a clone."""
    clone = tmp_path / "src" / "orpose"
    shutil.copytree(ROOT / "ros_ws/src/orpose_msgs", clone / "ros_ws/src/orpose_msgs")
    (clone / "ros_ws/src/orpose").symlink_to("../..")
    for name in ("package.xml", "setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, clone / name)
    return tmp_path


def colcon_list(folder: Path, *options: str) -> list[str]:
    log = str(folder.resolve() / "log")
    ended = subprocess.run(
        [COLCON, "--log-base", log, "list", "--names-only", *options], cwd=folder, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return sorted(ended.stdout.split())


@needs_colcon
def test_naming_both_folders(workspace):
    options = ("--base-paths", "src", "src/orpose/ros_ws/src/orpose_msgs")
    assert colcon_list(workspace, *options) == ["orpose", "orpose_msgs"]


@needs_colcon
def test_a_link_beside_the_clone(workspace):
    (workspace / "src/orpose_msgs").symlink_to("orpose/ros_ws/src/orpose_msgs")
    assert colcon_list(workspace) == ["orpose", "orpose_msgs"]


@needs_colcon
def test_inside_ros_ws(workspace):
    assert colcon_list(workspace / "src/orpose/ros_ws") == ["orpose", "orpose_msgs"]


@needs_colcon
def test_without_either_the_messages_are_not_found(workspace):
    """The reason for the README's advice; when this changes, the advice can go."""
    assert colcon_list(workspace) == ["orpose"]


def test_colcon_can_read_the_metadata():
    """It evaluates the repr of what setuptools knows."""
    code = (
        "import ast, warnings; warnings.simplefilter('ignore')\n"
        "from distutils.core import run_setup\n"
        "import setuptools\n"
        "dist = run_setup('setup.py', script_args=('--dry-run',), stop_after='config')\n"
        "ast.literal_eval(repr((dist.python_requires, dist.metadata.python_requires, dist.data_files)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import setuptools\n" + code], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def load_script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "ros_ws" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_paths_of_the_wheels_build_machine_are_mended(tmp_path):
    file = tmp_path / "std_msgs/cmake/export_std_msgs__rosidl_generator_pyExport.cmake"
    file.parent.mkdir(parents=True)
    file.write_text(
        'INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp311-cp311/include/python3.11;'
        '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"'
    )
    load_script("build_msgs").mend_python_paths(tmp_path)
    include, packages = sysconfig.get_path("include"), sysconfig.get_path("purelib")
    assert file.read_text() == f'INTERFACE_INCLUDE_DIRECTORIES "{include};{packages}/numpy/_core/include"'


@pytest.mark.parametrize(
    ("version", "machine", "expected"),
    [
        ((3, 11, 0), "x86_64", None),
        ((3, 9, 1), "x86_64", "expected 3.10 to 3.13"),
        ((3, 14, 0), "x86_64", "expected 3.10 to 3.13"),
        ((3, 12, 0), "aarch64", "Linux on x86-64 only"),
    ],
)
def test_python_is_checked(monkeypatch, version, machine, expected):
    script = load_script("check_python")
    monkeypatch.setattr(script.sys, "version_info", version)
    monkeypatch.setattr(script.platform, "machine", lambda: machine)
    problem = script.find_problem()
    assert (problem is None) if expected is None else (expected in problem)


def test_make_targets_run_nothing_twice(tmp_path):
    """With both stamps newer than what they were made from, `make demo` only plays."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, clone / name)
    shutil.copytree(ROOT / "ros_ws", clone / "ros_ws", symlinks=True, ignore=shutil.ignore_patterns("build", "log"))
    (clone / ".venv").mkdir()
    for stamp in (".installed", ".messages"):
        (clone / ".venv" / stamp).touch()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    ended = subprocess.run(
        ["make", "--dry-run", "demo", "SAMPLE=a bag"], cwd=clone, capture_output=True, text=True, env=environment
    )
    assert ended.stdout.splitlines() == [".venv/bin/orpose replay 'a bag' --out out/demo "], ended.stderr
