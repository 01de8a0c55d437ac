"""Cameras' poses from people: found from nothing but joints, with noise; what is too little or wrong is an error."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("scipy")

from orpose_models.errors import CalibrationError
from orpose_models.multiview.compare import differences
from orpose_models.multiview.depth_scale import scale_from_depth
from orpose_models.multiview.people import (
    PeopleCalibration,
    calibrate_people,
    in_room,
    room_axes,
    scale_from_height,
    scaled,
)


def record(room, names, count, *, px=2.0, mm=60.0, size=1.0, seed=0):
    """People standing about, moment by moment; their lifted poses have noise and a common error of size."""
    rng = np.random.default_rng(seed)
    moments = []
    for _ in range(count):
        standing = [room.standing(*rng.uniform(-1, 1, 2), rng.uniform(0, 360)) for _ in range(2)]
        moment = {}
        for name in names:
            found = []
            for joints in standing:
                person = room.person(room.cameras[name], joints, rng, px)
                lifted = person.keypoints_3d.copy()
                lifted[:, :3] = lifted[:, :3] * size + rng.normal(0, mm, (17, 3))
                found.append(dataclasses.replace(person, keypoints_3d=lifted))
            rng.shuffle(found)
            moment[name] = found
        moments.append(moment)
    return moments


@pytest.fixture(scope="module")
def calibrated(room) -> PeopleCalibration:
    return calibrate_people(room.cameras, record(room, room.cameras, 25, size=1.1))


def test_directions_and_places_up_to_size(room, calibrated):
    """The lifted poses are 10 % too large, and so is the room at first."""
    assert np.median(calibrated.adjusted.errors_px) < 3
    found = differences(scaled(calibrated.adjusted.cameras, 1 / 1.1), room.cameras)
    assert set(found) == {"cam2", "cam3"}
    for difference in found.values():
        assert difference.turn_deg < 1.0
        assert difference.shift_m < 0.15


def test_size_from_height(room, calibrated):
    """Stick figures have no anatomist's proportions: their limbs are those of somebody a little smaller."""
    scale = scale_from_height(calibrated.joints, 1.70)
    found = differences(scaled(calibrated.adjusted.cameras, scale), room.cameras)
    assert found["cam2"].distance_ratio == pytest.approx(1, abs=0.08)
    assert scale_from_height(calibrated.joints * 2, 1.70) == pytest.approx(scale / 2)


def test_size_from_depth(room, calibrated):
    """Every depth image is a plane at the true depth of a joint: its own, in the pixel where it is seen."""
    cameras, seen = calibrated.adjusted.cameras, calibrated.seen
    moment_of_point = np.repeat(calibrated.moments, calibrated.known.sum(axis=1))
    depths = [{name: np.full((480, 640), np.nan) for name in cameras} for _ in range(25)]
    for index, (name, camera) in enumerate(cameras.items()):
        for place in np.flatnonzero(seen.camera == index):
            pose = camera.room_from_camera
            depth = ((calibrated.adjusted.points[seen.point[place]] - pose[:3, 3]) @ pose[:3, :3])[2] / 1.1 - 0.08
            column, row = seen.pixels[place].astype(int)
            if 0 <= column < 640 and 0 <= row < 480:
                depths[moment_of_point[seen.point[place]]][name][row, column] = depth
    assert scale_from_depth(calibrated, depths) == pytest.approx(1 / 1.1, rel=0.01)
    with pytest.raises(CalibrationError, match="0 joints have depth"):
        scale_from_depth(calibrated, [{} for _ in range(25)])


def test_the_room_stands_on_its_floor(room, calibrated):
    cameras = scaled(calibrated.adjusted.cameras, 1 / 1.1)
    placed = in_room(cameras, room_axes(cameras, calibrated.joints / 1.1))
    for name, camera in placed.items():
        true = room.cameras[name].room_from_camera
        tilt = camera.room_from_camera[2, :3] - true[2, :3]  # where up is in the camera
        assert np.degrees(np.linalg.norm(tilt)) < 3
        assert camera.room_from_camera[2, 3] == pytest.approx(true[2, 3], abs=0.2)
    first = placed["cam1"].room_from_camera
    assert first[:2, 3] == pytest.approx((0, 0))
    assert first[0, 2] > 0 and first[1, 2] == pytest.approx(0, abs=1e-9)  # looks along x


def test_a_camera_that_sees_nobody_with_the_others(room):
    moments = record(room, ("cam1", "cam2"), 12)
    with pytest.raises(CalibrationError, match="cam3: nobody is seen together with cam1, cam2"):
        calibrate_people(room.cameras, moments)


def test_too_few_people(room):
    cameras = {name: room.cameras[name] for name in ("cam1", "cam2")}
    with pytest.raises(CalibrationError, match=r"camera 'cam1': \d+ people .* expected 20 or more"):
        calibrate_people(cameras, record(room, cameras, 4))


def test_nobody_who_stands(room, calibrated):
    lying = calibrated.joints @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    with pytest.raises(CalibrationError, match="so that up is not known"):
        room_axes(calibrated.adjusted.cameras, lying)
