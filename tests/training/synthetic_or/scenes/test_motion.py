"""Motion: speeds, feet that stand still, people that keep apart, and plans that do not depend on their length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.synthetic_or.people.bodies import BONE
from training.synthetic_or.people.gait import Foot, Legs, Walk, ease_ends, standing, steps_along
from training.synthetic_or.scenes.actors import Actor
from training.synthetic_or.scenes.ground import CLEARANCE_M, Ground
from training.synthetic_or.scenes.motion import Motion, scene_at, tracks_of
from training.synthetic_or.scenes.scene import Scene, sample_scene
from training.synthetic_or.shapes.meshes import box, linear
from training.synthetic_or.shapes.textures import make_textures

SECONDS, RATE = 8.0, 16.0
TIMES = np.arange(0, SECONDS, 1 / RATE)


@pytest.fixture(scope="module")
def textures():
    return make_textures(per_kind=1)


@pytest.fixture(scope="module", params=[0, 100, 200])
def motion(request, bank, busy_scene) -> Motion:
    planned = tracks_of(busy_scene(request.param), bank, np.random.default_rng(request.param))
    planned.plan_until(SECONDS)
    return planned


def actors(motion: Motion) -> list[Actor]:
    return [actor for actor in motion.actors if actor is not None]


@pytest.fixture(scope="module")
def recorded(motion) -> list[np.ndarray]:
    """`(T, 19, 3)` m of each actor, room frame: Human3.6M joints, then the left and right foot's bones."""
    feet = [BONE["left_foot"], BONE["right_foot"]]
    return [
        np.stack([np.vstack([body.h36m, body.bone_heads[feet]]) for body in map(actor.body_at, TIMES)])
        for actor in actors(motion)
    ]


@pytest.fixture(scope="module")
def joints(recorded) -> list[np.ndarray]:
    return [track[:, :17] for track in recorded]


def test_no_joint_is_too_fast_and_none_is_jerked(joints):
    for track in joints:
        speed = np.linalg.norm(np.diff(track, axis=0), axis=2) * RATE
        acceleration = np.linalg.norm(np.diff(track, 2, axis=0), axis=2) * RATE**2
        assert speed[:, 0].max() < 1.2
        assert speed.max() < 2.6
        assert acceleration[:, 0].max() < 14
        assert acceleration.max() < 40


def test_somebody_walks_and_somebody_works(joints):
    travelled = [np.linalg.norm(np.diff(track[:, 0, :2], axis=0), axis=1).sum() for track in joints]
    assert max(travelled) > 1.0
    hands = [np.ptp(track[:, [13, 16]], axis=0).max() for track in joints]
    assert max(hands) > 0.1


def test_standing_feet_do_not_slide(motion, recorded):
    for actor, track in zip(actors(motion), recorded, strict=True):
        feet = [actor._stretch(t)[0].stance_at(t).feet for t in TIMES]
        for side in (0, 1):
            ankle = track[:, 17 + side, :2]
            planted = np.array([pair[side].lift_m == 0 for pair in feet])
            for run in np.split(np.arange(len(TIMES)), np.flatnonzero(np.diff(planted)) + 1):
                if planted[run[0]]:
                    assert np.linalg.norm(ankle[run] - ankle[run[0]], axis=1).max() < 0.03


def test_nobody_walks_through_anybody(joints):
    for number, first in enumerate(joints):
        for second in joints[:number]:
            apart = np.linalg.norm(first[:, 0, :2] - second[:, 0, :2], axis=1)
            assert apart.min() > min(0.45, apart[0] - 0.05)


def test_nobody_walks_through_things(motion):
    ground = motion._ground
    for actor in actors(motion):
        for stretch in actor._stretches:
            if stretch.walk is None:
                continue
            for t in np.arange(stretch.start_s, stretch.stop_s, 0.1):
                place = actor.place_at(t)
                has_left = np.linalg.norm(place - stretch.stance.place) > 0.5  # its first place may be a tight one
                if has_left and (np.abs(place) < ground.half - 1.0).all():  # the doorway is in a wall
                    assert ground.clearance[ground.cell(place)] > CLEARANCE_M - 0.15


def test_patients_and_furniture_are_the_same_objects_all_the_time(motion):
    first, later = scene_at(motion, 0.5), scene_at(motion, 3.0)
    assert all(a is b for a, b in zip(first.furniture, later.furniture, strict=True))
    for a, b in zip(first.people, later.people, strict=True):
        assert (a.instance, a.role, a.outfit) == (b.instance, b.role, b.outfit)
        assert (a is b) == (a.role == "patient")
        if a.role != "patient":
            assert b.body.vertices[:, 2].min() == pytest.approx(a.request.position[2], abs=1e-3)


@pytest.mark.parametrize("asked_first", [0.3, 30.0])
def test_a_moment_does_not_depend_on_how_far_was_planned(motion, bank, asked_first):
    again = Motion(motion._scene, bank, motion._seed)
    again.plan_until(asked_first)
    again.plan_until(2.0)
    for one, other in zip(actors(motion), actors(again), strict=True):
        np.testing.assert_array_equal(one.body_at(2.0).vertices, other.body_at(2.0).vertices)


def test_the_start_is_the_scene_as_it_was(motion):
    for person, actor in zip(motion._scene.people, motion.actors, strict=True):
        if actor is not None and person.request.kind != "walk":
            assert np.linalg.norm(actor.body_at(0.0).coco - person.body.coco, axis=1).max() < 0.12


# ---------------------------------------------------------------------------------------------------- single activities


def lonely_scene(bank, textures, kind: str, count: int = 1) -> Scene:
    """An empty 6 x 5 m room with people of a kind, 0.8 m apart."""
    rng = np.random.default_rng(3)
    scene = sample_scene("everyday", bank, textures, rng)
    from training.synthetic_or.people.poses import PoseRequest, pose_body
    from training.synthetic_or.scenes.people import Floor, clothed

    people = []
    for number in range(count):
        request = PoseRequest(kind, np.array([0.8 * number, 0.0, 0.0]), 90.0 if number == 0 else -90.0)
        body = pose_body(bank, 2 + number, request, rng)
        people.append(clothed(bank, 2 + number, body, request, scene.people[0].outfit, "surgeon", number + 1))
    return replace(scene, furniture=[], people=people, room=np.array([6.0, 5.0, 3.0]), floor=Floor())


def test_hands_meet_when_something_is_handed_over(bank, textures):
    motion = Motion(lonely_scene(bank, textures, "stand", 2), bank, 5)
    giver, taker = actors(motion)
    assert motion._hand_over(giver)
    met = min(giver.end_s, taker.end_s)
    gaps = []
    for t in np.arange(0, met, 0.1):
        hands = [actor.body_at(t).coco[[9, 10]] for actor in (giver, taker)]
        gaps.append(np.linalg.norm(hands[0][:, None] - hands[1][None], axis=2).min())
    assert gaps[0] > 0.2 and min(gaps) < 0.12


def test_who_sits_gets_up_over_planted_feet_and_sits_down_again(bank, textures):
    motion = Motion(lonely_scene(bank, textures, "sit"), bank, 1)
    (actor,) = actors(motion)
    motion.plan_until(90.0)
    pelvis = np.stack([actor.body_at(t).h36m[0] for t in np.arange(0, 90, 0.25)])
    assert pelvis[0, 2] < 0.75
    assert pelvis[:, 2].max() > 0.85
    assert pelvis[int(np.argmax(pelvis[:, 2] > 0.85)) :, 2].min() == pytest.approx(pelvis[0, 2], abs=0.05)
    stances = {id(stretch.stance.feet[0]) for stretch in actor._stretches}
    assert len(stances) == 1  # no step was made


def test_who_crouches_stays_down(bank, textures):
    motion = Motion(lonely_scene(bank, textures, "crouch"), bank, 1)
    (actor,) = actors(motion)
    motion.plan_until(10.0)
    start = actor.person.body.h36m[0, 2]
    heights = [actor.body_at(t).h36m[0, 2] for t in np.arange(0, 10, 0.5)]
    assert heights[0] == pytest.approx(start, abs=0.1)  # one foot is flat now, not on its toes
    assert max(heights) < start + 0.25


def test_staff_leaves_through_the_doorway_and_comes_back(bank, textures):
    scene = lonely_scene(bank, textures, "walk")
    scene = replace(scene, people=[replace(scene.people[0], role="nurse")])
    motion = Motion(scene, bank, 2)
    (actor,) = actors(motion)
    motion.plan_until(150.0)
    place = np.stack([actor.place_at(t) for t in np.arange(0, 150, 0.25)])
    outside = (np.abs(place) > scene.room[:2] / 2).any(axis=1)
    assert outside.any() and not outside[0]
    assert not outside[int(np.flatnonzero(outside)[0]) :].all()
    door, _ = motion._door
    crossing = place[np.flatnonzero(np.diff(outside.astype(int)))]
    assert (np.linalg.norm(crossing - door, axis=1) < 0.35).all()
    assert len(motion.room.furniture) == 1


# ---------------------------------------------------------------------------------------------------------- its parts


def test_the_ground_knows_a_box_and_the_way_around_it():
    ground = Ground([box((1.0, 2.0, 1.0), linear(1, 1, 1))], np.array([6.0, 5.0, 3.0]))
    assert ground.clearance[ground.cell(np.array([0.0, 0.95]))] < 0.2
    assert ground.clearance[ground.cell(np.array([1.5, 0.0]))] == pytest.approx(1.0, abs=0.15)
    way = ground.path(np.array([-1.5, 0.0]), np.array([1.5, 0.0]), ground.open_cells([]))
    assert way is not None
    np.testing.assert_allclose(way[[0, -1]], [[-1.5, 0.0], [1.5, 0.0]])
    assert np.abs(way[np.abs(way[:, 0]) < 0.5, 1]).min() > 1.2
    assert 4.0 < np.linalg.norm(np.diff(way, axis=0), axis=1).sum() < 5.5


def test_no_way_to_a_blocked_goal_or_through_a_wall():
    wall = box((0.1, 4.95, 2.0), linear(1, 1, 1))
    ground = Ground([wall], np.array([6.0, 5.0, 3.0]))
    open_cells = ground.open_cells([])
    assert ground.path(np.array([-2.0, 0.0]), np.array([2.0, 0.0]), open_cells) is None
    assert ground.path(np.array([-2.0, 0.0]), np.array([0.0, 0.0]), open_cells) is None


def test_things_on_the_floor_or_overhead_are_not_in_the_way():
    cable = box((4.0, 0.05, 0.02), linear(1, 1, 1))
    lamp = box((1.0, 1.0, 0.2), linear(1, 1, 1)).moved(offset=(0, 0, 1.9))
    assert Ground([cable, lamp], np.array([6.0, 5.0, 3.0])).clearance[30, 25] > 1.5


def test_a_walk_goes_from_stance_to_stance_in_equal_steps():
    start = standing(np.zeros(2), 0.0, 0.09)
    walk = Walk(start, steps_along(start, np.array([[0.0, 0.0], [0.0, -3.0]]), 90.0, 0.09, 1.0))
    end = walk.at(1e9)
    np.testing.assert_allclose(end.place, [0.0, -3.0], atol=1e-9)
    assert end.yaw_deg == pytest.approx(90.0, abs=1e-6)
    places = np.stack([walk.at(t).place for t in np.arange(0, walk.duration_s, 0.05)])
    speed = np.linalg.norm(np.diff(places, axis=0), axis=1) / 0.05
    assert 0.5 < speed.max() < 0.9
    assert np.abs(places[:, 0]).max() < 0.05


def test_easing_is_symmetric_and_starts_at_rest():
    values = np.array([ease_ends(u) for u in np.linspace(0, 1, 201)])
    np.testing.assert_allclose(values + values[::-1], 1.0, atol=1e-12)
    assert (np.diff(values) >= 0).all() and values[1] < 1e-4
    assert np.diff(values).max() * 200 < 1.5


def test_legs_put_the_soles_on_the_floor(bank):
    legs = Legs(bank, 3)
    feet = (Foot(np.array([0.1, 0.05]), 5.0), Foot(np.array([-0.12, -0.1]), -5.0))
    local = np.tile(np.eye(3), (len(BONE), 1, 1))
    height = legs.pelvis_height(np.eye(3), np.zeros(2), feet, 0.1)
    legs.set(local, np.array([0.0, 0.0, height]), feet, 0.1)
    body = bank.pose(3, local, np.array([0.0, 0.0, height]))
    for side, foot in zip(("left", "right"), feet, strict=True):
        np.testing.assert_allclose(body.bone_heads[BONE[f"{side}_foot"]][:2], foot.place, atol=1e-6)
    assert body.vertices[:, 2].min() == pytest.approx(0.1, abs=0.005)
