"""Privacy downsampling: sizes by hand, filter against Pillow's and against its definition, cost."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from orpose_models.runtime.downsample import downsampled_size, privacy_downsample


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [
        ((640, 480), 1, (640, 480)),
        ((640, 480), 12, (53, 40)),
        ((1920, 1080), 12, (71, 40)),
        ((320, 240), 12, (53, 40)),
        ((640, 480), 8, (80, 60)),
        ((640, 480), 10, (64, 48)),
        ((480, 640), 12, (30, 40)),
        ((1920, 1080), 1, (1920, 1080)),  # S = 1 changes nothing
        ((1920, 1080), 1.5, (568, 320)),
        ((53, 40), 12, (53, 40)),  # reduced already
        ((53, 40), 6, (53, 40)),  # never enlarged
        ((320, 240), 1.5, (320, 240)),
        ((1, 1), 12, (1, 1)),
        ((8000, 6000), 12, (53, 40)),
        ((3, 4000), 12, (1, 40)),
    ],
)
def test_sizes(size, factor, expected):
    assert downsampled_size(size, factor) == expected
    image = np.zeros((size[1], size[0], 3), np.uint8)
    assert privacy_downsample(image, factor).shape == (expected[1], expected[0], 3)


def test_factor_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        downsampled_size((640, 480), 0.5)


def test_unchanged_image_is_not_copied():
    image = np.zeros((480, 640, 3), np.uint8)
    assert privacy_downsample(image, 1) is image


def test_agrees_with_pillow():
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((53, 40), Image.Resampling.BILINEAR))
    assert np.abs(privacy_downsample(image, 12).astype(int) - expected).max() <= 1


def test_is_the_triangle_filter_computed_by_hand():
    # One bright column in 24, reduced by 12: the output centre 6 (edges convention) lies 0.5 px left of the bright
    # pixel's centre 6.5, so its weight is (1 - 0.5 / 12) over the sum of all weights of the taps inside the image.
    image = np.zeros((480, 24, 3), np.uint8)
    image[:, 6] = 240
    taps = np.clip(1 - np.abs(np.arange(24) + 0.5 - 6) / 12, 0, None)
    expected = 240 * taps[6] / taps.sum()
    small = privacy_downsample(image, 12)
    assert small.shape == (40, 2, 3)
    assert abs(float(small[20, 0, 0]) - expected) <= 1


def test_no_detail_survives_as_aliasing():
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    small = privacy_downsample(stripes, 12)
    assert np.abs(small.astype(int) - 127.5).max() <= 12


def test_cost():
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    durations_ms = []
    for _ in range(20):
        started = time.perf_counter()
        privacy_downsample(image, 12)
        durations_ms.append((time.perf_counter() - started) * 1e3)
    assert min(durations_ms) < 5  # about 1 ms on an idle core
