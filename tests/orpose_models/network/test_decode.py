from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orpose_models.network.decode import (
    ScoreCalibration,
    decode_bicubic,
    decode_subcell,
    place_in_boxes,
    softmax_peak,
)
from orpose_models.network.heads import BilinearUpsample


def quadratic_peak(x: float, y: float, slant: float = 0.0) -> torch.Tensor:
    """A 56x56 paraboloid with its top at cell coordinates (x, y)."""
    rows, columns = torch.meshgrid(*[torch.arange(56, dtype=torch.float64)] * 2, indexing="ij")
    dx, dy = columns - x, rows - y
    return -(dx**2 + dy**2 + slant * dx * dy) * 0.01


@given(st.floats(2, 53), st.floats(2, 53))
@settings(max_examples=50, deadline=None)
def test_a_quadratic_peak_is_found_exactly(x: float, y: float) -> None:
    points, _ = decode_subcell(quadratic_peak(x, y))
    assert points.tolist() == pytest.approx([(x + 0.5) / 56, (y + 0.5) / 56], abs=1e-6)


def test_a_slanted_peak_is_found_within_a_fifth_of_a_cell() -> None:
    points, _ = decode_subcell(quadratic_peak(20.3, 30.4, slant=1.0))
    assert points.tolist() == pytest.approx([20.8 / 56, 30.9 / 56], abs=0.2 / 56)


@pytest.mark.parametrize("cell", [(0, 0), (55, 0), (0, 55), (55, 55), (55, 20)])
def test_a_peak_on_the_border_stays_in_its_cell(cell: tuple[int, int]) -> None:
    maps = torch.zeros(56, 56)
    maps[cell[1], cell[0]] = 5.0
    points, peak = decode_subcell(maps)
    assert points.tolist() == pytest.approx([(cell[0] + 0.5) / 56, (cell[1] + 0.5) / 56])
    assert peak == 5


def test_bicubic_by_hand() -> None:
    """A box of the map's own size: no resizing, so the cell's own centre."""
    maps = torch.zeros(1, 1, 56, 56)
    maps[0, 0, 10, 30] = 1
    points, peak = decode_bicubic(maps, torch.tensor([[100.0, 100, 156, 156]]))
    assert points[0, 0].tolist() == pytest.approx([30.5 / 56, 10.5 / 56])
    assert peak.item() == 1


def test_no_boxes_decode_to_no_points() -> None:
    points, peak = decode_bicubic(torch.zeros(0, 17, 56, 56), torch.zeros(0, 4))
    assert points.shape == (0, 17, 2)
    assert peak.shape == (0, 17)


def test_the_two_decodings_differ_by_less_than_a_cell() -> None:
    """On peaks as the head makes them (28x28 logits, bilinear x2). Figures: of a RoI of 120 x 240 px, in px."""
    torch.manual_seed(0)
    centres = torch.rand(16, 17, 2) * 22 + 3
    grid = torch.arange(28.0)
    squares = (grid - centres[..., :1]) ** 2, (grid - centres[..., 1:]) ** 2
    small = 8 * torch.exp(-(squares[1][..., :, None] + squares[0][..., None, :]) / (2 * 1.5**2))
    maps = BilinearUpsample()(small)
    boxes = torch.tensor([[50.0, 60, 170, 300]]).repeat(16, 1)
    subcell = place_in_boxes(decode_subcell(maps)[0], boxes)
    bicubic = place_in_boxes(decode_bicubic(maps, boxes)[0], boxes)
    difference = (subcell - bicubic).norm(dim=-1)
    assert difference.mean() < 1.2
    assert difference.max() < 3.5
    truth = place_in_boxes((centres + 0.5) / 28, boxes)
    assert (subcell - truth).norm(dim=-1).mean() <= (bicubic - truth).norm(dim=-1).mean()


def test_softmax_peak_equals_the_softmax() -> None:
    maps = torch.randn(3, 17, 56, 56) * 4
    peak = maps.flatten(-2).amax(dim=-1)
    expected = maps.flatten(-2).softmax(dim=-1).amax(dim=-1)
    torch.testing.assert_close(softmax_peak(maps, peak), expected)


def test_upsampling_as_matrices_equals_torchs() -> None:
    maps = torch.randn(2, 34, 28, 28, dtype=torch.float64)
    upsample = BilinearUpsample()
    expected = upsample(maps)
    upsample.as_matrices = True
    torch.testing.assert_close(upsample(maps), expected, rtol=0, atol=1e-12)


def test_calibration_is_the_identity_until_set() -> None:
    peaks = torch.rand(50)
    torch.testing.assert_close(ScoreCalibration()(peaks), peaks)


def test_calibration_interpolates_between_its_knots() -> None:
    calibration = ScoreCalibration()
    peaks = torch.linspace(0, 1, 17) ** 2
    scores = torch.linspace(0, 1, 17).sqrt() * 0.8 + 0.1
    calibration.set(peaks, scores)
    torch.testing.assert_close(calibration(peaks), scores)
    middle = calibration((peaks[1:] + peaks[:-1]) / 2)
    torch.testing.assert_close(middle, (scores[1:] + scores[:-1]) / 2)


@pytest.mark.parametrize(
    ("peaks", "scores", "message"),
    [
        (torch.linspace(0, 1, 9), torch.linspace(0, 1, 9), "expected 17 knots"),
        (torch.linspace(0, 2, 17), torch.linspace(0, 1, 17), "increasing from 0 to 1"),
        (torch.linspace(0, 1, 17), torch.linspace(1, 0, 17), "not decreasing"),
        (torch.linspace(0, 1, 17), torch.linspace(0, 1.5, 17), "within 0-1"),
    ],
)
def test_calibration_must_be_monotone(peaks: torch.Tensor, scores: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScoreCalibration().set(peaks, scores)
