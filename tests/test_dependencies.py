"""The dependency direction: training → orpose_models ← orpose_ros ← launch; only `orpose` sees both sides."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("orpose", "orpose_models", "orpose_ros", "training")

#: Package -> our other packages it may import.
MAY_IMPORT = {
    "orpose_models": set(),
    "training": {"orpose_models"},
    "orpose_ros": {"orpose_models"},
    "orpose": {"orpose_models", "orpose_ros", "training"},
    "launch": {"orpose_models", "orpose_ros"},
}
#: What comes with ROS 2; only the ROS package (and launch files) may import it.
ROS_MODULES = re.compile(r"rclpy|launch(_ros)?|ament_\w+|cv_bridge|tf2_\w+|rosbag2_py|\w+_(msgs|srvs|interfaces)")
#: What the light installation does not have, and the only parts of the light packages that are torch by nature.
HEAVY_MODULES = {"torch", "torchvision", "onnx", "onnxscript", "safetensors", "training"}
LIGHT_PACKAGES = ("orpose_models", "orpose_ros", "launch")
TORCH_PARTS = (
    "orpose_models/network/",
    "orpose_models/export/",
    "orpose_models/checkpoints/",
    "orpose_models/runtime/backend_torch",
)
#: Import name -> distribution name, where they differ.
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "tensorrt_rtx_bindings": "tensorrt-rtx-cu13-bindings",
    "rerun": "rerun-sdk",
}
#: Used where it is installed, but on no package index; or installed without its dependencies (Makefile).
NOT_ON_PYPI = {"detectron2", "trackeval"}


def python_files(folder: str) -> list[Path]:
    path = ROOT / folder
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@cache
def imported_modules(path: Path, top_level_only: bool = False) -> list[tuple[int, str]]:
    """Line and full name of every imported module; `from a import b` counts as `a.b`, so that submodules are seen."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = []
    for node in _nodes(tree, top_level_only):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*parents, node.module)) if node.module else ".".join(parents)
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def _nodes(tree: ast.Module, top_level_only: bool) -> list[ast.AST]:
    """All nodes, or those that run at import: outside functions and `if TYPE_CHECKING`."""
    if not top_level_only:
        return list(ast.walk(tree))
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        is_type_checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not is_type_checking and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def places(folder: str, is_wrong, top_level_only: bool = False) -> list[str]:
    """`file:line imports module` for each import in the folder that `is_wrong` of its name."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in python_files(folder)
        for line, module in imported_modules(path, top_level_only)
        if is_wrong(module)
    ]


def root_of(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_our_packages_import_each_other_in_one_direction(package):
    forbidden = set(PACKAGES) - MAY_IMPORT[package] - {package}
    assert places(package, lambda module: root_of(module) in forbidden) == []


@pytest.mark.parametrize("package", [package for package in PACKAGES if package != "orpose_ros"])
def test_only_orpose_ros_imports_ros(package):
    assert places(package, lambda module: ROS_MODULES.fullmatch(root_of(module)) is not None) == []


@pytest.mark.parametrize("package", LIGHT_PACKAGES)
def test_runtime_and_node_import_no_torch(package):
    def is_heavy(module: str) -> bool:
        return root_of(module) in HEAVY_MODULES or module.startswith(("orpose_models.network", "orpose_models.export"))

    assert [place for place in places(package, is_heavy) if not place.startswith(TORCH_PARTS)] == []


def test_subcommands_import_heavy_modules_only_when_they_run():
    heavy = HEAVY_MODULES | {"onnxruntime", "openvino", "cv2", "rosbags", "orpose_ros"}
    assert places("orpose", lambda module: root_of(module) in heavy, top_level_only=True) == []


def test_importing_the_runtime_loads_no_torch():
    code = (
        "import sys, importlib, pkgutil, orpose_models.runtime as runtime\n"
        "names = [m.name for m in pkgutil.iter_modules(runtime.__path__) if not m.name.startswith('backend_')]\n"
        "for name in names: importlib.import_module('orpose_models.runtime.' + name)\n"
        "heavy = sorted({'torch', 'torchvision', 'openvino', 'rclpy'} & set(sys.modules))\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_third_party_imports_are_declared_in_pyproject(package):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = project["dependencies"] + [r for rs in project["optional-dependencies"].values() for r in rs]
    declared = {_normalised(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}

    def is_undeclared(module: str) -> bool:
        name = root_of(module)
        if name in sys.stdlib_module_names | NOT_ON_PYPI or name in PACKAGES or ROS_MODULES.fullmatch(name):
            return False
        return _normalised(DISTRIBUTIONS.get(name, name)) not in declared

    assert places(package, is_undeclared) == []


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize(
    ("source", "top_level_only", "expected"),
    [
        ("import a.b", False, ["a.b"]),
        ("from a import b as c, d", False, ["a.b", "a.d"]),
        ("from . import sibling", False, ["orpose_models.runtime.sibling"]),
        ("from ..network import rpn", False, ["orpose_models.network.rpn"]),
        ("def f():\n    import torch", False, ["torch"]),
        ("def f():\n    import torch", True, []),
        ("if TYPE_CHECKING:\n    import torch", True, []),
        ("try:\n    import torch\nexcept ImportError:\n    pass", True, ["torch"]),
    ],
)
def test_the_reader_of_imports_itself(tmp_path, monkeypatch, source, top_level_only, expected):
    path = tmp_path / "orpose_models" / "runtime" / "example.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert [module for _, module in imported_modules(path, top_level_only)] == expected
