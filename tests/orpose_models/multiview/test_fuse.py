"""Joints in the room from one to three views, against the truth they were projected from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from orpose_models.multiview.associate import associate, fuse_views, pair_costs
from orpose_models.multiview.fuse import fuse
from orpose_models.multiview.sights import sights_of
from orpose_models.skeleton import H36M17, h36m17_from_coco17

WRIST = H36M17.index("left_wrist")


def seen(room, joints, cameras=("cam1", "cam2", "cam3"), rng=None, px=0.0):
    return [sights_of(c, [room.person(c, joints, rng, px)])[0] for c in (room.cameras[name] for name in cameras)]


def errors_m(fused, joints):
    return np.linalg.norm(fused.joints[:, :3] - h36m17_from_coco17(joints), axis=1)


@pytest.mark.parametrize("cameras", [("cam1",), ("cam2",), ("cam3",), ("cam1", "cam3"), ("cam1", "cam2", "cam3")])
def test_perfect_sights_give_the_true_joints(room, cameras):
    """Joints that are means of others project to nearly, not exactly, the mean of the pixels: under a centimetre."""
    joints = room.standing(0.3, -0.2, 40)
    fused = fuse(seen(room, joints, cameras))
    assert errors_m(fused, joints).max() < 0.01
    assert fused.joints[:, 3] == pytest.approx(0.9)
    assert set(fused.misfit_m) == (set(cameras) if len(cameras) > 1 else set())


def test_more_views_are_more_exact(room):
    rng = np.random.default_rng(0)
    means = []
    for count in (1, 2, 3):
        people = [room.standing(*rng.uniform(-0.8, 0.8, 2), rng.uniform(0, 360)) for _ in range(40)]
        cameras = ("cam1", "cam2", "cam3")[:count]
        means.append(np.mean([errors_m(fuse(seen(room, joints, cameras, rng, 6)), joints).mean() for joints in people]))
    assert means[0] > means[1] > means[2]
    assert means[2] < 0.04


def test_a_wrong_size_moves_a_single_view_along_its_rays_only(room):
    """Seen by one camera, somebody lifted 10 % too large is put 10 % too far away; two cameras do not mind."""
    joints = room.standing(0, 0)
    sights = [dataclasses.replace(sight, lifted=sight.lifted * 1.1) for sight in seen(room, joints, ("cam1", "cam2"))]
    pelvis, centre = h36m17_from_coco17(joints)[0], sights[0].centre
    alone = fuse(sights[:1]).joints[0, :3]
    assert np.linalg.norm(alone - centre) == pytest.approx(1.1 * np.linalg.norm(pelvis - centre), rel=0.01)
    assert errors_m(fuse(sights), joints).max() < 0.06


def test_a_ray_that_contradicts_the_others_loses(room):
    joints = room.standing(0, 0)
    sights = seen(room, joints)
    wrong = sights[0].directions.copy()
    wrong[WRIST] = wrong[H36M17.index("right_ankle")]
    sights[0] = dataclasses.replace(sights[0], directions=wrong)
    fused = fuse(sights)
    assert errors_m(fused, joints)[WRIST] < 0.05
    assert fused.joints[WRIST, 3] == pytest.approx(0.9)


def test_a_joint_without_any_ray_comes_from_the_lifted_pose(room):
    joints = room.standing(0, 0)
    sights = []
    for sight in seen(room, joints):
        directions, weights, scores = sight.directions.copy(), sight.weights.copy(), sight.scores.copy()
        directions[WRIST], weights[WRIST], scores[WRIST] = np.nan, 0.0, 0.0
        sights.append(dataclasses.replace(sight, directions=directions, weights=weights, scores=scores))
    fused = fuse(sights)
    assert np.isfinite(fused.joints).all()
    assert fused.joints[WRIST, 3] == 0


def test_cameras_that_look_away_from_each_other_see_different_people(room):
    """The lines meet, but behind a camera."""
    joints = room.standing(0, 0)
    first, second = seen(room, joints, ("cam1", "cam2"))
    about_face = np.diag([-1.0, -1.0, 1.0])
    turned = dataclasses.replace(second, directions=second.directions @ about_face, lifted=second.lifted @ about_face)
    assert pair_costs([first, turned])[0, 1] > 10
    assert pair_costs([first, second])[0, 1] < 0.1


def test_people_side_by_side_are_told_apart(room):
    rng = np.random.default_rng(1)
    people = [room.standing(0, 0.6 * index - 0.9, 30 * index) for index in range(4)]
    sights = [sight for joints in people for sight in seen(room, joints, rng=rng, px=3)]
    owner = {id(sight): index // 3 for index, sight in enumerate(sights)}
    rng.shuffle(sights)
    groups = associate(sights)
    assert sorted(sorted(owner[id(sight)] for sight in group) for group in groups) == [[i] * 3 for i in range(4)]


def test_whom_only_one_camera_sees_stays_alone(room):
    first, second = room.standing(0, -0.7), room.standing(0.2, 0.9, 120)
    sights = {"cam1": [], "cam2": []}
    for name in sights:
        camera = room.cameras[name]
        people = [first, second] if name == "cam1" else [first]
        sights[name] = sights_of(camera, [room.person(camera, joints) for joints in people])
    fused = fuse_views(sights)
    assert sorted(len(person.sights) for person in fused) == [1, 2]


def test_nobody():
    assert fuse_views({"cam1": [], "cam2": []}) == []


def test_a_person_outside_a_fisheyes_circle_has_no_sight(room):
    camera = room.cameras["cam3"]
    person = room.person(camera, room.standing(0, 0))
    outside = dataclasses.replace(person, keypoints=np.full((17, 3), 1e6, np.float32))
    assert sights_of(camera, [outside]) == []
