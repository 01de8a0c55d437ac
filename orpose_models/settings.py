"""Configuration models: the one home of defaults, units and ranges. YAML, command line and ROS parameters read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from orpose_models.errors import ConfigError

SettingsT = TypeVar("SettingsT", bound=BaseModel)

#: Longer values are cut in errors (characters).
_LONGEST_VALUE = 200
#: Longer pairs of values are not told where settings changed (characters).
_LONGEST_CHANGE = 40
#: Kinds of error whose text speaks of Python rather than of YAML.
_PLAIN = {"model_type": "expected names and values", "tuple_type": "expected a list"}


class Settings(BaseModel):
    """A frozen configuration model that refuses unknown keys, NaN and infinity.

    Every field has a description (with unit) and a range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def build_settings(model: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """`model(**values)`.

    Args:
        model: The configuration model.
        values: Field name -> value; a missing one takes the model's default.
        where: What to name in an error: a file, "command line", a ROS node.

    Raises:
        ConfigError: One line that names the field, what was given and what was expected.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {validation_message(error)}") from None


def validation_message(error: ValidationError) -> str:
    """One line for a pydantic error: `field: got value: what was expected; …`."""
    lines = []
    for item in error.errors(include_url=False):
        parts = [".".join(str(part) for part in item["loc"])]
        if not isinstance(item["input"], Mapping | BaseModel):  # a whole group of values tells nothing
            parts = [parts[0] or "value", f"got {_shortened(repr(item['input']))}"]
        reason = _PLAIN.get(item["type"], item["msg"].removeprefix("Value error, "))
        parts.append(reason[:1].lower() + reason[1:])
        lines.append(": ".join(part for part in parts if part))
    return "; ".join(lines)


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two mappings, in depth: dotted name -> value before and now; None where there is none."""
    changed: dict[str, tuple[Any, Any]] = {}
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changed |= {f"{name}.{below}": values for below, values in changed_settings(old, new).items()}
        elif old != new:
            changed[name] = (old, new)
    return changed


def told_changes(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """`name (before, now value)` of each of `changed_settings`, for an error; long values are left out."""
    values = {name: f" ({before!r}, now {now!r})" for name, (before, now) in changed.items()}
    return ", ".join(name if len(text) > _LONGEST_CHANGE else name + text for name, text in values.items())


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def read_yaml_mapping(path: str | Path) -> dict[str, Any]:
    """The mapping a YAML file holds; an empty file is an empty mapping.

    Raises:
        ConfigError: The file is missing, is not YAML, or holds something else than a mapping of names.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of names to values, got {type(content).__name__}")
    for key in content:
        if not isinstance(key, str):
            raise ConfigError(
                f"{path}: expected names of settings, got the {type(key).__name__} {key!r}; YAML takes on, off, yes, "
                "no and numbers for values: write the name in quotes"
            )
    return content


def read_yaml_with_bases(path: str | Path) -> dict[str, Any]:
    """The mapping of a YAML file and of those it builds on.

    `base: FILE` or `base: [FILE, ...]` (relative to the file) takes over those files' keys, a later one's over an
    earlier one's; mappings are merged, all else is replaced.

    Raises:
        ConfigError: As `read_yaml_mapping`, for any of them, or one leads back to itself.
    """
    return _with_bases(Path(path), ())


def _with_bases(path: Path, readers: tuple[Path, ...]) -> dict[str, Any]:
    values = read_yaml_mapping(path)
    if "base" not in values:
        return values
    named = values.pop("base")
    merged: dict[str, Any] = {}
    for each in named if isinstance(named, list) else [named]:
        base = path.parent / str(each)
        if base.resolve() in (path.resolve(), *readers):
            raise ConfigError(f"{path}: base: {base} leads back to itself")
        merged = _merged(merged, _with_bases(base, (path.resolve(), *readers)))
    return _merged(merged, values)


def _merged(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    both = base.keys() & values.keys()
    nested = {key for key in both if isinstance(base[key], dict) and isinstance(values[key], dict)}
    return {**base, **values, **{key: _merged(base[key], values[key]) for key in nested}}


def load_settings(model: type[SettingsT], path: str | Path) -> SettingsT:
    """A configuration model from a YAML file.

    Raises:
        ConfigError: The file or one of its values does not fit.
    """
    return build_settings(model, read_yaml_mapping(path), str(path))
