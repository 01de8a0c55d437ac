"""Everything a camera delivers becomes 8-bit BGR, or one clear error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orpose_models.errors import ImageError
from orpose_models.runtime.images import to_bgr8


@pytest.mark.parametrize(
    ("pixel", "dtype", "expected"),
    [
        (7, np.uint8, [7, 7, 7]),
        ([7], np.uint8, [7, 7, 7]),
        ([1, 2, 3], np.uint8, [1, 2, 3]),
        ([1, 2, 3, 99], np.uint8, [1, 2, 3]),
        (65535, np.uint16, [255, 255, 255]),
        ([257, 514, 128], np.uint16, [1, 2, 0]),
        ([129, 385, 0, 9], np.uint16, [1, 1, 0]),
        ([0.0, 0.5, 1.0], np.float32, [0, 128, 255]),
        (0.25, np.float64, [64, 64, 64]),
    ],
)
def test_one_pixel(pixel, dtype, expected):
    image = np.array(pixel, dtype)[None, None]
    assert to_bgr8(image).tolist() == [[expected]]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 0), np.uint8), "no pixels"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 4, 2), np.uint8), r"got shape \(4, 4, 2\)"),
        (np.zeros((4,), np.uint8), r"got shape \(4,\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), "got shape"),
        (np.full((4, 4), np.nan, np.float32), "nan"),
        (np.array([[0, np.nan]], np.float32), "nan"),
        (np.array([[0, np.inf]], np.float32), "inf"),
        (np.full((4, 4), 200.0, np.float32), "expected 0 to 1"),
        (np.zeros((4, 4), np.int32), "got int32"),
        (np.zeros((4, 4), bool), "got bool"),
        ([[0, 1]], "got list"),
    ],
)
def test_unusable_images_are_named(image, message):
    with pytest.raises(ImageError, match=message):
        to_bgr8(image)


def test_fitting_image_is_not_copied():
    image = np.zeros((480, 640, 3), np.uint8)
    assert to_bgr8(image) is image


def test_large_image():
    image = np.zeros((6000, 8000), np.uint16)
    assert to_bgr8(image).shape == (6000, 8000, 3)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4])),
    )
)
def test_keeps_order_and_range(image):
    result = to_bgr8(image)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    scale = 255 / np.iinfo(image.dtype).max
    expected = image[..., :3] if image.shape[2] > 1 else np.repeat(image, 3, 2)
    assert np.abs(result - expected * scale).max() <= 0.5 + 1e-6
    # Any view of the same pixels gives the same result.
    flipped = to_bgr8(image[::-1, ::-1])
    assert np.array_equal(flipped, result[::-1, ::-1])
