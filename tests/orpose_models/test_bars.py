"""Bar charts are well-formed and as high as their values."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from orpose_models.bars import Bars, bar_chart, histogram


def bars_of(svg: str) -> list[ElementTree.Element]:
    return [element for element in ElementTree.fromstring(svg).iter("rect") if element.find("title") is not None]


def test_heights_are_proportional():
    first, second = bars_of(bar_chart(["a", "b"], [Bars("n", "red", [2, 4])], "x", "y"))
    assert float(second.get("height")) == pytest.approx(2 * float(first.get("height")), abs=0.2)
    assert float(first.get("x")) + float(first.get("width")) < float(second.get("x"))


def test_stacked_bars_stand_on_each_other():
    lower, upper = bars_of(bar_chart(["a"], [Bars("n", "red", [2]), Bars("m", "blue", [3])], "x", "y", stacked=True))
    assert float(upper.get("y")) + float(upper.get("height")) == pytest.approx(float(lower.get("y")), abs=0.2)
    assert lower.get("x") == upper.get("x")


def test_a_histogram_counts_everything_once():
    svg = histogram([("n", "red", np.array([-5.0, 0.5, 1.5, 1.6, 99.0]))], 0.0, 3.0, 3, "m")
    titles = [bar.find("title").text for bar in bars_of(svg)]
    assert titles == ["0, n: 40", "1, n: 40", "2, n: 20"]


@pytest.mark.parametrize("values", [[], [0.0, 0.0]])
def test_nothing_to_show_is_drawn_too(values):
    labels = [str(value) for value in values]
    ElementTree.fromstring(bar_chart(labels, [Bars("<&>", "red", values)], "x", "y"))
    ElementTree.fromstring(histogram([("n", "red", np.array(values))], 0, 1, 4, "x"))
