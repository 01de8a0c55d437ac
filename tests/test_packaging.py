"""What is in the repository and what gets installed from it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("orpose", "orpose_models", "orpose_ros", "training")
MB = 1_000_000

#: Paths and hosts of somebody's machine, which a clone does not have. Written so that this file does not match itself.
MACHINE_TRACES = {
    "a home or work folder": re.compile(r"(?<![\w.])/(?:root|home/\w+|work|Users/\w+)/\w"),
    "a folder with packages": re.compile(r"/opt/(?:pypi|wheels)"),
    "a package index": re.compile(r"--(?:extra-)?index[-]url|--find[-]links|\bPIP_(?:INDEX_URL|FIND_LINKS)\b"),
    "a private address": re.compile(r"(?<!==)\b(?:10\.\d+|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b"),
}


def _git_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


TRACKED = _git_files()
needs_git = pytest.mark.skipif(not TRACKED, reason="not a git checkout: there is no list of tracked files")


@pytest.fixture(scope="module")
def setuptools_table() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> set[str]:
    """Paths of all files that an installation of the tracked tree would hold."""
    source = tmp_path_factory.mktemp("source")
    for path in TRACKED:
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build", "--build-lib", "out"]
    ended = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return {str(path.relative_to(source / "out")) for path in (source / "out").rglob("*") if path.is_file()}


def test_every_package_is_listed(setuptools_table):
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert sorted(setuptools_table["packages"]) == sorted(found)


@needs_git
def test_every_file_of_the_packages_is_installed(built):
    expected = {str(path.relative_to(ROOT)) for path in TRACKED if path.relative_to(ROOT).parts[0] in PACKAGES}
    assert built == expected


def test_tests_and_launch_files_are_no_packages():
    folders = ("tests", "launch", "config", "docs")
    assert [path for folder in folders for path in (ROOT / folder).rglob("__init__.py")] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_init_files_only_reexport(package):
    def is_reexport(node: ast.stmt) -> bool:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
        return is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom)

    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / package).rglob("__init__.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if not is_reexport(node)
    ]
    assert wrong == []


@needs_git
def test_no_traces_of_a_machine():
    wrong = []
    for path in TRACKED:
        lines = path.read_bytes().decode("utf-8", errors="replace").splitlines()  # pictures and weights, too
        for number, line in enumerate(lines, 1):
            kinds = [kind for kind, pattern in MACHINE_TRACES.items() if pattern.search(line)]
            wrong += [f"{path.relative_to(ROOT)}:{number}: {kind}: {line.strip()[:80]}" for kind in kinds]
    assert wrong == []


@needs_git
def test_tracked_files_are_small():
    def total(*folders: str) -> int:
        return sum(p.stat().st_size for p in TRACKED if str(p.relative_to(ROOT)).startswith(folders))

    assert total("orpose_models/weights/") < 30 * MB
    assert total("samples/") < 10 * MB
    pictures = total("docs/")
    assert pictures < 10 * MB
    everything = sum(path.stat().st_size for path in TRACKED)
    assert everything - pictures - total("orpose_models/weights/") < 15 * MB, "code, labels and sample data"


@needs_git
def test_no_tracked_file_is_huge():
    limits = {path: 16 * MB if path.parent.name == "weights" else 8 * MB for path in TRACKED}
    assert [str(path.relative_to(ROOT)) for path, limit in limits.items() if path.stat().st_size > limit] == []


@needs_git
def test_python_files_stay_readable():
    lengths = {p: p.read_text(encoding="utf-8").count("\n") for p in TRACKED if p.suffix == ".py"}
    assert {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > 400} == {}


@needs_git
def test_nothing_is_pickled():
    suffixes = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
    assert [str(path.relative_to(ROOT)) for path in TRACKED if path.suffix in suffixes] == []


def test_package_xml_and_pyproject_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package_xml = (ROOT / "package.xml").read_text(encoding="utf-8")
    assert f"<name>{project['name']}</name>" in package_xml
    assert f"<version>{project['version']}</version>" in package_xml
    assert "Apache-2.0" in package_xml
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("environment", [".venv", ".venv-dev"])
def test_make_says_that_it_installs_before_pip_falls_silent(environment):
    dry_run = ["make", "--dry-run", "--always-make", f"{environment}/.installed"]
    lines = subprocess.run(dry_run, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    said, begun = (next(i for i, line in enumerate(lines) if word in line) for word in ("minutes", "-m venv"))
    assert said < begun
