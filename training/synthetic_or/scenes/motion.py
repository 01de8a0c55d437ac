"""Motion: what the people of a scene do one after the other, planned so that nobody walks through anything."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people.bodies import BONE, BodyBank, rotation_about
from training.synthetic_or.people.gait import Walk, steps_along
from training.synthetic_or.scenes.actors import Actor, Posture
from training.synthetic_or.scenes.ground import Ground
from training.synthetic_or.scenes.scene import Scene
from training.synthetic_or.shapes.materials import PLASTIC
from training.synthetic_or.shapes.meshes import box, linear, turned

#: Walkers keep this far from others, pelvis to pelvis (m).
_APART_M = 0.55
_DOOR_M = (0.95, 0.03, 2.08)
_OUTSIDE_M = 0.9  # how far beyond the wall people go who leave
_HAND_OVER_M = (0.4, 1.15)
_WALK_TRIES = 6
_NEAR_M = 3.0  # most walks are not longer
_LEAVE, _VISIT = 0.15, 0.4  # shares of walks: out of the room; to somebody at the table
_STANDING = {"stand": 0.25, "hands_folded": 0.25, "arms_crossed": 0.12, "reach": 0.18, "bend": 0.12, "arm_up": 0.08}
_ON_THE_SPOT = ("sit", "crouch")
#: Kinds of people who have something in their hands: they keep it, walking and standing.
_HOLDING = ("carry", "phone")


class Motion:
    """Plans ahead as far as it is asked; what happens until a time never depends on how much longer it goes on."""

    def __init__(self, scene: Scene, bank: BodyBank, seed: int) -> None:
        self._scene, self._seed = scene, seed
        self.actors = [
            None if person.role == "patient" else Actor(bank, person, [seed, index])
            for index, person in enumerate(scene.people)
        ]
        self._acting = [actor for actor in self.actors if actor is not None]

    def at(self, seconds: float) -> Scene:
        """The room with everybody where they are at `seconds`. Furniture and patients are the same objects always."""
        self.plan_until(seconds)
        people = [
            actor.person_at(seconds) if actor else person
            for actor, person in zip(self.actors, self._scene.people, strict=True)
        ]
        return replace(self.room, people=people)

    @cached_property
    def room(self) -> Scene:
        """The scene with a doorway for those who leave."""
        if self._door is None or not any(self._is_mobile(actor) for actor in self._acting):
            return self._scene
        place, outward = self._door
        heading = float(np.degrees(np.arctan2(-outward[0], outward[1])))
        middle = np.r_[place - outward * _DOOR_M[1] / 2, 0.0]
        doorway = turned([box(_DOOR_M, linear(0.12, 0.13, 0.15), PLASTIC)], heading, middle)
        return replace(self._scene, furniture=self._scene.furniture + doorway)

    def plan_until(self, seconds: float) -> None:
        """Whoever is done first decides first what to do next."""
        while self._acting:
            actor = min(self._acting, key=lambda one: one.end_s)
            if actor.end_s > seconds:
                return
            self._next(actor)

    def _next(self, actor: Actor) -> None:
        rng = actor.rng
        if actor.seat is not None:
            _sit_or_stand(actor)
            return
        is_walker = actor.person.request.kind == "walk"  # such people walk first of all
        wants_walk = rng.random() < ((0.95 if actor.end_s == 0 else 0.6) if is_walker else 0.35)
        if self._is_outside(actor) or (self._is_mobile(actor) and wants_walk):
            if self._walk(actor):
                return
        elif actor.person.request.kind != "crouch" and rng.random() < 0.35 and self._hand_over(actor):
            return
        self._stay(actor)

    def _is_mobile(self, actor: Actor) -> bool:
        request = actor.person.request
        return (
            request.reach_to is None
            and request.kind not in _ON_THE_SPOT
            and actor.floor_m < 0.01
            and actor.person.role not in ("surgeon", "assistant")
        )

    def _is_outside(self, actor: Actor) -> bool:
        return bool((np.abs(actor.stance.place) > self._ground.half).any())

    @cached_property
    def _ground(self) -> Ground:
        return Ground(self._scene.furniture, self._scene.room)

    @cached_property
    def _door(self) -> tuple[NDArray, NDArray] | None:
        return self._ground.doorway(np.random.default_rng([self._seed, 1 << 20]))

    # ------------------------------------------------------------------------------------------------- on the spot

    def _stay(self, actor: Actor) -> None:
        rng, request = actor.rng, actor.person.request
        if self._is_outside(actor):
            actor.hold_until(actor.end_s + rng.uniform(0.5, 2.0))
            return
        kind = request.kind
        changes = kind == "walk" or rng.random() < (0.6 if self._is_mobile(actor) else 0.2)
        if changes and kind not in (*_HOLDING, *_ON_THE_SPOT):
            kind = str(rng.choice(list(_STANDING), p=list(_STANDING.values())))
        reach = request.reach_to if kind in (request.kind, "reach", "bend") else None
        jittered = None if reach is None else reach + rng.normal(0, 0.06, (2, 3))
        actor.change(actor.draw(kind, rng.normal(0, 6), jittered), rng.uniform(0.3, 1.8))

    def _hand_over(self, giver: Actor) -> bool:
        """Both turn to each other, the hands meet between them, and both go on as before."""
        taker = self._partner(giver)
        if taker is None:
            return False
        meeting_s = max(giver.end_s, taker.end_s)
        middle = (giver.stance.place + taker.stance.place) / 2
        hands = np.r_[middle, giver.floor_m + giver.rng.uniform(1.0, 1.2)]
        before = {actor: actor.posture for actor in (giver, taker)}
        after = {actor: _offering(actor, hands) for actor in (giver, taker)}
        change_s = max(actor.change_s(after[actor], 0.0) for actor in (giver, taker))
        for actor in (giver, taker):
            actor.hold_until(meeting_s)
            actor.change(after[actor], 0.5, at_least_s=change_s)
            actor.change(before[actor], actor.rng.uniform(0.2, 0.8))
        return True

    def _partner(self, giver: Actor) -> Actor | None:
        for other in self._acting:
            gap = float(np.linalg.norm(other.stance.place - giver.stance.place))
            if (
                other is not giver
                and other.person.request.kind not in _ON_THE_SPOT
                and _HAND_OVER_M[0] < gap < _HAND_OVER_M[1]
                and other.end_s < giver.end_s + 4.0
                and abs(_turn_to(giver, other.stance.place)) < 100
                and abs(_turn_to(other, giver.stance.place)) < 100
                and not self._is_outside(other)
                and not self._is_outside(giver)
            ):
                return other
        return None

    # ------------------------------------------------------------------------------------------------------ walking

    def _walk(self, actor: Actor) -> bool:
        """Plans a walk out of everybody's way; False if none was found in a few tries."""
        rng = actor.rng
        others = [other for other in self._acting if other is not actor]
        avoid = [(other.stance.place, _APART_M) for other in others]
        is_open = self._ground.open_cells(avoid) & self._out_of_circles(actor)
        for _ in range(_WALK_TRIES):
            way, yaw_deg = self._way(actor, is_open)
            if way is None:
                continue
            steps = steps_along(actor.stance, way, yaw_deg, actor.legs.half_width, rng.uniform(0.9, 1.05))
            walk = Walk(actor.stance, steps)
            if self._is_clear(actor, walk, others):
                free = "stand" if rng.random() < 0.7 else "hands_folded"
                actor.go(walk, actor.draw(kind if (kind := actor.person.request.kind) in _HOLDING else free))
                return True
        return False

    def _way(self, actor: Actor, is_open: NDArray[np.bool_]) -> tuple[NDArray | None, float]:
        """A way `(N, 2)` from where the actor stands and the heading at its end (degrees); None if there is none."""
        rng, start = actor.rng, actor.stance.place
        outside = self._is_outside(actor)
        if self._door is not None and not outside and rng.random() < _LEAVE:
            place, outward = self._door
            way = self._ground.path(start, place - 0.6 * outward, is_open)
            out = place + outward * _OUTSIDE_M
            return (None if way is None else np.vstack([way, out])), _heading(outward)
        goal, yaw_deg = self._goal(actor, is_open)
        if goal is None:
            return None, 0.0
        if outside and self._door is not None:
            place, outward = self._door
            way = self._ground.path(place - 0.6 * outward, goal, is_open)
            return (None if way is None else np.vstack([start, way])), yaw_deg
        return self._ground.path(start, goal, is_open), yaw_deg

    def _goal(self, actor: Actor, is_open: NDArray[np.bool_]) -> tuple[NDArray | None, float]:
        """Beside somebody who stays at the table, or anywhere; looking at them, the table or the nearest thing."""
        rng, start = actor.rng, actor.stance.place
        hosts = [other for other in self._acting if other is not actor and not self._is_mobile(other)]
        if hosts and rng.random() < _VISIT:
            host = hosts[int(rng.integers(len(hosts)))]
            for angle in rng.permutation(np.arange(-150.0, 151.0, 20.0)):
                place = host.stance.place + _direction(host.stance.yaw_deg + angle) * 0.75
                if is_open[self._ground.cell(place)] and np.linalg.norm(place - start) > 0.6:
                    return place, _heading(host.stance.place - place)
        cells = np.argwhere(is_open)
        near = np.linalg.norm(self._ground.centres[is_open] - start, axis=1) < _NEAR_M
        if near.any() and rng.random() < 0.75:
            cells = cells[near]
        if len(cells) == 0:
            return None, 0.0
        cell = tuple(cells[int(rng.integers(len(cells)))])
        goal = self._ground.centres[cell]
        if np.linalg.norm(goal - start) < 1.0:
            return None, 0.0
        uphill = np.array([np.gradient(self._ground.clearance, axis=axis)[cell] for axis in (0, 1)])
        looks_at_thing = rng.random() < 0.5 and np.linalg.norm(uphill) > 1e-3
        return goal, _heading(-uphill if looks_at_thing else self._scene.table[:2] - goal)

    def _out_of_circles(self, actor: Actor) -> NDArray[np.bool_]:
        """Cells that the scene's own plan of the floor leaves free, except around where the person began."""
        ground, request = self._ground, actor.person.request
        floor = self._scene.floor.without(float(request.position[0]), float(request.position[1]))
        free = [floor.free(float(x), float(y), 0.05) for x, y in ground.centres.reshape(-1, 2)]
        return np.array(free).reshape(ground.shape)

    def _is_clear(self, actor: Actor, walk: Walk, others: list[Actor]) -> bool:
        """Whether the walker comes near nobody, now and until all present plans end."""
        start_s = actor.end_s
        until_s = max([start_s + walk.duration_s, *(other.end_s for other in others)])
        here = actor.stance.place
        for seconds in np.arange(start_s, until_s + 0.1, 0.15):
            place = walk.at(seconds - start_s).place
            for other in others:
                there = other.place_at(seconds)
                allowed = min(_APART_M, float(np.linalg.norm(here - other.place_at(start_s))) - 0.03)
                if np.hypot(*(place - there)) < allowed:
                    return False
        return True


def _sit_or_stand(actor: Actor) -> None:
    """Who sits shifts about; in clothes without a skirt also stands up for a while and sits down again."""
    rng = actor.rng
    if not actor.is_seated:
        leaning = _leaning(actor.draw("stand"))
        actor.change(leaning, 0.0, at_least_s=1.2, seated=1.0)
        actor.change(actor.draw("sit"), rng.uniform(1.0, 3.0))
    elif rng.random() < 0.35 and actor.person.outfit.kind in ("scrubs", "street"):
        actor.change(_leaning(actor.posture), 0.0)
        actor.change(actor.draw("stand"), rng.uniform(1.0, 3.0), at_least_s=1.3, seated=0.0)
    else:
        actor.change(actor.draw("sit", rng.normal(0, 4)), rng.uniform(0.5, 2.0))


def _leaning(posture: Posture) -> Posture:
    """The same with the trunk bent forward over the feet, the head up."""
    local = posture.local.copy()
    for bone, degrees in (("pelvis", 22.0), ("spine", 14.0), ("neck", -16.0)):
        local[BONE[bone]] = local[BONE[bone]] @ rotation_about("x", degrees)
    return Posture(local, posture.arms_hang)


def _offering(actor: Actor, meeting: NDArray) -> Posture:
    """The nearer hand at `meeting (3,)` m, the other one beside the body."""
    turn = float(np.clip(_turn_to(actor, meeting[:2]), -35, 35))
    heading = rotation_about("z", actor.stance.yaw_deg + turn)
    side = 0 if (meeting[:2] - actor.stance.place) @ heading[:2, 0] > 0 else 1
    hands = np.stack([np.r_[actor.stance.place, actor.floor_m + 0.85]] * 2)
    for index, sign in ((0, 1.0), (1, -1.0)):
        hands[index] += heading @ np.array([sign * 0.24, -0.12, 0.0])
    hands[side] = meeting
    drawn = [actor.draw("reach", turn, hands) for _ in range(3)]  # some postures leave a hand elsewhere
    return min(drawn, key=lambda posture: float(np.linalg.norm(actor.joints(posture)[9 + side] - meeting)))


def _turn_to(actor: Actor, place: NDArray) -> float:
    """Degrees from the actor's heading to a place `(2,)`, -180 to 180."""
    return (_heading(place - actor.stance.place) - actor.stance.yaw_deg + 180.0) % 360.0 - 180.0


def _heading(direction: NDArray) -> float:
    """Degrees about z; 0 looks along -y."""
    return float(np.degrees(np.arctan2(direction[0], -direction[1])))


def _direction(heading_deg: float) -> NDArray:
    return np.array([np.sin(np.radians(heading_deg)), -np.cos(np.radians(heading_deg))])


def tracks_of(scene: Scene, bank: BodyBank, rng: np.random.Generator) -> Motion:
    """The motion of the scene's people; patients lie still. Takes one number from `rng`, whatever happens then."""
    return Motion(scene, bank, int(rng.integers(1 << 62)))


def scene_at(motion: Motion, seconds: float) -> Scene:
    """The room with everybody where they are at `seconds`."""
    return motion.at(seconds)
