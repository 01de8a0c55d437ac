"""Tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

#: Two spaces and ten characters a value, at least.
_WIDTH = 12
#: Rows and columns of these names hold counts.
COUNTS = {
    "persons",
    "labelled",
    "found",
    "further",
    "images",
    "missed",
    "without_root",
    "published_people",
    "id_switches",
    "fragments",
    "depth_root_people",
    "size_root_people",
}


def text_table(rows: Mapping[str, Mapping[str, float]], title: str = "") -> str:
    """Lines of `name  value  value`, the columns' names above where there are several; - for -1 and NaN (no value)."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    names = max([18, *map(len, rows)])
    widths = [max(_WIDTH, len(column) + 2) for column in columns]
    lines = []
    if len(columns) > 1 or title:
        lines.append(f"{title:>{names}}" + _line(columns, widths))
    lines += [
        f"{name:>{names}}" + _line([_shown(row.get(column, -1.0), name, column) for column in columns], widths)
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _shown(value: float, row: str, column: str) -> str:
    if value == -1 or math.isnan(value):
        return "-"
    return f"{value:.0f}" if COUNTS & {row, *column.split()} else f"{value:.4f}"
