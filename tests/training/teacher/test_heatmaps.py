"""Peaks of heatmaps: tables for the quarter offset, known Gaussians for DARK."""

from __future__ import annotations

import numpy as np
import pytest

from training.teacher.heatmaps import decode_heatmaps


def gaussian(x: float, y: float, sigma: float = 2.0, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    rows, columns = np.mgrid[: size[1], : size[0]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).astype(np.float32)[None, None]


@pytest.mark.parametrize(("top", "expected"), [
    ((20.3, 30.0), (20.25, 30.0)),
    ((19.8, 30.4), (19.75, 30.25)),
    ((20.0, 29.9), (20.0, 29.75)),
    ((1.3, 30.3), (1.0, 30.0)),  # the first two cells are the border of the published code
    ((2.3, 30.3), (2.25, 30.25)),
    ((20.3, 63.0), (20.0, 63.0)),
])  # fmt: skip
def test_a_quarter_towards_the_higher_neighbour(top, expected):
    cells, peaks = decode_heatmaps(gaussian(*top), "quarter")
    np.testing.assert_allclose(cells[0, 0], expected)
    assert 0.9 < peaks[0, 0] <= 1


@pytest.mark.parametrize("top", [(20.0, 30.0), (20.3, 30.4), (19.6, 29.7), (2.4, 60.2)])
def test_dark_finds_the_top_of_a_gaussian(top):
    cells, _ = decode_heatmaps(gaussian(*top), "dark")
    np.testing.assert_allclose(cells[0, 0], top, atol=0.01)


def test_without_refinement_it_is_the_cell():
    cells, peaks = decode_heatmaps(gaussian(20.3, 30.4), "none")
    assert cells[0, 0].tolist() == [20, 30]
    assert peaks[0, 0] == gaussian(20.3, 30.4)[0, 0, 30, 20]


@pytest.mark.parametrize("refine", ["none", "quarter", "dark"])
def test_a_map_without_a_peak_gives_its_corner_and_no_confidence(refine):
    cells, peaks = decode_heatmaps(np.full((1, 1, 64, 48), -0.2, np.float32), refine)
    np.testing.assert_allclose(cells[0, 0], 0)
    assert peaks[0, 0] < 0


def test_maps_are_read_each_for_itself():
    maps = np.concatenate(
        [np.concatenate([gaussian(5, 6), gaussian(40, 50)], 1), np.concatenate([gaussian(7, 8), gaussian(9, 10)], 1)]
    )
    for refine in ("none", "quarter", "dark"):
        cells, _ = decode_heatmaps(maps, refine)
        np.testing.assert_allclose(cells, [[[5, 6], [40, 50]], [[7, 8], [9, 10]]], atol=1e-3)
