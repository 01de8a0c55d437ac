"""Values out of parsed JSON, checked: what is missing or wrong is named by file, entry and key. And NaN into JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import AnnotationError


def list_of(root: Mapping[str, Any], key: str, source: str) -> list[Any]:
    """The list under `key`. Raises AnnotationError, as all of these do."""
    if not isinstance(root.get(key), list):
        raise AnnotationError(f"{source}: {key}: expected a list, got {kind_of(root.get(key))}; is this a COCO file?")
    return root[key]


def mapping_of(root: Mapping[str, Any], key: str, source: str) -> dict[str, Any]:
    """The object under `key`; an empty one where there is none."""
    value = root.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise AnnotationError(f"{source}: {key}: expected an object, got {kind_of(value)}")
    return value


def value_of(entry: Any, key: str, convert: Callable[[Any], Any], where: str) -> Any:
    """The value under `key`, converted."""
    if not isinstance(entry, dict):
        raise AnnotationError(f"{where}: expected an object, got {kind_of(entry)}")
    if entry.get(key) is None:
        raise AnnotationError(f"{where}: {key}: missing")
    try:
        value = convert(entry[key])
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if isinstance(value, float) and not math.isfinite(value):
        raise AnnotationError(f"{where}: {key}: unexpected value {repr(entry[key])[:80]}")
    return value


def scalars_of(
    entry: dict[str, Any], table: Mapping[str, tuple[str, Callable[[Any], Any]]], where: str
) -> dict[str, Any]:
    """The values of `table` (key: name, conversion) that are there, by name."""
    return {
        name: value_of(entry, key, convert, where)
        for key, (name, convert) in table.items()
        if entry.get(key) is not None
    }


def array_of(entry: Any, key: str, shape: tuple[int, ...], where: str) -> NDArray[np.float64]:
    """The numbers under `key`, all finite, as a read-only array of `shape`."""
    array = numbers_of(entry, key, where)
    size = int(np.prod(shape))
    if array.size != size:
        raise AnnotationError(f"{where}: {key}: expected {size} numbers, got {array.size}")
    array = array.reshape(shape)
    array.flags.writeable = False
    return array


def numbers_of(entry: Any, key: str, where: str) -> NDArray[np.float64]:
    """The numbers under `key`, all finite, however many there are."""
    values = value_of(entry, key, list, where)
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise AnnotationError(f"{where}: {key}: expected numbers, got {str(values)[:80]}") from None
    if not np.isfinite(array).all():
        raise AnnotationError(f"{where}: {key}: holds a value that is not finite")
    return array


def without_nan(content: Any) -> Any:
    """The same dicts, lists and numbers with None in place of NaN: JSON has null alone."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def kind_of(value: Any) -> str:
    """What a JSON value is, for error messages."""
    return "nothing" if value is None else type(value).__name__
