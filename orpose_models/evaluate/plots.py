"""Plots of evaluations as PNG files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import BackendError, InputError
from orpose_models.evaluate.matches import RECALLS
from orpose_models.evaluate.protocols import Table
from orpose_models.evaluate.resample import Interval

#: Overlaps whose precision-recall curves are drawn: index among COCO's thresholds -> line style.
CURVES = {"0.50": (0, "-"), "0.75": (5, "--")}


def write_values(path: Path, values: Mapping[str, float | Interval], label: str) -> None:
    """The main metric of each result, over scale where the names are scales (1x, 8x, ...); intervals as error bars."""
    scales = [scale_of(name) for name in values]
    are_scales = all(scale is not None for scale in scales)
    places = [float(s) for s in scales if s is not None] if are_scales else [float(i) for i in range(len(scales))]
    heights = _known([v.value if isinstance(v, Interval) else v for v in values.values()])
    with figure(path, (6, 4)) as axes:
        axes.plot(places, heights, marker="o")
        for place, value in zip(places, values.values(), strict=True):
            if isinstance(value, Interval):
                axes.vlines(place, value.low, value.high, linewidth=2, alpha=0.6)
        axes.set_xticks(places, list(values))
        axes.set_xlabel("downsampling" if are_scales else "results")
        axes.set_ylabel(label)


def write_bars(path: Path, tables: Mapping[str, Table], column: str, label: str, spread: str | None = None) -> None:
    """A group of bars for every row, one bar for every table. Values below 0 (none) are left out.

    Args:
        path: PNG.
        tables: Name of the result -> its table.
        column: Which column is drawn.
        label: Its name and unit.
        spread: A column drawn as an error bar.
    """
    rows = list(next(iter(tables.values())))
    width = 0.8 / len(tables)
    with figure(path, (max(6.0, 0.6 * len(rows)), 4.5)) as axes:
        for number, (name, table) in enumerate(tables.items()):
            heights = _known([table[row][column] for row in rows])
            errors = None if spread is None else _known([table[row][spread] for row in rows])
            places = np.arange(len(rows)) + (number - (len(tables) - 1) / 2) * width
            axes.bar(places, heights, width, yerr=errors, label=name, error_kw={"elinewidth": 1})
        axes.set_xticks(range(len(rows)), [row.replace("_", " ") for row in rows], rotation=40, ha="right")
        axes.set_ylabel(label)
        axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False)


def write_precision_recall(path: Path, curves: Mapping[str, NDArray[np.float64]], kind: str) -> None:
    """Interpolated precision `(T, 101)` of each result at overlaps of 0.50 (solid) and 0.75 (dashed)."""
    with figure(path, (6, 4.5)) as axes:
        for number, (name, precision) in enumerate(curves.items()):
            for overlap, (row, style) in CURVES.items():
                axes.plot(RECALLS, precision[row], style, color=f"C{number % 10}", label=f"{name}, {kind} {overlap}")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.legend(fontsize=8)


def scale_of(name: str) -> float | None:
    """12.0 of "12x"; None of another name."""
    number, end = name[:-1], name[-1:]
    try:
        return float(number) if end == "x" else None
    except ValueError:
        return None


def _known(values: Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    return np.where(array < 0, np.nan, array)


@contextlib.contextmanager
def figure(path: Path, size: tuple[float, float]) -> Iterator[Any]:
    """Axes; the file is written at the end."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendError(f"matplotlib: {error}; pip install 'orpose[evaluate]'") from None
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_axisbelow(True)
    yield axes
    axes.grid(alpha=0.3)
    figure.tight_layout()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --plots") from None
