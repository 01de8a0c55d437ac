"""One person over time: stretches of standing, walking and sitting, and the body at any moment of them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from training.synthetic_or.people.bodies import BONE, BodyBank, PosedBody, rotation_about
from training.synthetic_or.people.gait import Foot, Legs, Stance, Walk
from training.synthetic_or.people.poses import pose_body, standing_on
from training.synthetic_or.scenes.people import Person, clothed

#: Mean speed (m/s) of the fastest joint between two postures; easing makes it 1.9 times as fast in the middle.
_SPEED_M_S = 0.5
_SHORTEST_S = 0.7
#: Degrees for each metre that the left foot is ahead of the right one: arms against legs, shoulders against hips.
_ARM_SWING, _PELVIS_TURN, _SPINE_TURN = 42.0, 16.0, 26.0
_SWAY_M, _SWAY_S = 0.010, 9.0
_BREATH_DEG, _BREATH_S = 0.6, 4.2
#: Every so often people look elsewhere: seconds between looks, seconds of turning the head, degrees.
_LOOK_S, _LOOK_TURN_S, _LOOK_DEG = 2.6, 0.7, 22.0
_FEET_APART_M = 0.42  # at the beginning
_NO_SEAT = (0.0, 0.0)


@dataclass(frozen=True)
class Posture:
    """How a body is held.

    Attributes:
        local: `(B, 3, 3)` rotations of the bones, the pelvis' one relative to the heading. Those of legs are ignored.
        arms_hang: Whether the arms swing in walking.
        drop_m: How much lower than upright the pelvis is: of who crouches.
    """

    local: NDArray
    arms_hang: bool
    drop_m: float = 0.0


@dataclass(frozen=True)
class Stretch:
    """From one posture to another, standing, walking or on a seat.

    Attributes:
        start_s, stop_s: From when to when; the next stretch begins where this one ends.
        before, after: Postures; the change takes `change_s` from the start.
        stance: Where the body stands (at the start, if it walks).
        walk: Steps from there.
        seated: How much of the weight is on the seat, before and after.
    """

    start_s: float
    stop_s: float
    before: Posture
    after: Posture
    change_s: float
    stance: Stance
    walk: Walk | None = None
    seated: tuple[float, float] = _NO_SEAT

    def stance_at(self, seconds: float) -> Stance:
        return self.stance if self.walk is None else self.walk.at(seconds - self.start_s)


class Actor:
    """A person that acts: knows what was planned so far and gives the body at any time up to `end_s` and beyond."""

    def __init__(self, bank: BodyBank, person: Person, seed: list[int]) -> None:
        self.person, self.rng = person, np.random.default_rng(seed)
        self._bank, self._seed = bank, seed
        self.legs = Legs(bank, person.shape)
        self.floor_m = float(person.request.position[2])
        self.seat = person.body.bone_heads[BONE["pelvis"]].copy() if person.request.kind == "sit" else None
        stance = _stance_of(person.body)
        posture = self._posture_of(person.body, stance, person.request.kind)
        self._phases = self.rng.uniform(0, 2 * np.pi, 2)
        seated = 0.0 if self.seat is None else 1.0
        wait_s = 0.0 if person.request.kind == "walk" else float(self.rng.uniform(0, 1.2))
        self._stretches = [Stretch(0.0, wait_s, posture, posture, 0.1, stance, None, (seated, seated))]
        self._starts = [0.0]

    @property
    def end_s(self) -> float:
        return self._stretches[-1].stop_s

    @property
    def posture(self) -> Posture:
        """At the end of what is planned."""
        return self._stretches[-1].after

    @property
    def stance(self) -> Stance:
        """At the end of what is planned."""
        return self._stretches[-1].stance_at(self.end_s)

    @property
    def is_seated(self) -> bool:
        return self._stretches[-1].seated[1] > 0

    def place_at(self, seconds: float) -> NDArray:
        """`(2,)` m: the point below the pelvis."""
        stretch, seated = self._stretch(seconds)
        return self._place(stretch.stance_at(seconds), seated)

    def change(self, after: Posture, hold_s: float, at_least_s: float = 0.0, seated: float | None = None) -> None:
        """Plans another posture on the spot, as fast as people move, and keeps it for `hold_s`."""
        now = self._stretches[-1].seated[1]
        seated = now if seated is None else seated
        change_s = max(self.change_s(after, seated), at_least_s)
        stop_s = self.end_s + change_s + hold_s
        self._add(Stretch(self.end_s, stop_s, self.posture, after, change_s, self.stance, None, (now, seated)))

    def hold_until(self, seconds: float) -> None:
        if seconds > self.end_s:
            now = self._stretches[-1].seated[1]
            posture, stance = self.posture, self.stance
            self._add(Stretch(self.end_s, seconds, posture, posture, 0.1, stance, None, (now, now)))

    def go(self, walk: Walk, after: Posture) -> None:
        """Plans a walk from where the plan ends."""
        change_s = min(max(self.change_s(after, 0.0), 0.9), walk.duration_s)
        self._add(Stretch(self.end_s, self.end_s + walk.duration_s, self.posture, after, change_s, self.stance, walk))

    def _add(self, stretch: Stretch) -> None:
        self._stretches.append(stretch)
        self._starts.append(stretch.start_s)

    def change_s(self, after: Posture, seated: float) -> float:
        """How long a change of posture takes at a natural speed."""
        stance, now = self.stance, self._stretches[-1].seated[1]
        shares = (0.0, 0.5, 1.0)
        joints = [
            self._posed(_between(self.posture, after, u), stance, now + (seated - now) * u, 0.0).coco for u in shares
        ]
        way = sum(np.linalg.norm(b - a, axis=1) for a, b in pairwise(joints))
        return max(_SHORTEST_S, float(np.max(way)) / _SPEED_M_S)

    def draw(self, kind: str, turn_deg: float = 0.0, reach_to: NDArray | None = None) -> Posture:
        """A random posture of a kind, where the plan ends, turned by some degrees on the planted feet."""
        stance = self.stance
        place = np.r_[self._place(stance, self._stretches[-1].seated[1]), self.floor_m]
        request = replace(
            self.person.request, kind=kind, position=place, heading_deg=stance.yaw_deg + turn_deg, reach_to=reach_to,
            leading=None,
        )  # fmt: skip
        body = pose_body(self._bank, self.person.shape, request, self.rng)
        return self._posture_of(body, stance, kind)

    def joints(self, posture: Posture) -> NDArray:
        """`(17, 3)` m, COCO-17, in that posture where the plan ends."""
        return self._posed(posture, self.stance, self._stretches[-1].seated[1], 0.0).coco

    def _posture_of(self, body: PosedBody, stance: Stance, kind: str) -> Posture:
        drop_m = 0.0
        if kind == "crouch":
            rotation, pelvis = body.bone_rotations[BONE["pelvis"]], body.bone_heads[BONE["pelvis"]]
            upright_m = self.legs.pelvis_height(rotation, pelvis[:2], stance.feet, self.floor_m)
            drop_m = max(0.0, upright_m - float(pelvis[2]))
        local = relative_to_heading(_local(self._bank, body), stance.yaw_deg)
        return Posture(local, kind in ("stand", "walk"), drop_m)

    def person_at(self, seconds: float) -> Person:
        """The person, dressed."""
        p, (_, seated) = self.person, self._stretch(seconds)
        request = p.request if seated > 0.5 or p.request.kind != "sit" else replace(p.request, kind="stand")
        return clothed(self._bank, p.shape, self.body_at(seconds), request, p.outfit, p.role, p.instance)

    def body_at(self, seconds: float) -> PosedBody:
        stretch, seated = self._stretch(seconds)
        posture = _between(stretch.before, stretch.after, _eased((seconds - stretch.start_s) / stretch.change_s))
        swings = _eased((seconds - stretch.start_s) / stretch.change_s)
        swing = float(stretch.before.arms_hang) * (1 - swings) + float(stretch.after.arms_hang) * swings
        stance = stretch.stance_at(seconds)
        local = posture.local.copy()
        self._alive(local, stance, swing, seconds)
        sway = _SWAY_M * (np.sin(2 * np.pi * seconds / _SWAY_S + self._phases[0]) - np.sin(self._phases[0]))
        return self._posed(replace(posture, local=local), stance, seated, sway * (1 - seated))

    def _stretch(self, seconds: float) -> tuple[Stretch, float]:
        """The stretch at a time, and how much of the weight is on the seat."""
        stretch = self._stretches[max(0, bisect_right(self._starts, seconds) - 1)]
        before, after = stretch.seated
        return stretch, before + (after - before) * _eased((seconds - stretch.start_s) / stretch.change_s)

    def _alive(self, local: NDArray, stance: Stance, swing: float, seconds: float) -> None:
        """Adds to the posture: arms and shoulders against the legs, breath, and looking around."""
        forward = rotation_about("z", stance.yaw_deg)[:2, 1] * -1
        ahead = float((stance.feet[0].place - stance.feet[1].place) @ forward)
        for side, sign in (("left", 1.0), ("right", -1.0)):
            upper, fore = BONE[f"{side}_upper_arm"], BONE[f"{side}_forearm"]
            local[upper] = rotation_about("x", sign * ahead * _ARM_SWING * swing) @ local[upper]
            local[fore] = rotation_about("x", sign * ahead * _ARM_SWING * 0.4 * swing) @ local[fore]
        local[BONE["pelvis"]] = rotation_about("z", -ahead * _PELVIS_TURN) @ local[BONE["pelvis"]]
        local[BONE["spine"]] = rotation_about("z", ahead * _SPINE_TURN) @ local[BONE["spine"]]
        breath = _BREATH_DEG * np.sin(2 * np.pi * seconds / _BREATH_S + self._phases[1])
        local[BONE["chest"]] = rotation_about("x", breath) @ local[BONE["chest"]]
        yaw, pitch = self._look(seconds)
        local[BONE["neck"]] = rotation_about("z", 0.4 * yaw) @ local[BONE["neck"]]
        local[BONE["head"]] = rotation_about("z", 0.6 * yaw) @ rotation_about("x", pitch) @ local[BONE["head"]]

    def _look(self, seconds: float) -> NDArray:
        """Yaw and pitch (degrees) of a glance: a few seconds here, a few there; each depends on its number alone."""
        offset = seconds + _LOOK_S * float(self._phases[0]) / (2 * np.pi)
        number, since = divmod(offset, _LOOK_S)
        before, after = (_glance(self._seed, int(n)) for n in (number - 1, number))
        return before + (after - before) * _eased(since / _LOOK_TURN_S)

    def _posed(self, posture: Posture, stance: Stance, seated: float, sway_m: float) -> PosedBody:
        local = posture.local.copy()
        heading = rotation_about("z", stance.yaw_deg)
        local[BONE["pelvis"]] = heading @ local[BONE["pelvis"]]
        place = self._place(stance, seated) + sway_m * heading[:2, 0]
        height = self.legs.pelvis_height(local[BONE["pelvis"]], place, stance.feet, self.floor_m)
        height -= posture.drop_m
        if self.seat is not None:
            height += (float(self.seat[2]) - height) * seated
        pelvis = np.r_[place, height]
        self.legs.set(local, pelvis, stance.feet, self.floor_m)
        return standing_on(self._bank.pose(self.person.shape, local, pelvis), self.floor_m)

    def _place(self, stance: Stance, seated: float) -> NDArray:
        """Below the pelvis `(2,)`: the stance's place, or between it and the seat."""
        return stance.place if self.seat is None else stance.place + (self.seat[:2] - stance.place) * seated


def _stance_of(body: PosedBody) -> Stance:
    """The feet of a posed body, set flat on the floor where they are."""
    pelvis = body.bone_heads[BONE["pelvis"]][:2]
    bones = [BONE["left_foot"], BONE["right_foot"]]
    ankles = body.bone_heads[bones][:, :2]
    middle = ankles.mean(0)
    # A long stride has one heel up; with both soles flat the legs reach less far.
    apart = float(np.linalg.norm(ankles[0] - ankles[1]))
    ankles = middle + (ankles - middle) * min(1.0, _FEET_APART_M / max(apart, 1e-6))
    yaw = _yaw(body.bone_rotations[BONE["pelvis"]])
    off_yaw = [(_yaw(body.bone_rotations[bone]) - yaw + 180.0) % 360.0 - 180.0 for bone in bones]
    nearest = [Foot(ankle, yaw + off) for ankle, off in zip(ankles, off_yaw, strict=True)]
    is_seated = np.linalg.norm(middle - pelvis) > 0.25
    return Stance(middle if is_seated else pelvis.copy(), yaw, (nearest[0], nearest[1]))


def _yaw(rotation: NDArray) -> float:
    forward = rotation @ np.array([0.0, -1.0, 0.0])
    return float(np.degrees(np.arctan2(forward[0], -forward[1])))


def _local(bank: BodyBank, body: PosedBody) -> NDArray:
    rotations = body.bone_rotations
    return np.stack(
        [r if parent < 0 else rotations[parent].T @ r for r, parent in zip(rotations, bank.parents, strict=True)]
    )


def relative_to_heading(local: NDArray, yaw_deg: float) -> NDArray:
    local = local.copy()
    local[BONE["pelvis"]] = rotation_about("z", -yaw_deg) @ local[BONE["pelvis"]]
    return local


def _between(before: Posture, after: Posture, share: float) -> Posture:
    if share <= 0.0 or before is after:
        return before
    way = Rotation.from_matrix(np.swapaxes(before.local, 1, 2) @ after.local).as_rotvec()
    drop_m = before.drop_m + (after.drop_m - before.drop_m) * share
    return Posture(before.local @ Rotation.from_rotvec(way * share).as_matrix(), after.arms_hang, drop_m)


def _eased(part: float) -> float:
    """Minimum jerk: speed and acceleration are 0 at both ends."""
    u = float(np.clip(part, 0.0, 1.0))
    return u**3 * (10 - 15 * u + 6 * u * u)


def _glance(seed: list[int], number: int) -> NDArray:
    """Yaw and pitch in degrees; nobody looks elsewhere at first, or half of the time."""
    rng = np.random.default_rng([*seed, number + 1])
    glance = np.clip(rng.normal(0, (_LOOK_DEG, 6.0)), -45, 45)
    return glance * float(number > 0 and rng.random() < 0.55)
