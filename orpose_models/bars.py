"""Bar charts and histograms as SVG, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from orpose_models.charts import nice_step

_WIDTH, _HEIGHT = 480, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 30, 40
#: With more bars than this, not every one has its label.
_MOST_LABELS = 12
_LETTER_PX = 5.6


@dataclass(frozen=True)
class Bars:
    """One series: its name for the legend, its CSS colour and one value a category."""

    name: str
    color: str
    values: Sequence[float]


def bar_chart(
    labels: Sequence[str], series: Sequence[Bars], x_label: str, y_label: str, *, stacked: bool = False
) -> str:
    """An <svg> element with bars from 0 up, side by side or one upon the other.

    Args:
        labels: Of the categories; with many of them only some are written, all show when hovered over.
        series: Their values, as many as labels.
        x_label: Below; y_label: beside.
        stacked: One upon the other in the given order.
    """
    columns = np.array([bars.values for bars in series], float).reshape(len(series), len(labels))
    tops = np.cumsum(columns, axis=0) if stacked else columns
    step = nice_step(float(tops.max(initial=0.0)) or 1.0)
    limit = max(step, math.ceil(float(tops.max(initial=0.0)) / step - 1e-9) * step)
    parts = [_grid(limit, step, x_label, y_label), _names(labels)]
    for number, bars in enumerate(series):
        bottoms = tops[number] - columns[number] if stacked else np.zeros(len(labels))
        for index, (bottom, top) in enumerate(zip(bottoms, tops[number], strict=True)):
            x, width = _place(index, len(labels), number, 1 if stacked else len(series))
            y, height = _y(top, limit), round(_y(bottom, limit) - _y(top, limit), 1)
            text = f"{labels[index]}, {bars.name}: {top - bottom:.4g}"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{bars.color}">'
                f"<title>{escape(text)}</title></rect>"
            )
    parts.append(_legend(series))
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(x_label)}">{"".join(parts)}</svg>'


def histogram(groups: Sequence[tuple[str, str, NDArray]], low: float, high: float, number: int, x_label: str) -> str:
    """Shares (%) of the values of each group (name, colour, values) in `number` equal bins from `low` to `high`.

    Values beyond the ends count in the outermost bins.
    """
    edges = np.linspace(low, high, number + 1)
    series = []
    for name, color, values in groups:
        counts, _ = np.histogram(np.clip(values, low, high), edges)
        series.append(Bars(name, color, (100.0 * counts / max(1, len(values))).tolist()))
    return bar_chart([f"{edge:.3g}" for edge in edges[:-1]], series, x_label, "%")


def _place(index: int, count: int, number: int, beside: int) -> tuple[float, float]:
    """Left edge and width of a bar."""
    slot = (_WIDTH - _LEFT - _RIGHT) / count
    width = slot * 0.86 / beside
    return round(_LEFT + slot * (index + 0.07) + width * (number if beside > 1 else 0), 1), round(width, 1)


def _y(value: float, limit: float) -> float:
    return round(_HEIGHT - _BOTTOM - value / limit * (_HEIGHT - _TOP - _BOTTOM), 1)


def _grid(limit: float, step: float, x_label: str, y_label: str) -> str:
    parts = []
    for k in range(round(limit / step) + 1):
        y = _y(k * step, limit)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 4}" text-anchor="end">{k * step:g}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f'text-anchor="middle" transform="rotate(-90 12 {middle})"'
    parts.append(f'<text x="12" y="{middle}" {turned}>{escape(y_label)}</text>')
    return "".join(parts)


def _names(labels: Sequence[str]) -> str:
    every = max(1, math.ceil(len(labels) / _MOST_LABELS))
    room = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels)) * every
    are_slanted = max(map(len, labels), default=0) * _LETTER_PX > room
    parts = []
    for index in range(0, len(labels), every):
        x, width = _place(index, len(labels), 0, 1)
        x, y = round(x + width / 2, 1), _HEIGHT - _BOTTOM + 14
        slanted = f' transform="rotate(-25 {x} {y})"' if are_slanted else ""
        parts.append(f'<text x="{x}" y="{y}" text-anchor="middle"{slanted}>{escape(labels[index])}</text>')
    return "".join(parts)


def _legend(series: Sequence[Bars]) -> str:
    parts, x = [], _LEFT
    for bars in series if len(series) > 1 else ():
        parts.append(f'<rect x="{x}" y="9" width="12" height="9" fill="{bars.color}"/>')
        parts.append(f'<text x="{x + 17}" y="17">{escape(bars.name)}</text>')
        x += 36 + 7 * len(bars.name)
    return "".join(parts)
