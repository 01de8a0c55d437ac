"""Projection against numbers worked out by hand; rays and projection undo each other."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic_or.cameras import Camera, look_at, sample_cameras


def camera(*distortion: float, size: tuple[int, int] = (640, 480), pose: np.ndarray | None = None) -> Camera:
    return Camera(size, 100.0, 100.0, 320.0, 240.0, distortion or (0.0,) * 5, np.eye(4) if pose is None else pose)


def test_sampled_lenses_follow_their_written_polynomial_up_to_the_corners():
    """Beyond the turning point of its polynomial a lens would need another model than the one written down."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        for lens in sample_cameras("or", 2, (64, 48), np.array([0, 0, 0.9]), np.array([6.0, 6, 3]), rng):
            k1, k2, _, _, k3 = lens.distortion
            x, y, z = lens.rays.directions.T
            r2 = (x / z) ** 2 + (y / z) ** 2
            assert (1 + 3 * k1 * r2 + 5 * k2 * r2**2 + 7 * k3 * r2**3 > 0.05).all()


def test_look_at():
    pose = look_at(np.array([0.0, -3.0, 2.0]), np.array([0.0, 0.0, 2.0]), 0.0)
    np.testing.assert_allclose(pose[:3, :3] @ [0, 0, 1], [0, 1, 0], atol=1e-12)  # forward
    np.testing.assert_allclose(pose[:3, :3] @ [0, 1, 0], [0, 0, -1], atol=1e-12)  # down
    np.testing.assert_allclose(pose[:3, :3] @ [1, 0, 0], [1, 0, 0], atol=1e-12)  # right
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_who_faces_the_camera_has_the_left_hand_on_the_right():
    """A person at the origin who faces -y, towards the camera: the left shoulder, at +x, is right in the image."""
    pose = look_at(np.array([0.0, -3.0, 1.4]), np.array([0.0, 0.0, 1.4]), 0.0)
    view = camera(pose=pose)
    left, right = view.project(view.camera_points_from_room(np.array([[0.2, 0, 1.4], [-0.2, 0, 1.4]])))
    assert left[0] > right[0]


@pytest.mark.parametrize("domain", ["or", "everyday"])
def test_cameras_hang_in_the_room(domain):
    room = np.array([5.0, 6.0, 2.8])
    rng = np.random.default_rng(1)
    for _ in range(50):
        for view in sample_cameras(domain, 3, (640, 480), np.array([0.3, -0.2, 0.9]), room, rng):
            assert (np.abs(view.room_from_camera[:2, 3]) < room[:2] / 2).all()
            assert 1.0 < view.room_from_camera[2, 3] < room[2]
