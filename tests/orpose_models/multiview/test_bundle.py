"""Bundle adjustment finds the poses that made the pixels, with points that are free and with a rigid board."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("scipy")

from orpose_models.multiview.bundle import Observations, adjust, project, triangulate
from orpose_models.multiview.compare import differences


def disturbed(cameras, rng):
    """All but the first camera displaced by a few centimetres and degrees."""
    moved = {}
    for index, (name, camera) in enumerate(cameras.items()):
        pose = camera.room_from_camera.copy()
        if index:
            left, _, right = np.linalg.svd(pose[:3, :3] + rng.normal(0, 0.03, (3, 3)))
            pose[:3, :3] = left @ right
            pose[:3, 3] += rng.normal(0, 0.05, 3)
        moved[name] = dataclasses.replace(camera, room_from_camera=pose)
    return moved


def sightings(cameras, points, rng, px=0.0) -> Observations:
    pixels = [project(camera, points) for camera in cameras.values()]
    rows = [(c, k, *p) for c, own in enumerate(pixels) for k, p in enumerate(own) if np.isfinite(p).all()]
    table = np.array(rows)
    return Observations(
        table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:] + rng.normal(0, px, (len(table), 2)),
        np.ones(len(table)),
    )  # fmt: skip


def test_free_points(room):
    rng = np.random.default_rng(0)
    points = rng.uniform((-1, -1, 0), (1, 1, 2), (60, 3))
    seen = sightings(room.cameras, points, rng, px=0.5)
    start = disturbed(room.cameras, rng)
    fit = adjust(start, points + rng.normal(0, 0.05, points.shape), seen)
    assert np.median(fit.errors_px) < 1
    for name, (turn_deg, _, ratio) in differences(fit.cameras, room.cameras).items():
        assert turn_deg < 0.3 < differences(start, room.cameras)[name].turn_deg
        assert ratio == pytest.approx(1, abs=0.1)  # rays know no size


def test_a_rigid_board_knows_its_size(room):
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(5) * 0.1, np.arange(4) * 0.1), axis=-1).reshape(-1, 2)
    board = np.column_stack([grid, np.zeros(20)])
    places = [board + rng.uniform((-0.7, -0.7, 0.3), (0.5, 0.5, 1.2)) for _ in range(8)]
    points = np.concatenate(places)
    rigid = [np.arange(20 * i, 20 * i + 20) for i in range(8)]
    seen = sightings(room.cameras, points, rng, px=0.2)
    fit = adjust(disturbed(room.cameras, rng), points + np.repeat(rng.normal(0, 0.03, (8, 3)), 20, axis=0), seen, rigid)
    for turn_deg, shift_m, _ in differences(fit.cameras, room.cameras).values():
        assert turn_deg < 0.2
        assert shift_m < 0.01


def test_some_wild_sightings_do_no_harm(room):
    rng = np.random.default_rng(2)
    points = rng.uniform((-1, -1, 0), (1, 1, 2), (60, 3))
    seen = sightings(room.cameras, points, rng, px=0.5)
    seen.pixels[::17] += 80
    fit = adjust(disturbed(room.cameras, rng), points, seen)
    assert max(difference.turn_deg for difference in differences(fit.cameras, room.cameras).values()) < 0.5


def test_triangulate_by_hand(room):
    points = np.array([[0.1, 0.2, 0.9], [-0.5, 0.3, 1.5]])
    cameras = list(room.cameras.values())
    pixels = np.stack([project(camera, points) for camera in cameras])
    np.testing.assert_allclose(triangulate(cameras, pixels, np.ones((3, 2))), points, atol=1e-3)
