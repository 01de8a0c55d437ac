"""Command line options made from a configuration model, so that a default and its description exist once."""

from __future__ import annotations

import argparse
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from orpose_models.settings import build_settings

ModelT = TypeVar("ModelT", bound=BaseModel)


def add_options(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, model: type[BaseModel], only: Iterable[str] | None = None
) -> None:
    """Adds `--field-name` for every field of `model` (or for those in `only`).

    An option that is not given leaves no attribute behind, so `settings_from_args` can tell it from a default. Values
    stay strings: the model converts and checks them. Lists take several words, booleans become `--name / --no-name`.
    """
    for name in model.model_fields if only is None else only:
        field = model.model_fields[name]
        keywords: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": _help_text(field)}
        annotation = _without_none(field.annotation)
        if annotation is bool:
            keywords["action"] = argparse.BooleanOptionalAction
        else:
            keywords["metavar"] = _metavar(name, field)
        if _is_list(annotation):
            keywords["nargs"] = "+"
        parser.add_argument("--" + name.replace("_", "-"), **keywords)


def settings_from_args(model: type[ModelT], args: argparse.Namespace, base: Mapping[str, Any] | None = None) -> ModelT:
    """The configuration: model defaults, overridden by `base` (a YAML mapping, say), overridden by given options.

    Raises:
        ConfigError: A value that does not fit, named with what was expected.
    """
    given = {name: getattr(args, name) for name in model.model_fields if hasattr(args, name)}
    return build_settings(model, {**(base or {}), **given}, "command line")


def _help_text(field: FieldInfo) -> str:
    parts = [(field.description or "").rstrip(".")]
    if choices := _choices(field):
        parts.append(f"one of {', '.join(choices)}")
    if bounds := _bounds(field):
        parts.append(bounds)
    if field.is_required():
        parts.append("required")
    elif (default := field.get_default(call_default_factory=True)) is not None:
        parts.append(f"default: {_shown(default)}")
    return "; ".join(part for part in parts if part).replace("%", "%%")


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in signs.items()
        if getattr(limit, name, None) is not None
    ]
    return " and ".join(found)


def _metavar(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "metavar" in extra:
        return str(extra["metavar"])
    return name.rsplit("_", 1)[-1].upper()


def _choices(field: FieldInfo) -> list[str]:
    annotation = _without_none(field.annotation)
    if _is_list(annotation):
        annotation = get_args(annotation)[0]
    return [str(choice) for choice in get_args(annotation)] if get_origin(annotation) is Literal else []


def _is_list(annotation: Any) -> bool:
    arguments = get_args(annotation)
    return get_origin(annotation) is list or (get_origin(annotation) is tuple and arguments[-1:] == (Ellipsis,))


def _without_none(annotation: Any) -> Any:
    """`X` for `X | None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [part for part in get_args(annotation) if part is not type(None)]
        if len(rest) == 1:
            return rest[0]
    return annotation


def _shown(default: Any) -> str:
    return " ".join(str(part) for part in default) if isinstance(default, list | tuple) else str(default)
