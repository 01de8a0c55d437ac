"""Every package the Dockerfiles name: pinned, and there. What cannot be asked for here is listed in docs/deploy.md."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from orpose_models.runtime.backends import import_library

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "docker").glob("requirements-*.txt"))
FILES_BY_NAME = {path.stem.removeprefix("requirements-"): path for path in FILES}
PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.!+]+)|[\w.-]+ @ git\+https://\S+@[0-9a-f]{40}")
#: Requirements file -> what pip would run as where it is installed.
TARGETS = {"requirements-x86.txt": ("3.12", "x86_64", 39), "requirements-jetson.txt": ("3.10", "aarch64", 35)}
#: On the index as sources only; tensorrt-cu12-libs fetches NVIDIA's libraries from NVIDIA while it is built.
SOURCES_ONLY = {"antlr4-python3-runtime", "fvcore", "iopath", "tensorrt-cu12-libs"}
#: What orpose itself needs.
BASE = [text for text in importlib.metadata.requires("orpose") or [] if "extra ==" not in text]
BEGIN, END = "<!-- not checked -->", "<!-- end -->"


def pins(path: Path) -> dict[str, str]:
    """Package -> version of a requirements file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    matches = {line: PIN.fullmatch(line) for line in lines}
    assert [line for line, match in matches.items() if not match] == [], f"{path.name}: not pinned"
    return {match["name"]: match["version"] for match in matches.values() if match}


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--timeout",
        "10",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def index() -> None:
    if pip("index", "versions", "pip").returncode != 0:
        pytest.skip("the package index does not answer")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_pip_package_is_pinned(path):
    assert pins(path)


def test_commands_name_no_package_without_a_version(dockerfile):
    assert [argument for argument in dockerfile.pip_arguments() if not PIN.fullmatch(argument)] == []


@pytest.mark.timeout(590)  # pip, on a busy computer
@pytest.mark.parametrize("name", TARGETS)
def test_what_runs_the_node_is_there_for_its_platform_and_fits_together(index, name, tmp_path):
    """There are wheels of all of them; with their needs and those of pyproject.toml nothing is left open."""
    python, machine, glibc = TARGETS[name]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(17, glibc + 1)] + [f"manylinux2014_{machine}"]
    ended = pip(
        *("install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--target", str(tmp_path)),
        *("--only-binary", ":all:", "--python-version", python),
        *(word for platform in platforms for word in ("--platform", platform)),
        *("--report", str(tmp_path / "report.json"), "--requirement", str(ROOT / "docker" / name)),
    )
    assert ended.returncode == 0, ended.stderr
    packages = [item["metadata"] for item in json.loads((tmp_path / "report.json").read_text())["install"]]
    have = {normalised(package["name"]): package["version"] for package in packages}
    needs = [need for package in packages for need in package.get("requires_dist", [])] + BASE
    there = {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine, "extra": ""}
    for need in map(Requirement, needs):
        if need.marker is None or need.marker.evaluate(there):
            assert need.specifier.contains(have[normalised(need.name)]), need
    assert have["numpy"].startswith("1."), "cv_bridge of ROS 2 Humble and Jazzy crashes with numpy 2"


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def is_installed(name: str, version: str) -> bool:
    try:
        return importlib.metadata.version(name).partition("+")[0] == version
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.timeout(590)
def test_the_other_pip_packages_are_there(index, all_dockerfiles, tmp_path):
    """Those in the same version as here are known to be; pip is asked for the rest."""
    wanted = {**pins(ROOT / "docker/requirements-train.txt"), **pins(ROOT / "docker/requirements-tensorrt.txt")}
    arguments = [argument for dockerfile in all_dockerfiles.values() for argument in dockerfile.pip_arguments()]
    wanted |= dict(argument.split("==") for argument in arguments if "==" in argument)
    asked = {name: version for name, version in wanted.items() if not is_installed(name, version)}
    wheels = [f"{name}=={version}" for name, version in asked.items() if name not in SOURCES_ONLY]
    ended = pip(
        *("install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--target", str(tmp_path)),
        *("--only-binary", ":all:", "--python-version", "3.12", *wheels),
    )
    assert ended.returncode == 0, ended.stderr
    for name in SOURCES_ONLY:
        versions = pip("index", "versions", name).stdout
        assert re.search(rf"\b{re.escape(wanted[name])}(,|$)", versions, re.M), f"{name}=={wanted[name]}"


def test_the_tensorrt_that_is_installed_has_a_module_that_the_backend_imports(index, tmp_path, monkeypatch):
    """`--no-deps` leaves out the package whose module is called `tensorrt`."""
    name = "tensorrt-cu12-bindings"
    ended = pip(
        *("download", "--quiet", "--no-deps", "--dest", str(tmp_path), "--only-binary", ":all:"),
        *("--python-version", "3.12", "--platform", "manylinux_2_28_x86_64"),
        f"{name}=={pins(FILES_BY_NAME['tensorrt'])[name]}",
    )
    assert ended.returncode == 0, ended.stderr
    (wheel,) = tmp_path.glob("*.whl")
    modules = {path.split("/")[0] for path in zipfile.ZipFile(wheel).namelist() if path.endswith("/__init__.py")}
    for module in modules:  # in their place: they cannot be imported without a GPU's libraries
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").touch()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.syspath_prepend(tmp_path)
    found = import_library("tensorrt").__name__
    del sys.modules[found]
    assert found in modules


def test_the_training_image_has_what_the_extras_ask_for():
    have = {normalised(name): version for name, version in pins(FILES_BY_NAME["train"]).items()}
    for text in importlib.metadata.requires("orpose") or []:
        requirement = Requirement(text)
        extras = ("", "train", "export", "evaluate", "teacher", "synth", "ray")
        if requirement.name != "orpose" and any(
            not requirement.marker or requirement.marker.evaluate({"extra": extra}) for extra in extras
        ):
            assert requirement.specifier.contains(have[normalised(requirement.name)]), text


def test_every_debian_package_is_there(all_dockerfiles):
    """Asked of this computer's own Debian or Ubuntu; ROS' packages are in none of them."""
    names = {name for dockerfile in all_dockerfiles.values() for name in dockerfile.debian_packages()}
    names -= set(ros_packages(all_dockerfiles))
    if not shutil.which("apt-cache"):
        pytest.skip("no apt here")
    found = subprocess.run(["apt-cache", "policy", *sorted(names)], capture_output=True, text=True).stdout
    candidates = dict(re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (.*)", found, re.M))
    if "500 http" not in found:
        pytest.skip("no package lists here: apt-get update has not run")
    assert {name for name in names if candidates.get(name, "(none)") == "(none)"} == set()


def ros_packages(all_dockerfiles) -> list[str]:
    """Packages of packages.ros.org: ROS itself and colcon."""
    names = {name for dockerfile in all_dockerfiles.values() for name in dockerfile.debian_packages()}
    return sorted(name for name in names if name.startswith(("ros-", "python3-colcon-")))


def test_what_is_not_checked_is_written_down(all_dockerfiles):
    bases = {base for item in all_dockerfiles.values() for base in item.bases.values() if base not in item.bases}
    nvidia = {f"{name}=={version}" for name, version in pins(FILES_BY_NAME["tensorrt"]).items() if "libs" in name}
    downloads = {url for item in all_dockerfiles.values() for step in item.instructions
                 for url in re.findall(r"https://github.com/\S+?(?=[\"\s@]|\.git|$)", step.text)}  # fmt: skip
    expected = bases | nvidia | set(ros_packages(all_dockerfiles)) | downloads
    text = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    listed = re.findall(r"`([^`]+)`", text[text.index(BEGIN) : text.index(END, text.index(BEGIN))])
    assert sorted(listed) == sorted(expected)
