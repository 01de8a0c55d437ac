"""Every configuration model: frozen, refuses unknown keys, and each field says what it is, numbers with a range."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin

import pytest
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("orpose", "orpose_models", "orpose_ros", "training")


def settings_modules() -> list[str]:
    """Modules with a class derived from a `…Settings` or `…Config` class, found without importing the others."""
    found = []
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        classes = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ClassDef)]
        bases = [ast.unparse(base).split(".")[-1] for cls in classes for base in cls.bases]
        if any(base in ("Settings", "BaseModel") or base.endswith("Config") for base in bases):
            found.append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def models() -> list[type[BaseModel]]:
    return [
        value
        for module in settings_modules()
        for value in vars(importlib.import_module(module)).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == module
    ]


def fields() -> list:
    """Fields of all configuration models, but for nested models, which describe their own."""
    return [
        pytest.param(field, id=f"{model.__module__}.{model.__name__}.{name}")
        for model in models()
        for name, field in model.model_fields.items()
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))
    ]


@pytest.mark.parametrize("field", fields())
def test_a_field_has_a_description_and_a_number_a_range(field):
    assert field.description, "no description"
    optional = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
    if {int, float} & {field.annotation, *optional}:
        limits = [limit for limit in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(limit, name)]
        assert limits, "a number without a range"


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_a_configuration_is_frozen_and_refuses_unknown_keys(model):
    assert model.model_config.get("frozen")
    assert model.model_config.get("extra") == "forbid"
