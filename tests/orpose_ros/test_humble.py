"""Nothing newer than the rclpy of ROS 2 Humble is used, though the tests run on newer ones.

A name or keyword argument is newer when the installed rclpy has it and the list of Humble's names has not. Imports of
newer modules are fine inside `try`, when the handler of ImportError imports Humble's.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("orpose_ros", "launch") for path in (ROOT / folder).rglob("*.py"))
ANY_KEYWORD = "**"
#: Of Python's own objects as well: processes and events.
EVERYDAY_NAMES = {"wait"}
#: Modules that have another name now.
NEW_NAMES = {"rclpy.qos_event": "rclpy.event_handler"}


@dataclass(frozen=True)
class Api:
    """Names of rclpy, whichever class they belong to.

    Attributes:
        modules: Module -> what can be imported from it.
        calls: Function, method or class -> names of its parameters.
        attributes: Other public names of objects.
    """

    modules: dict[str, set[str]]
    calls: dict[str, set[str]] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        return name in self.calls or name in self.attributes


@cache
def humble() -> Api:
    names = yaml.safe_load(Path(__file__).with_name("humble_rclpy.yaml").read_text(encoding="utf-8"))
    modules = {module: set(content) for module, content in names["modules"].items()}
    calls = {name: set(parameters) for name, parameters in names["calls"].items()}
    return Api(modules, calls, set(names["attributes"]).union(*modules.values()))


@cache
def installed() -> Api:
    api = Api({})
    for name in humble().modules:
        module = importlib.import_module(NEW_NAMES.get(name, name))
        api.modules[name] = set(vars(module))
        for function in own_members(module, inspect.isfunction):
            add_call(api, function.__name__, function)
        for each in own_members(module, inspect.isclass):
            add_class(api, each)
    return api


def own_members(module: ModuleType, kind) -> list:
    return [member for _, member in inspect.getmembers(module, kind) if member.__module__ == module.__name__]


def add_class(api: Api, each: type) -> None:
    add_call(api, each.__name__, each)
    for name, member in vars(each).items():
        if inspect.isfunction(member) or isinstance(member, classmethod | staticmethod):
            add_call(api, name, getattr(each, name))
        elif not name.startswith("_"):
            api.attributes.add(name)


def add_call(api: Api, name: str, callable_) -> None:
    if not name.startswith("_"):
        try:
            api.calls.setdefault(name, set()).update(inspect.signature(callable_).parameters)
        except ValueError:  # made in C++
            api.attributes.add(name)


def newer_than_humble(source: str) -> list[str]:
    """What a file uses of the installed rclpy that Humble's has not: `line: name`."""
    tree = ast.parse(source)
    excused = {id(node) for statement in ast.walk(tree) for node in with_a_fallback(statement)}
    found = []
    for node in ast.walk(tree):
        if id(node) not in excused:
            found += [f"{node.lineno}: {name}" for name in newer_names(node)]  # type: ignore[attr-defined]
    return found


def with_a_fallback(statement: ast.AST) -> Iterator[ast.AST]:
    """Imports of a `try` whose handler of ImportError imports the same names."""
    if not isinstance(statement, ast.Try):
        return
    for handler in statement.handlers:
        if isinstance(handler.type, ast.Name) and handler.type.id == "ImportError":
            instead = {name for node in handler.body if isinstance(node, ast.ImportFrom) for name in bound(node)}
            for node in statement.body:
                if isinstance(node, ast.ImportFrom) and bound(node) <= instead:
                    yield node


def bound(node: ast.ImportFrom) -> set[str]:
    return {alias.asname or alias.name for alias in node.names}


def newer_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "rclpy":
        known = humble().modules.get(node.module, set())
        # Its modules can be imported from the package.
        names = [f"{node.module}.{alias.name}" for alias in node.names if alias.name not in known]
        return [name for name in names if name not in humble().modules]
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
        return [name for name in names if name.partition(".")[0] == "rclpy" and name not in humble().modules]
    if isinstance(node, ast.Attribute) and node.attr not in EVERYDAY_NAMES:
        return [node.attr] if installed().has(node.attr) and not humble().has(node.attr) else []
    if isinstance(node, ast.Call):
        return newer_keywords(node)
    return []


def newer_keywords(node: ast.Call) -> list[str]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if not {name} <= installed().calls.keys() & humble().calls.keys() or ANY_KEYWORD in humble().calls[name]:
        return []
    newer = installed().calls[name] - humble().calls[name]
    return [f"{name}({keyword.arg}=)" for keyword in node.keywords if keyword.arg in newer]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_newer_is_used(path):
    assert newer_than_humble(path.read_text(encoding="utf-8")) == []


def test_there_are_newer_names_to_find():
    """Else the test above could not fail."""
    source = "\n".join(
        [
            "from rclpy.event_handler import SubscriptionEventCallbacks",
            "import rclpy.event_handler",
            "subscription.get_publisher_count()",
            "SubscriptionEventCallbacks(matched=print)",
            "rclpy.init(args=[], domain_id=3)",  # Humble has this one
        ]
    )
    assert sorted(line.partition(":")[0] for line in newer_than_humble(source)) == ["1", "2", "3", "4"]


def test_a_fallback_excuses_an_import_of_the_same_names_only():
    source = "try:\n  from rclpy.event_handler import A\nexcept {}:\n  from rclpy.qos_event import {}\n"
    assert newer_than_humble(source.format("ImportError", "A")) == ["4: rclpy.qos_event.A"]
    assert (
        newer_than_humble(source.format("ImportError", "SubscriptionEventCallbacks"))[0] == "2: rclpy.event_handler.A"
    )
    assert newer_than_humble(source.format("ValueError", "A"))[0] == "2: rclpy.event_handler.A"
