"""Lenses against numbers worked out by hand and against OpenCV; rays and projection undo each other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from orpose_models.lens import Lens

FISHEYE = (0.02, -0.01, 0.003, -0.0004)


def lens(*distortion: float, model: str = "plumb_bob") -> Lens:
    return Lens(model, 100.0, 100.0, 320.0, 240.0, distortion)


@pytest.mark.parametrize(
    ("point", "distortion", "pixel"),
    [
        ((1.0, 0.0, 2.0), (), (370.0, 240.0)),  # x / z = 0.5
        ((1.0, 0.0, 2.0), (-0.1, 0, 0, 0, 0), (368.75, 240.0)),  # 0.5 (1 - 0.1 x 0.25) = 0.4875
        ((0.0, 1.0, 2.0), (-0.1, 0.02, 0, 0, 0), (320.0, 288.8125)),  # 0.5 (1 - 0.025 + 0.02 / 16) = 0.488125
        ((1.0, 0.0, 2.0), (0, 0, 0.01, 0.02, 0), (371.5, 240.25)),  # p2 (r2 + 2 x2) = 0.015; p1 r2 = 0.0025
    ],
)
def test_pinhole_projection_by_hand(point, distortion, pixel):
    np.testing.assert_allclose(lens(*distortion).project(np.array([point]))[0], pixel, atol=1e-9)


@pytest.mark.parametrize(
    ("point", "distortion", "pixel"),
    [
        ((2.0, 0.0, 2.0), (), (320 + 100 * np.pi / 4, 240.0)),  # 45 degrees right
        ((0.0, -3.0, 0.1), (), (320.0, 240 - 100 * np.arctan2(3, 0.1))),  # nearly 90 degrees up
        ((0.0, np.tan(0.5), 1.0), (0.04, 0, 0, 0), (320.0, 240 + 100 * 0.505)),  # 0.5 (1 + 0.04 x 0.25)
        ((0.0, 0.0, 2.0), FISHEYE, (320.0, 240.0)),
    ],
)
def test_fisheye_projection_by_hand(point, distortion, pixel):
    np.testing.assert_allclose(lens(*distortion, model="equidistant").project(np.array([point]))[0], pixel, atol=1e-9)


def points_in_front(widest: float) -> np.ndarray:
    """`(500, 3)` m, up to `widest` rad off the axis."""
    rng = np.random.default_rng(0)
    angle, around, distance = rng.uniform(0, widest, 500), rng.uniform(0, 2 * np.pi, 500), rng.uniform(0.5, 5, 500)
    sideways = np.sin(angle) * distance
    return np.stack([sideways * np.cos(around), sideways * np.sin(around), np.cos(angle) * distance], axis=1)


def test_opencv_projects_to_the_same_pixels():
    matrix = np.array([[100.0, 0, 320], [0, 100, 240], [0, 0, 1]])
    zero = np.zeros(3)
    wide, narrow = points_in_front(1.5), points_in_front(0.7)
    expected = cv2.fisheye.projectPoints(wide[:, None], zero, zero, matrix, np.array(FISHEYE))[0][:, 0]
    np.testing.assert_allclose(lens(*FISHEYE, model="equidistant").project(wide), expected, atol=1e-6)
    for model, distortion in (
        ("plumb_bob", (-0.1, 0.01, 1e-3, -2e-3, 0.001)),
        ("rational_polynomial", (0.4, 0.1, 1e-3, -1e-3, 0.02, 0.5, 0.2, 0.05)),
    ):
        expected = cv2.projectPoints(narrow, zero, zero, matrix, np.array(distortion))[0][:, 0]
        np.testing.assert_allclose(lens(*distortion, model=model).project(narrow), expected, atol=1e-6)


@pytest.mark.parametrize(("model", "distortion"), [
    ("plumb_bob", ()), ("plumb_bob", (-0.16, 0.02, 0, 0)), ("plumb_bob", (0.02, 0, 0, 0, 0)),
    ("plumb_bob", (-0.1, 0.01, 1e-3, -2e-3, 0)),
    ("rational_polynomial", (0.4, 0.1, 1e-3, -1e-3, 0.02, 0.5, 0.2, 0.05)),
    ("equidistant", ()), ("equidistant", FISHEYE),
])  # fmt: skip
def test_rays_come_back_to_their_pixels(model, distortion):
    narrow = Lens(model, 31.0, 30.5, 32.4, 23.7, distortion)
    u, v = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    pixels = np.stack([u.ravel(), v.ravel()], 1)
    rays = narrow.rays(pixels)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(narrow.project(rays * 3.0), pixels, atol=2e-4)


def test_what_the_lens_does_not_see_has_no_pixel_and_no_ray():
    behind = np.array([[0.1, 0.0, -1.0]])
    assert np.isnan(lens().project(behind)).all()
    fisheye = lens(model="equidistant")
    assert np.isnan(fisheye.project(behind)).all()
    edge = 100 * np.pi / 2
    rays = fisheye.rays(np.array([[320 + edge - 2, 240.0], [320 + edge + 1, 240.0]]))
    assert np.isfinite(rays[0]).all() and 0 < rays[0, 2] < 0.03
    assert np.isnan(rays[1]).all()


def test_a_lens_whose_polynomial_turns_back_ends_there():
    """angle (1 - 0.25 angle^2) has its largest radius, 0.77, at 1.155 rad."""
    fisheye = lens(-0.25, 0, 0, 0, model="equidistant")
    assert np.isnan(fisheye.project(np.array([[np.sin(1.3), 0, np.cos(1.3)]]))).all()
    assert np.isnan(fisheye.rays(np.array([[320 + 80.0, 240.0]]))).all()


@pytest.mark.parametrize(("values", "message"), [
    (("fisheye", 1.0, 1.0, 0.0, 0.0), "model: expected one of plumb_bob"),
    (("plumb_bob", 1.0, 1.0, 0.0, 0.0, (0.1,)), "expected 0 or 4 or 5 numbers for plumb_bob, got 1"),
    (("equidistant", 1.0, 1.0, 0.0, 0.0, (0.1,) * 5), "expected 0 or 4 numbers for equidistant, got 5"),
    (("plumb_bob", 0.0, 1.0, 0.0, 0.0), "expected focal lengths above 0 px, got 0, 1"),
])  # fmt: skip
def test_bad_lenses_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Lens(*values)
