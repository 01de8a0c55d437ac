"""A camera that was turned is named with its angle; noise alone is no reason; clocks that disagree are named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from orpose_models.multiview.sights import sights_of
from orpose_models.multiview.watch import ClockWatch, DriftWatch


def turned(camera, deg: float, axis: str = "y"):
    """The camera after it was turned about an axis of its own."""
    c, s = np.cos(np.radians(deg)), np.sin(np.radians(deg))
    rotations = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    pose = camera.room_from_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ np.array(rotations[axis])
    return dataclasses.replace(camera, room_from_camera=pose)


def watch_moments(room, moved, names=("cam1", "cam2", "cam3"), px=6.0, people=1, count=60) -> DriftWatch:
    """Watches people by cameras that think they are where they were calibrated; `moved` are where they really are."""
    watch, rng = DriftWatch(warn_deg=1.0), np.random.default_rng(0)
    for _ in range(count):
        places = rng.uniform(-1, 1, (people, 2))
        standing = [room.standing(*place, rng.uniform(0, 360)) for place in places]
        sights = {}
        for name in names:
            real = moved.get(name, room.cameras[name])
            sights[name] = sights_of(room.cameras[name], [room.person(real, joints, rng, px) for joints in standing])
        watch.add(sights)
    return watch


@pytest.mark.parametrize("people", [1, 3])
def test_noise_alone_is_no_movement(room, people):
    watch = watch_moments(room, {}, people=people, px=10)
    assert watch.movement() is None
    assert 0 < max(watch.misses_m().values()) < 0.1


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("name", ["cam1", "cam2", "cam3"])
def test_a_turned_camera_is_named_with_its_angle(room, name, axis):
    movement = watch_moments(room, {name: turned(room.cameras[name], 4, axis)}).movement()
    assert movement.cameras == (name,)
    assert movement.angle_deg == pytest.approx(4, rel=0.35)


def test_a_pushed_camera_is_named(room):
    pose = room.cameras["cam2"].room_from_camera.copy()
    pose[:3, 3] += (0.2, 0.0, 0.1)
    moved = dataclasses.replace(room.cameras["cam2"], room_from_camera=pose)
    movement = watch_moments(room, {"cam2": moved}).movement()
    assert movement.cameras == ("cam2",)


def test_with_two_cameras_nobody_can_tell_which(room):
    movement = watch_moments(room, {"cam1": turned(room.cameras["cam1"], 5)}, names=("cam1", "cam2")).movement()
    assert movement.cameras == ("cam1", "cam2")
    assert str(movement).startswith("cam1 or cam2 seems to have moved, as if turned by")


def test_a_few_people_are_no_reason(room):
    assert watch_moments(room, {"cam1": turned(room.cameras["cam1"], 5)}, count=5).movement() is None


def test_less_than_the_limit_is_no_movement(room):
    assert watch_moments(room, {"cam1": turned(room.cameras["cam1"], 0.5)}, px=1).movement() is None


def test_joints_that_are_too_coarse_tell_nothing(room):
    """Half a body of noise, and a camera turned by five degrees: nobody can tell one from the other."""
    watch = watch_moments(room, {"cam1": turned(room.cameras["cam1"], 5)}, px=60, people=3)
    assert watch.movement() is None


def test_clocks():
    watch, rng = ClockWatch(warn_s=0.1), np.random.default_rng(0)
    assert watch.disagreement() == ""
    for step in range(60):
        for name, ahead_s in (("cam1", 0.0), ("cam2", 0.48), ("cam3", 0.02)):
            arrived_s = 1000 + step * 0.1 + rng.uniform(0, 0.03)
            watch.add(name, round((step * 0.1 + ahead_s) * 1e9), arrived_s)
    assert watch.ahead_s()["cam2"] == pytest.approx(0.48, abs=0.02)
    assert "stamps of cam2 are 0.48 s ahead of those of cam1" in watch.disagreement()


def test_clocks_that_agree():
    watch = ClockWatch(warn_s=0.1)
    for step in range(60):
        for name, delay_s in (("cam1", 0.02), ("cam2", 0.08)):
            watch.add(name, step * 10**8, step * 0.1 + delay_s)
    assert watch.disagreement() == ""
