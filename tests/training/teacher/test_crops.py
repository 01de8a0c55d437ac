"""Crop geometry against numbers computed by hand, and the way there and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from training.teacher.crops import CropStyle, cells_to_image, crop_people, crop_regions, unzoomed

PUBLISHED = CropStyle((192, 256), unbiased=False)
UNBIASED = CropStyle((192, 256), unbiased=True)
TALL, WIDE = [100, 50, 160, 250], [100, 50, 400, 150]


@pytest.mark.parametrize(("box", "centre", "side"), [
    (TALL, [130, 150], [200 * 0.75 * 1.25, 200 * 1.25]),  # too narrow: the height counts
    (WIDE, [250, 100], [300 * 1.25, 300 / 0.75 * 1.25]),  # too wide: the width counts
])  # fmt: skip
def test_regions_have_the_crops_aspect_and_padding(box, centre, side):
    centres, sides = crop_regions(np.array([box]), PUBLISHED)
    np.testing.assert_allclose([centres[0], sides[0]], [centre, side])
    np.testing.assert_allclose(crop_regions(np.array([box]), PUBLISHED, zoom=2.0)[1][0], np.array(side) * 2)


@pytest.mark.parametrize(("style", "cell", "expected"), [
    # 250 px over 64 cells of the published way: cell 32 is the centre; one cell is 3.90625 px; + 0.5 for the edge
    (PUBLISHED, [24, 32], [130.5, 150.5]),
    (PUBLISHED, [25, 32], [130.5 + 3.90625, 150.5]),
    # unbiased: the centre is between the cells, and the first cell is the crop's first pixel
    (UNBIASED, [23.5, 31.5], [130.5, 150.5]),
    (UNBIASED, [0, 0], [130 - 187.5 / 2 + 0.5, 150 - 125 + 0.5]),
    (UNBIASED, [47, 63], [130 + 187.5 / 2 + 0.5, 150 + 125 + 0.5]),
])  # fmt: skip
def test_cells_in_the_image(style, cell, expected):
    points = cells_to_image(np.array([[cell]], float), np.array([TALL]), (48, 64), style)
    np.testing.assert_allclose(points[0, 0], expected)


@pytest.mark.parametrize("style", [PUBLISHED, UNBIASED])
@pytest.mark.parametrize("zoom", [1.0, 1.3])
def test_a_bright_pixel_comes_back_to_where_it_is(style, zoom):
    image = np.zeros((300, 300, 3), np.uint8)
    cv2.circle(image, (141, 122), 6, (255, 255, 255), -1)  # middles of pixels: (141.5, 122.5) from the edges
    (crop,) = crop_people(image, np.array([TALL]), style, zoom)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    cells = np.array([[[columns.mean(), rows.mean()]]])
    span = style.span(style.size)
    plain = (cells - span / 2) * zoom + span / 2
    np.testing.assert_allclose(
        cells_to_image(plain, np.array([TALL]), style.size, style)[0, 0], [141.5, 122.5], atol=0.3
    )


@pytest.mark.parametrize("style", [PUBLISHED, UNBIASED])
def test_heatmaps_of_an_enlarged_crop_come_back_to_the_plain_ones_cells(style):
    span = style.span((48, 64))
    cell = np.array([30.0, 40.0])  # in the plain crop
    zoomed = (cell - span / 2) / 1.25 + span / 2
    y, x = np.mgrid[:64, :48]
    maps = np.exp(-((x - zoomed[0]) ** 2 + (y - zoomed[1]) ** 2) / (2 * 2.0**2))[None, None]
    back = unzoomed(torch.from_numpy(maps), 1.25, style)[0, 0].numpy()
    np.testing.assert_allclose([(back * x).sum(), (back * y).sum()] / back.sum(), cell, atol=0.02)
    assert back.max() == pytest.approx(1, abs=0.06)


def test_a_scale_of_one_changes_nothing():
    maps = torch.rand(2, 17, 64, 48)
    assert unzoomed(maps, 1.0, PUBLISHED) is maps


def test_what_is_outside_of_the_image_is_black():
    crops = crop_people(np.full((40, 40, 3), 255, np.uint8), np.array([[-100.0, -100, -50, -20]]), PUBLISHED)
    assert crops.shape == (1, 256, 192, 3) and crops.max() == 0
