"""Random views: what a camera sees of a pose, by hand, and that the two ways to 3D agree."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from training.distill.lifter_views import _about_z, _axes, _project, random_views  # noqa: E402


def test_a_level_camera_looks_along_x_with_its_right_to_minus_y():
    right, down, forward = _axes(*(torch.zeros(1) for _ in range(3)))[0]
    assert (right.tolist(), down.tolist(), forward.tolist()) == ([0, -1, 0], [0, 0, -1], [1, 0, 0])


def test_pitch_looks_down_and_roll_turns_about_the_view():
    right, down, forward = _axes(torch.zeros(1), torch.tensor([math.pi / 2]), torch.tensor([math.pi / 2]))[0]
    torch.testing.assert_close(forward, torch.tensor([0.0, 0, -1]), atol=1e-6, rtol=0)
    torch.testing.assert_close(right, torch.tensor([-1.0, 0, 0]), atol=1e-6, rtol=0)  # what was down: away from x
    torch.testing.assert_close(torch.linalg.cross(right, down), forward, atol=1e-6, rtol=0)


def test_pixels_by_hand():
    points = torch.tensor([[[0.5, -1.0, 2.0]], [[1.0, 0.0, 1.0]], [[0.0, 0.0, -1.0]]])
    pixels, in_front = _project(points, torch.tensor([400.0, 100.0, 400.0]), torch.tensor([False, True, False]))
    torch.testing.assert_close(pixels[0, 0], torch.tensor([420.0, 40.0]))
    torch.testing.assert_close(pixels[1, 0], torch.tensor([320 + 100 * math.pi / 4, 240.0]))  # 45 degrees off the axis
    assert in_front[:, 0].tolist() == [True, True, False]


def test_turning_about_the_vertical():
    turned = _about_z(torch.tensor([math.pi / 2])) @ torch.tensor([1.0, 0.0, 3.0])
    torch.testing.assert_close(turned, torch.tensor([[0.0, 1.0, 3.0]]), atol=1e-6, rtol=0)


def test_views_show_the_pose_upright_and_keep_its_lengths():
    pose = torch.randn(1, 17, 3, generator=torch.Generator().manual_seed(0)) * 0.3 + torch.tensor([4.0, -2.0, 1.0])
    pixels, inside, points = random_views(pose.repeat(400, 1, 1), torch.Generator().manual_seed(1))
    lengths, expected = torch.cdist(points, points), torch.cdist(pose, pose)
    torch.testing.assert_close(lengths, expected.expand_as(lengths), atol=1e-3, rtol=1e-3)
    assert (inside.sum(dim=1) >= 9).float().mean() > 0.98
    shown = pixels[inside]
    assert (shown >= 0).all() and (shown[:, 0] < 640).all() and (shown[:, 1] < 480).all()
    assert shown.std(dim=0).min() > 60  # anywhere in the frame
