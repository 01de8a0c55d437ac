"""Projection against numbers worked out by hand; rays and projection undo each other."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic_or.rooms.cameras import Camera, look_at, sample_cameras, sample_families

FAMILIES = ("mvor", "ceiling", "between", "fisheye", "eye")


def camera(*distortion: float, size: tuple[int, int] = (640, 480), pose: np.ndarray | None = None) -> Camera:
    return Camera(size, 100.0, 100.0, 320.0, 240.0, distortion or (0.0,) * 5, np.eye(4) if pose is None else pose)


def test_sampled_lenses_follow_their_written_polynomial_up_to_the_corners():
    """Beyond the turning point of its polynomial a lens would need another model than the one written down."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        for lens in sample_cameras(
            ["mvor", "ceiling", "between"], (64, 48), np.array([0, 0, 0.9]), np.array([6.0, 6, 3]), rng
        ):
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


@pytest.mark.parametrize("family", FAMILIES)
def test_cameras_hang_in_the_room(family):
    room = np.array([5.0, 6.0, 2.8])
    rng = np.random.default_rng(1)
    for _ in range(50):
        for view in sample_cameras([family] * 3, (640, 480), np.array([0.3, -0.2, 0.9]), room, rng):
            assert (np.abs(view.room_from_camera[:2, 3]) < room[:2] / 2).all()
            assert 1.0 < view.room_from_camera[2, 3] < room[2]
            assert np.linalg.det(view.room_from_camera[:3, :3]) == pytest.approx(1)


def test_unknown_families_are_refused():
    with pytest.raises(ValueError, match="family: expected mvor, ceiling, fisheye, between or eye, got 'wide'"):
        sample_cameras(["wide"], (64, 48), np.zeros(3), np.array([5.0, 5, 3]), np.random.default_rng(0))


def test_a_tenth_of_the_operating_rooms_has_fisheyes_and_families_can_be_asked_for():
    rng = np.random.default_rng(0)
    drawn = [sample_families("mixed", "or", 3, rng) for _ in range(1000)]
    assert 70 < sum("fisheye" in families for families in drawn) < 130
    assert {family for families in drawn for family in families} == {"mvor", "ceiling", "between", "fisheye"}
    assert sample_families("fisheye", "everyday", 2, rng) == ["fisheye", "fisheye"]
    assert sample_families("mixed", "everyday", 2, rng) == ["eye", "eye"]


def test_cameras_are_those_of_the_real_rooms():
    """Focal lengths (px), heights (m), pitches and MVOR's distances from the table as measured in real rooms."""
    table, room, rng = np.array([0.0, 0, 0.9]), np.array([9.0, 9, 3.5]), np.random.default_rng(2)
    for family, focal, height, pitch_deg in (
        ("mvor", (520, 555), (2.05, 2.5), (26, 40)),
        ("ceiling", (300, 340), (2.45, 3.2), (28, 80)),
    ):
        for view in sample_cameras([family] * 100, (640, 480), table, room, rng):
            x, y, z = view.room_from_camera[:3, 3]
            down = np.degrees(np.arcsin(-view.room_from_camera[2, 2]))
            assert focal[0] <= view.fx <= focal[1] and height[0] <= z <= height[1]
            assert pitch_deg[0] - 0.1 <= down <= pitch_deg[1] + 0.1
            assert family != "mvor" or 1.9 <= np.hypot(x, y) <= 3.2


def test_fisheyes_look_down_and_their_pixels_outside_the_circle_have_no_ray():
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(40):
        (view,) = sample_cameras(["fisheye"], (64, 48), np.array([0.0, 0, 0.9]), np.array([6.0, 6, 3]), rng)
        assert view.model == "equidistant"
        assert view.room_from_camera[2, 2] < -0.96
        rays = view.rays
        assert (rays.directions[:, 2] > 0).all()
        u, v = rays.pixels % 64 + 0.5, rays.pixels // 64 + 0.5
        np.testing.assert_allclose(view.project(rays.directions.astype(float)), np.stack([u, v], 1), atol=1e-3)
        shares.append(len(rays.pixels) / (64 * 48))
    assert min(shares) < 0.65 and max(shares) > 0.95  # round images and ones cut by the frame


def test_a_resized_camera_sees_the_same():
    table, room, rng = np.array([0.0, 0, 0.9]), np.array([6.0, 6, 3]), np.random.default_rng(0)
    (view,) = sample_cameras(["fisheye"], (640, 480), table, room, rng)
    points = np.array([[0.3, -0.2, 1.0], [-2.0, 1.0, 0.4]])
    np.testing.assert_allclose(view.resized((320, 120)).project(points), view.project(points) * (0.5, 0.25))
