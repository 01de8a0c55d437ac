"""Depth images: units, holes, edges, registration, and messages that do not fit."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from orpose_models.depth import depth_from_array, depth_from_message, nearest_stamp, read_depth
from orpose_models.errors import ImageError

SIZE = (8, 6)


def flat(metres: float = 2.0, dtype: type = np.uint16) -> np.ndarray:
    return np.full((6, 8), metres * 1000 if dtype is np.uint16 else metres, dtype)


def message(values: np.ndarray, encoding: str = "16UC1", padding: int = 0, big: bool = False, **changes):
    rows = np.pad(values.view(np.uint8).reshape(len(values), -1), ((0, 0), (0, padding)), constant_values=77)
    if big:
        rows = values.byteswap().view(np.uint8).reshape(len(values), -1)
    fields = {
        "height": values.shape[0],
        "width": values.shape[1],
        "encoding": encoding,
        "step": rows.shape[1],
        "is_bigendian": big,
        "data": rows.tobytes(),
        **changes,
    }
    return SimpleNamespace(**fields)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_millimetres_and_metres_are_metres(dtype):
    assert depth_from_array(flat(2.5, dtype), "x").at(np.array([[4.0, 3.0]]), SIZE) == pytest.approx([2.5])


def test_the_median_of_the_nine_that_are_valid():
    values = flat(dtype=np.float32)
    values[2:5, 3:6] = [[1.0, 1.1, np.nan], [0.0, 1.2, 1.3], [np.inf, 99.0, 1.4]]
    assert depth_from_array(values, "x").at(np.array([[4.5, 3.5]]), SIZE) == pytest.approx([1.2])


def test_unknown_where_fewer_than_three_are_valid_and_outside_the_image():
    values = np.zeros((6, 8), np.uint16)
    values[2, 3:5] = 2000
    depth = depth_from_array(values, "x")
    found = depth.at(np.array([[4.5, 3.5], [-0.1, 3.0], [8.0, 3.0], [np.nan, 1.0]]), SIZE)
    assert np.isnan(found).all()


def test_the_corner_pixel_has_four_neighbours():
    assert depth_from_array(flat(), "x").at(np.array([[0.0, 0.0]]), SIZE) == pytest.approx([2.0])


def test_depth_of_another_resolution_is_scaled_and_of_another_aspect_refused():
    values = flat()
    values[:, 4:] = 3000
    depth = depth_from_array(values, "x")
    assert depth.at(np.array([[100.0, 300.0], [700.0, 300.0]]), (800, 600)) == pytest.approx([2.0, 3.0])
    with pytest.raises(ImageError, match="8x6, the frame 640x360: not registered"):
        depth.at(np.zeros((1, 2)), (640, 360))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("encoding", "dtype"), [("16UC1", np.uint16), ("mono16", np.uint16), ("32FC1", np.float32)])
def test_messages(encoding, dtype, big):
    depth = depth_from_message(message(flat(1.75, dtype), encoding, big=big))
    assert depth.at(np.array([[4.0, 3.0]]), SIZE) == pytest.approx([1.75])


def test_padded_rows():
    depth = depth_from_message(message(flat(), padding=6))
    assert depth.at(np.array([[7.5, 5.5]]), SIZE) == pytest.approx([2.0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"encoding": "bgr8"}, "encoding 'bgr8', expected 16UC1"),
        ({"encoding": "32FC1"}, "step >= 32"),
        ({"step": 3}, "step 3"),
        ({"height": 0}, "8x0"),
        ({"data": b"123"}, "3 bytes"),
    ],
)
def test_messages_that_do_not_fit(changes, expected):
    with pytest.raises(ImageError, match=expected):
        depth_from_message(message(flat(), **changes))


def test_files(tmp_path):
    cv2.imwrite(str(tmp_path / "mm.png"), flat(1.5))
    cv2.imwrite(str(tmp_path / "m.tiff"), flat(1.5, np.float32))
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((6, 8), np.uint8))
    for name in ("mm.png", "m.tiff"):
        assert read_depth(tmp_path / name).at(np.array([[4.0, 3.0]]), SIZE) == pytest.approx([1.5])
    for name, expected in (("grey.png", "got uint8"), ("none.png", "no depth image that can be read")):
        with pytest.raises(ImageError, match=expected):
            read_depth(tmp_path / name)


@pytest.mark.parametrize(
    ("stamp", "expected"), [(100, 100), (108, 110), (161, None), (160, 110), (50, 100), (49, None)]
)
def test_the_nearest_stamp_within_the_tolerance(stamp, expected):
    assert nearest_stamp([110, 100], stamp, 50) == expected
    assert nearest_stamp([], stamp, 50) is None
