"""Calibrations as ROS gives them: what is a lens, and what is none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpose_models.errors import CalibrationError
from orpose_models.intrinsics import lens_from_camera_info, lens_from_text

FRAME = (640, 480)


def camera_info(model: str = "plumb_bob", d: tuple[float, ...] = (), **changes):
    fields = {
        "width": 640,
        "height": 480,
        "distortion_model": model,
        "d": np.array(d),
        "k": np.array([500.0, 0, 319.5, 0, 510, 239.5, 0, 0, 1]),
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
        **changes,
    }
    return SimpleNamespace(**fields)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", ()),
        ("plumb_bob", (-0.2, 0.05, 0.001, -0.002, 0.0)),
        ("rational_polynomial", (0.5, -2.0, 0.0004, -0.0002, 1.5, 0.4, -1.9, 1.4)),
        ("equidistant", (-0.01, 0.002, -0.0003, 0.0001)),
    ],
)
def test_the_three_models_as_opencv_has_them(model, d):
    import cv2

    lens = lens_from_camera_info(camera_info(model, d), FRAME)
    points = np.random.default_rng(0).uniform((-0.5, -0.4, 1.5), (0.5, 0.4, 4.0), (20, 3))
    k = camera_info().k.reshape(3, 3)
    zero = np.zeros(3)
    if model == "equidistant":
        expected, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, k, np.array(d))
    else:
        expected, _ = cv2.projectPoints(points, zero, zero, k, np.array(d or (0.0,) * 5))
    np.testing.assert_allclose(lens.project(points), expected.reshape(-1, 2) + 0.5, atol=1e-3)


def test_zeros_that_drivers_append_are_no_coefficients():
    lens = lens_from_camera_info(camera_info("rational_polynomial", (0.1,) * 8 + (0.0,) * 6), FRAME)
    assert lens.distortion == (0.1,) * 8


def test_a_smaller_stream_and_a_region_of_interest():
    half = lens_from_camera_info(camera_info(), (320, 240))
    assert (half.fx, half.fy, half.cx, half.cy) == (250, 255, 160, 120)
    roi = SimpleNamespace(x_offset=100, y_offset=40, width=320, height=240)
    cut = lens_from_camera_info(camera_info(roi=roi), (320, 240))
    assert (cut.fx, cut.cx, cut.cy) == (500, 220, 200)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"k": np.zeros(9)}, "not calibrated"),
        ({"k": np.full(9, np.nan)}, "not calibrated"),
        ({"width": 0, "height": 0}, "size is 0x0"),
        ({"width": 1280, "height": 720}, "1280x720 images, the frame is 640x480"),
        ({"model": "kannala_brandt4", "d": (0.1,)}, "expected one of plumb_bob"),
        ({"d": (0.1, 0.2)}, "expected 0 or 4 or 5 numbers"),
        ({"d": (float("nan"),) * 5}, "not calibrated"),
        ({"d": (-1e6, 0.0, 0.0, 0.0, 0.0)}, "the lens shows nothing"),
        ({"d": (1e300,) * 5}, "the lens shows nothing"),
        ({"model": "", "d": (0.1, 0.2, 0.0, 0.0)}, "expected one of plumb_bob"),
    ],
)
def test_what_is_no_calibration(changes, expected):
    with pytest.raises(CalibrationError, match=expected):
        lens_from_camera_info(camera_info(**changes), FRAME)


def test_no_model_and_no_coefficients_is_a_perfect_lens():
    assert lens_from_camera_info(camera_info(""), FRAME).model == "plumb_bob"


def test_four_numbers_and_the_file_of_camera_calibration(tmp_path):
    lens = lens_from_text("500,510,320,240", FRAME)
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == (500, 510, 320, 240)
    path = tmp_path / "camera.yaml"
    path.write_text(
        "image_width: 640\nimage_height: 480\ndistortion_model: plumb_bob\n"
        "camera_matrix: {rows: 3, cols: 3, data: [500, 0, 319.5, 0, 510, 239.5, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [-0.2, 0.05, 0, 0, 0]}\n"
    )
    lens = lens_from_text(str(path), FRAME)
    assert (lens.fx, lens.cx, lens.distortion) == (500, 320, (-0.2, 0.05, 0, 0, 0))


@pytest.mark.parametrize(
    ("text", "expected"), [("500,510,320,wide", "wide"), ("0,510,320,240", "focal"), ("none.yaml", "none.yaml")]
)
def test_what_is_no_text_of_a_calibration(text, expected):
    with pytest.raises(CalibrationError, match=expected):
        lens_from_text(text, FRAME)


def test_a_yaml_of_something_else(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("image_width: 640\n")
    with pytest.raises(CalibrationError, match="no camera_info"):
        lens_from_text(str(path), FRAME)


NUMBERS = st.floats(width=64) | st.floats(-2, 2) | st.sampled_from([0.0, 320.0, 500.0])


@given(
    model=st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant", "", "fisheye"]),
    d=st.lists(NUMBERS, max_size=14),
    k=st.lists(NUMBERS, min_size=9, max_size=9),
    size=st.tuples(st.sampled_from([0, 1, 320, 640, 2**32 - 1]), st.sampled_from([0, 240, 480])),
)
def test_whatever_comes_is_a_lens_that_works_or_one_error(model, d, k, size):
    info = camera_info(model, tuple(d), k=np.array(k), width=size[0], height=size[1])
    try:
        lens = lens_from_camera_info(info, FRAME)
    except CalibrationError as error:
        assert "\n" not in str(error)
        return
    rays = lens.rays(np.array([[0.0, 0.0], [320.0, 240.0], [640.0, 480.0]]))
    lengths = np.linalg.norm(rays, axis=1)
    np.testing.assert_allclose(lengths[np.isfinite(lengths)], 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [("500,500,nan,nan", "finite"), ("inf,500,320,240", "finite"), ("0,500,320,240", "focal lengths above 0")],
)
def test_four_numbers_that_are_no_lens(text, message):
    with pytest.raises(CalibrationError, match=f"{message}.*expected fx,fy,cx,cy in px"):
        lens_from_text(text, FRAME)
