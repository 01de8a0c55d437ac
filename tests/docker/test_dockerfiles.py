"""The Dockerfiles, as far as that goes without an engine: lint, files they copy, pins, users, health checks."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COLCON = Path(sysconfig.get_path("scripts")) / "colcon"
BUILDERS_ONLY = {"build-essential", "cmake", "git", "ninja-build", "python3-dev", "python3-pip", "python3-venv"}


def lint(hadolint: str, path: Path) -> tuple[int, str]:
    ended = subprocess.run([hadolint, "--no-color", str(path)], cwd=ROOT, capture_output=True, text=True)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "docker").glob("Dockerfile.*")), ids=lambda path: path.name)
def test_hadolint_finds_nothing(hadolint, path):
    assert lint(hadolint, path) == (0, "")


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("FROM ubuntu", "DL3006"),  # no tag
        ("FROM quay.io/someone/image:1", "DL3026"),  # a registry we do not trust
        ("RUN pip install numpy", "DL3013"),  # no version
        ("RUN apt-get update && apt-get install -y --no-install-recommends curl", "DL3009"),  # lists stay in the layer
        ("USER root", "DL3066"),
        ("RUN echo $UNQUOTED", "SC2086"),  # the shell, too
    ],
)
def test_hadolint_finds_what_is_wrong(hadolint, tmp_path, line, rule):
    """Nothing in .hadolint.yaml switches these off."""
    path = tmp_path / "Dockerfile"
    path.write_text(line + "\n" if line.startswith("FROM") else f"FROM docker.io/library/ubuntu:24.04\n{line}\n")
    code, text = lint(hadolint, path)
    assert code != 0
    assert rule in text


def test_base_images_have_a_tag(dockerfile):
    outside = [base for base in dockerfile.bases.values() if base not in dockerfile.bases]
    assert outside
    assert [base for base in outside if not re.search(r":(?!latest)[\w.-]+(@sha256:[0-9a-f]{64})?$", base)] == []


def test_images_run_as_a_user_and_say_whether_they_are_well(dockerfile):
    assert dockerfile.images
    for stage in dockerfile.images:
        assert dockerfile.inherited(stage, "USER")[-1] == "1000", stage
        assert dockerfile.of(stage, "HEALTHCHECK"), stage


def test_compilers_and_pip_stay_in_the_builders(dockerfile):
    for stage in dockerfile.images:
        assert BUILDERS_ONLY & set(dockerfile.debian_packages(dockerfile.chain(stage))) == set(), stage


def test_images_with_ros_have_the_ros_packages_that_package_xml_names(all_dockerfiles):
    """But for those of ros-core, and on a Jetson cv_bridge: not needed, and it brings an OpenCV beside NVIDIA's."""
    ros_core = {"launch", "launch_ros"}
    text = (ROOT / "package.xml").read_text(encoding="utf-8")
    names = set(re.findall(r"<exec_depend>((?!python3-)\w+)</exec_depend>", text)) - ros_core
    assert {"cv_bridge", "tf2_msgs"} <= names
    for file, distribution in (("x86", "jazzy"), ("jetson", "humble")):
        dockerfile = all_dockerfiles[f"docker/Dockerfile.{file}"]
        for stage in dockerfile.images:
            have = dockerfile.debian_packages(dockerfile.chain(stage))
            wanted = names - ({"cv_bridge"} if file == "jetson" else set())
            assert {f"ros-{distribution}-{name.replace('_', '-')}" for name in wanted} <= set(have), (file, stage)


def test_the_training_image_knows_its_commit(all_dockerfiles):
    train = all_dockerfiles["docker/Dockerfile.train"]
    assert "COMMIT=" in train.of("train", "ARG")
    assert any(text.startswith("ORPOSE_COMMIT=") for text in train.of("train", "ENV"))


def copied(dockerfile) -> list[str]:
    """Paths in the repository that are copied into some stage."""
    found = []
    for item in dockerfile.instructions:
        words = [word for word in item.text.split() if not word.startswith("--")]
        if item.word == "COPY" and "--from=" not in item.text:
            found += words[:-1]
    return found


def patterns() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and line[0] != "#"]


def is_ignored(path: str) -> bool:
    """As Docker reads .dockerignore: the last match counts, and a pattern for a folder holds for all below it."""
    ignored = False
    for pattern in patterns():
        name = pattern.lstrip("!").removeprefix("**/")
        anywhere = pattern.startswith("**/") and name in path.split("/")
        if anywhere or fnmatch.fnmatch(path, name) or path.startswith(name + "/"):
            ignored = not pattern.startswith("!")
    return ignored


def test_what_is_copied_is_in_the_repository_and_in_the_build_context(dockerfile):
    assert copied(dockerfile)
    for source in copied(dockerfile):
        listing = subprocess.run(["git", "ls-files", "--", source], cwd=ROOT, capture_output=True, text=True)
        tracked = listing.stdout.split()
        assert tracked, f"{source} is not in the repository"
        assert [path for path in tracked if is_ignored(path)] == []


def test_the_build_context_holds_nothing_else():
    outside = [".git/config", ".venv/bin/python", "../shared/data", "data/x.png", "out/x", "tests/conftest.py"]
    assert [path for path in (*outside, "orpose/__pycache__/x.pyc") if not is_ignored(path)] == []
    assert not is_ignored("orpose/main.py")


def test_copies_between_stages_name_stages(dockerfile):
    sources = [match for item in dockerfile.instructions for match in re.findall(r"--from=(\S+)", item.text)]
    assert set(sources) <= set(dockerfile.bases)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


@pytest.mark.skipif(not COLCON.exists(), reason="colcon is not installed in this environment")
def test_the_copied_files_are_a_workspace_that_builds(all_dockerfiles, tmp_path):
    """Runs the COPY lines of the stage `workspace` and its colcon command here (the messages are there already)."""
    names = [name for name, dockerfile in all_dockerfiles.items() if "workspace" in dockerfile.bases]
    x86, jetson = (all_dockerfiles[name] for name in sorted(names, reverse=True))
    assert x86.of("workspace", "COPY") == jetson.of("workspace", "COPY")
    source, prefix = tmp_path / "src", tmp_path / "opt"
    for text in x86.of("workspace", "COPY"):
        *froms, to = text.split()
        for path in froms:
            copy(ROOT / path, source / to / Path(path).name if to.endswith("/") else source / to)
    (command,) = re.findall(r"colcon build .*", x86.of("workspace", "RUN")[-1])
    words = command.replace("/opt/orpose", str(prefix)).split()
    prefixes = {"AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    environment = {**os.environ, **prefixes, "PYTHONPATH": "", "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(
        [COLCON, *words[1:], "--packages-select", "orpose"], cwd=source, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    mentioned = {path for text in (x86, jetson) for item in text.instructions if item.word in ("CMD", "ENTRYPOINT")
                 for path in re.findall(r"/opt/orpose/(share/orpose/config/\w+\.yaml)", item.text)}  # fmt: skip
    mentioned -= {"share/orpose/config/foxglove.yaml"}  # the viewer's own
    expected = {"lib/orpose/orpose", "lib/orpose/orpose_node", "share/orpose/launch/pose.launch.py", *mentioned}
    assert {path for path in expected if not (prefix / path).exists()} == set()


def test_the_parser_itself(parse):
    text = (
        "# syntax=x\nARG TAG=1\nFROM a:${TAG} AS base\nRUN apt-get update \\\n    # why\n"
        '    && apt-get install --yes one \\\n        two\nRUN pip install --no-cache-dir three==1 "four @ git+https://x@0"\n'
        'FROM base AS end\nCOPY --chmod=755 x y /z/\nUSER 5\nCMD ["z"]\n'
    )
    parsed = parse(text)
    assert parsed.bases == {"base": "a:1", "end": "base"}
    assert parsed.images == ["end"]
    assert parsed.debian_packages() == ["one", "two"]
    assert parsed.pip_arguments() == ["three==1", "four @ git+https://x@0"]
    assert parsed.chain("end") == ["base", "end"]
    assert copied(parsed) == ["x", "y"]
    assert parse("FROM a AS b\nRUN pip install six").pip_arguments() == ["six"]


def test_commands_are_lists(dockerfile):
    """A command as text runs in a shell, which does not pass signals on: the node would be killed, not stopped."""
    for item in dockerfile.instructions:
        if item.word in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
            assert json.loads("[" + item.text.partition("[")[2])
