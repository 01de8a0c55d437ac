"""Charts are well-formed and put values where they belong."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from orpose_models.charts import Line, line_chart, nice_step


@pytest.mark.parametrize(
    ("limit", "ticks", "step"),
    [(10, 5, 2), (9, 5, 2), (100, 5, 20), (0.3, 5, 0.1), (7, 10, 1), (26, 5, 10), (1, 5, 0.2)],
)
def test_steps_are_1_2_or_5(limit, ticks, step):
    assert nice_step(limit, ticks) == pytest.approx(step)


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def test_a_gap_interrupts_the_line():
    svg = parse(line_chart([Line("a", "red", [(0, 1), (1, 2), (2, None), (3, 2), (4, 4)])], "s", "ms"))
    path = next(element.get("d") for element in svg.iter("path"))
    assert path is not None
    assert path.count("M") == 2
    assert len(list(svg.iter("circle"))) == 4


def test_values_are_placed_linearly_from_zero():
    svg = parse(line_chart([Line("a", "red", [(0, 0), (5, 50), (10, 100)])], "s", "ms"))
    (x0, y0), (x1, y1), (x2, y2) = ((float(c.get("cx")), float(c.get("cy"))) for c in svg.iter("circle"))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y2 < y0


@pytest.mark.parametrize("points", [[], [(0.0, None)], [(0.0, 0.0)]])
def test_empty_charts_are_drawn_too(points):
    parse(line_chart([Line("<&>", "red", points)], "s", "ms", marks=[(0.5, "lost & gone")]))
