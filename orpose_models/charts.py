"""Line charts as SVG, without a plotting library: for one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 32, 40
#: With more points than this, no circles to hover over.
_MAX_DOTS = 1500


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: For the legend.
        color: CSS colour.
        points: x and y; a y of None interrupts the line.
        as_steps: Keep y until the next x.
    """

    name: str
    color: str
    points: Sequence[tuple[float, float | None]]
    as_steps: bool = False


def line_chart(
    lines: Sequence[Line], x_label: str, y_label: str, marks: Sequence[tuple[float, str]] = (), y_is_count: bool = False
) -> str:
    """An <svg> element; both axes begin at 0.

    Args:
        lines: Drawn in order.
        x_label: Name and unit of x.
        y_label: Name and unit of y.
        marks: x and text of events, drawn as crosses on the x axis.
        y_is_count: No fractions on the y axis.
    """
    known = [(x, y) for line in lines for x, y in line.points if y is not None]
    x_limit, y_limit = (max((point[axis] for point in known), default=1.0) or 1.0 for axis in (0, 1))
    axes = _Axes(x_limit, y_limit, smallest_y_step=1.0 if y_is_count else 0.0)
    parts = [_grid(axes, x_label, y_label)]
    parts += [_path(axes, line) for line in lines]
    if len(known) <= _MAX_DOTS:
        parts += [_dots(axes, line) for line in lines]
    parts += [_mark(axes, x, text) for x, text in marks]
    parts.append(_legend(lines))
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_label)}">{"".join(parts)}</svg>'


def nice_step(limit: float, ticks: int = 5) -> float:
    """A step of 1, 2 or 5 times a power of ten that gives about `ticks` ticks up to `limit`."""
    rough = limit / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


class _Axes:
    """Chart values to picture coordinates."""

    def __init__(self, x_limit: float, y_limit: float, smallest_y_step: float) -> None:
        self.x_step, self.y_step = nice_step(x_limit, 10), max(nice_step(y_limit), smallest_y_step)
        self.x_limit = x_limit
        self.y_limit = math.ceil(y_limit / self.y_step) * self.y_step

    def x(self, value: float) -> float:
        return round(_LEFT + value / self.x_limit * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(_HEIGHT - _BOTTOM - value / self.y_limit * (_HEIGHT - _TOP - _BOTTOM), 1)


def _grid(axes: _Axes, x_label: str, y_label: str) -> str:
    parts = []
    for value in _ticks(axes.y_limit, axes.y_step):
        y = axes.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    for value in _ticks(axes.x_limit, axes.x_step):
        parts.append(f'<text x="{axes.x(value)}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _ticks(limit: float, step: float) -> list[float]:
    return [round(index * step, 9) for index in range(int(limit / step + 1e-6) + 1)]


def _path(axes: _Axes, line: Line) -> str:
    commands: list[str] = []
    pen_is_down = False
    for x, y in line.points:
        if y is None:
            pen_is_down = False
            continue
        if pen_is_down and line.as_steps:
            commands.append(f"H{axes.x(x)}")
        commands.append(f"{'L' if pen_is_down else 'M'}{axes.x(x)} {axes.y(y)}")
        pen_is_down = True
    return f'<path d="{"".join(commands)}" fill="none" stroke="{line.color}" stroke-width="1.6"/>'


def _dots(axes: _Axes, line: Line) -> str:
    return "".join(
        f'<circle cx="{axes.x(x)}" cy="{axes.y(y)}" r="2.4" fill="{line.color}">'
        f"<title>{escape(line.name)}: {y:.4g} at {x:.2f}</title></circle>"
        for x, y in line.points
        if y is not None
    )


def _mark(axes: _Axes, x: float, text: str) -> str:
    center, base = axes.x(x), _HEIGHT - _BOTTOM
    return (
        f'<path class="mark" d="M{center - 4} {base - 4}L{center + 4} {base + 4}M{center - 4} {base + 4}'
        f'L{center + 4} {base - 4}"><title>{escape(text)} at {x:.2f}</title></path>'
    )


def _legend(lines: Sequence[Line]) -> str:
    parts, x = [], _LEFT
    for line in lines:
        parts.append(f'<rect x="{x}" y="10" width="14" height="4" fill="{line.color}"/>')
        parts.append(f'<text x="{x + 19}" y="16">{escape(line.name)}</text>')
        x += 40 + 7 * len(line.name)
    return "".join(parts)
