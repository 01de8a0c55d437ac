"""Steps: where the feet go, how the body travels over them, and legs that reach them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from training.synthetic_or.people.bodies import BONE, BodyBank, frame_from, rotation_about
from training.synthetic_or.people.poses import SIDES

_STEP_M = 0.46
_STEP_S = 0.66
_TURN_STEP_S = 0.55
_TURN_DEG = 40.0  # at most, from one step to the next
_FOOT_M_S = 2.1  # at most; longer steps take longer
#: The part of a step's time during which the foot is off the floor.
_LIFT_OFF, _TOUCH_DOWN = 0.06, 0.94
_RAMP = 0.3  # shares of the swing in which the foot speeds up, and slows down
_LIFT_M = 0.075
_SOLE_DEG = -12.0  # the bank's rest feet point down a little: this sets the sole on the floor
_REACH = 0.999  # of the leg's length
#: The pelvis is this much lower (m, times 0.7) than straight legs would have it: knees are never quite straight.
_SOFT_M = 0.022


@dataclass(frozen=True)
class Foot:
    """A foot: `place (2,)` m of its ankle, its direction (degrees), its height above standing (m), its pitch (deg)."""

    place: NDArray
    yaw_deg: float
    lift_m: float = 0.0
    pitch_deg: float = 0.0


@dataclass(frozen=True)
class Stance:
    """Where a body stands: the point below the pelvis `(2,)` m, its heading (degrees) and the left and right foot."""

    place: NDArray
    yaw_deg: float
    feet: tuple[Foot, Foot]


@dataclass(frozen=True)
class Step:
    """Foot `side` (0 left, 1 right) moves to `foot` within `duration_s`."""

    side: int
    foot: Foot
    duration_s: float


class Walk:
    """Steps one after the other from a stance; the body travels on a smooth curve from between feet to between feet."""

    def __init__(self, start: Stance, steps: Sequence[Step]) -> None:
        self._steps: list[Step] = []
        self._feet = [start.feet]
        for step in steps:
            left, right = self._feet[-1]
            self._feet.append((step.foot, right) if step.side == 0 else (left, step.foot))
            self._steps.append(_unhurried(step, (left, right)[step.side]))
        self._times = np.r_[0.0, np.cumsum([step.duration_s for step in self._steps])]
        knots = [np.r_[start.place, start.yaw_deg]]
        knots += [np.r_[(a.place + b.place) / 2, (a.yaw_deg + b.yaw_deg) / 2] for a, b in self._feet[1:]]
        self._body = CubicSpline(self._times, np.stack(knots), bc_type="clamped")

    @property
    def duration_s(self) -> float:
        return float(self._times[-1])

    def at(self, seconds: float) -> Stance:
        """The stance `seconds` after the start; before and after the walk: its ends."""
        seconds = float(np.clip(seconds, 0.0, self.duration_s))
        index = min(int(np.searchsorted(self._times, seconds, side="right")) - 1, len(self._steps) - 1)
        x, y, yaw = self._body(seconds)
        step, before = self._steps[index], self._feet[index]
        part = (seconds - self._times[index]) / step.duration_s
        part = float(np.clip((part - _LIFT_OFF) / (_TOUCH_DOWN - _LIFT_OFF), 0.0, 1.0))
        swinging = _swing(before[step.side], step.foot, part)
        feet = (swinging, before[1]) if step.side == 0 else (before[0], swinging)
        return Stance(np.array([x, y]), float(yaw), feet)


def _unhurried(step: Step, before: Foot) -> Step:
    """The step, with more time where its foot would be too fast."""
    fastest = 1.0 / (1 - _RAMP) / (_TOUCH_DOWN - _LIFT_OFF)  # as a multiple of the mean
    needed_s = float(np.linalg.norm(step.foot.place - before.place)) * fastest / _FOOT_M_S
    return replace(step, duration_s=max(step.duration_s, needed_s))


def _swing(start: Foot, stop: Foot, part: float) -> Foot:
    """A foot in the air: eased in the first and last quarter, lifted, its tip first down and then up."""
    eased = ease_ends(part)
    far = min(1.0, 0.4 + float(np.linalg.norm(stop.place - start.place)))
    return Foot(
        start.place + (stop.place - start.place) * eased,
        start.yaw_deg + (stop.yaw_deg - start.yaw_deg) * eased,
        _LIFT_M * far * np.sin(np.pi * part) ** 2,
        15.0 * far * np.sin(2 * np.pi * part) * np.sin(np.pi * part),
    )


def ease_ends(part: float) -> float:
    """0 to 1 with a constant speed in the middle and smooth starts and stops."""
    if part <= 0.5:
        t = min(part / _RAMP, 1.0)
        risen = _RAMP * (t**3 - 0.5 * t**4)  # the integral of a smoothstep over the ramp
        return (risen + max(0.0, part - _RAMP)) / (1 - _RAMP)
    return 1.0 - ease_ends(1.0 - part)


def steps_along(start: Stance, way: NDArray, final_yaw_deg: float, half_width: float, pace: float) -> list[Step]:
    """Turn towards the way `(N, 2)` m, walk along it, turn to `final_yaw_deg`; `pace` 1 is a usual one."""
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))]
    total = float(lengths[-1])
    number = max(2, round(total / _STEP_M))
    step_m = total / number
    # The feet stand together at both ends: half a step first and last.
    marks = [*((np.arange(number) + 0.5) * step_m), total, total]
    yaws = _way_yaws(way, lengths, np.array(marks), start.yaw_deg)
    steps = _turn(start.place, start.yaw_deg, yaws[0], half_width)
    side = 1 - steps[-1].side if steps else 0
    for mark, yaw in zip(marks, yaws, strict=True):
        place = np.array([np.interp(mark, lengths, way[:, axis]) for axis in (0, 1)])
        steps.append(Step(side, _foot(place, yaw, side, half_width), _STEP_S / pace))
        side = 1 - side
    return steps + _turn(way[-1], yaws[-1], final_yaw_deg, half_width)


def _way_yaws(way: NDArray, lengths: NDArray, marks: NDArray, near_deg: float) -> NDArray:
    """Headings (degrees, without jumps, the first one within 180 of `near_deg`) at arc lengths along the way."""
    ahead, behind = np.clip(marks + 0.15, 0, lengths[-1]), np.clip(marks - 0.15, 0, lengths[-1])
    delta = np.stack(
        [np.interp(ahead, lengths, way[:, axis]) - np.interp(behind, lengths, way[:, axis]) for axis in (0, 1)], 1
    )
    yaws = np.degrees(np.unwrap(np.arctan2(delta[:, 0], -delta[:, 1])))
    return yaws + 360.0 * np.round((near_deg - yaws[0]) / 360.0)


def _turn(place: NDArray, from_deg: float, to_deg: float, half_width: float) -> list[Step]:
    """Steps on the spot, the foot on the side of the turn first; none for a small turn."""
    by = to_deg - from_deg
    by -= 360.0 * np.round(by / 360.0)
    if abs(by) < 20.0:
        return []
    number = int(np.ceil(abs(by) / _TURN_DEG)) + 1
    first = 0 if by > 0 else 1
    yaws = from_deg + by * np.minimum(np.arange(1, number + 1) / (number - 1), 1.0)
    sides = [(first + k) % 2 for k in range(number)]
    return [Step(s, _foot(place, float(y), s, half_width), _TURN_STEP_S) for s, y in zip(sides, yaws, strict=True)]


def _foot(place: NDArray, yaw_deg: float, side: int, half_width: float) -> Foot:
    left = rotation_about("z", yaw_deg)[:2, 0]
    sign = SIDES[side][1]
    return Foot(place + sign * half_width * left, yaw_deg + sign * 7.0)


def standing(place: NDArray, yaw_deg: float, half_width: float) -> Stance:
    return Stance(place, yaw_deg, (_foot(place, yaw_deg, 0, half_width), _foot(place, yaw_deg, 1, half_width)))


class Legs:
    """One body's legs: how high its pelvis stands over its feet, and the bones that reach from hips to feet."""

    def __init__(self, bank: BodyBank, shape: int) -> None:
        self._bank = bank
        self._heads = heads = bank.bone_heads[shape]
        self.half_width = float(abs(heads[BONE["left_thigh"], 0] - heads[BONE["right_thigh"], 0])) / 2 * 0.85
        sole = rotation_about("x", _SOLE_DEG)
        feet = np.isin(bank.weight_bones[:, 0], (BONE["left_foot"],))
        lowest = ((bank.rest_vertices[shape][feet] - heads[BONE["left_foot"]]) @ sole.T)[:, 2].min()
        self._ankle_m = -float(lowest)

    def pelvis_height(self, pelvis: NDArray, place: NDArray, feet: tuple[Foot, Foot], floor: float) -> float:
        """The highest pelvis (m above the room's floor) from which both legs still reach: a soft minimum of both."""
        heights = []
        for (side, _), foot in zip(SIDES, feet, strict=True):
            hip = pelvis @ (self._heads[BONE[f"{side}_thigh"]] - self._heads[BONE["pelvis"]])
            across = float(np.linalg.norm(place + hip[:2] - foot.place))
            reach = _REACH * sum(self._lengths(side))
            up = float(np.sqrt(max(reach**2 - across**2, 0.0)))
            heights.append(floor + self._ankle_m + foot.lift_m + up - float(hip[2]))
        low, high = sorted(heights)
        return low - _SOFT_M * float(np.log1p(np.exp(-(high - low) / _SOFT_M)))

    def _lengths(self, side: str) -> tuple[float, float]:
        thigh, shin, foot = (self._heads[BONE[f"{side}_{bone}"]] for bone in ("thigh", "shin", "foot"))
        return float(np.linalg.norm(shin - thigh)), float(np.linalg.norm(foot - shin))

    def set(self, local: NDArray, pelvis_in_room: NDArray, feet: tuple[Foot, Foot], floor: float) -> None:
        """Writes the leg bones' rotations into `local (19, 3, 3)`, whose pelvis entry is final already."""
        pelvis = local[BONE["pelvis"]]
        for (side, _), foot in zip(SIDES, feet, strict=True):
            ankle = np.r_[foot.place, floor + self._ankle_m + foot.lift_m]
            hip = pelvis_in_room + pelvis @ (self._heads[BONE[f"{side}_thigh"]] - self._heads[BONE["pelvis"]])
            knee, reached = self._knee(side, hip, ankle, _knee_direction(pelvis, foot.yaw_deg))
            left = np.cross([0.0, 0.0, 1.0], _knee_direction(pelvis, foot.yaw_deg))
            thigh = self._aimed(f"{side}_thigh", f"{side}_shin", knee - hip, left)
            shin = self._aimed(f"{side}_shin", f"{side}_foot", reached - knee, left)
            flat = rotation_about("z", foot.yaw_deg) @ rotation_about("x", _SOLE_DEG + foot.pitch_deg)
            local[BONE[f"{side}_thigh"]] = pelvis.T @ thigh
            local[BONE[f"{side}_shin"]] = thigh.T @ shin
            local[BONE[f"{side}_foot"]] = shin.T @ flat

    def _knee(self, side: str, hip: NDArray, ankle: NDArray, forward: NDArray) -> tuple[NDArray, NDArray]:
        """Knee and ankle `(3,)` m of a leg of two bones; the ankle is nearer where the leg is too short."""
        thigh, shin = self._lengths(side)
        axis = (ankle - hip) / np.linalg.norm(ankle - hip)
        distance = float(np.clip(np.linalg.norm(ankle - hip), abs(thigh - shin) + 0.1, (thigh + shin) * 0.999))
        pole = forward - axis * (axis @ forward)
        pole /= max(float(np.linalg.norm(pole)), 1e-6)
        cosine = (thigh**2 + distance**2 - shin**2) / (2 * thigh * distance)
        return hip + thigh * (axis * cosine + pole * np.sqrt(max(0.0, 1 - cosine**2))), hip + axis * distance

    def _aimed(self, bone: str, child: str, direction: NDArray, left: NDArray) -> NDArray:
        rest = frame_from(self._heads[BONE[child]] - self._heads[BONE[bone]], np.array([1.0, 0.0, 0.0]))
        return frame_from(direction, left) @ rest.T


def _knee_direction(pelvis: NDArray, foot_yaw_deg: float) -> NDArray:
    """Horizontal unit vector `(3,)` between where the pelvis and where the foot points."""
    of_foot = rotation_about("z", foot_yaw_deg) @ np.array([0.0, -1.0, 0.0])
    of_pelvis = pelvis @ np.array([0.0, -1.0, 0.0])
    mean = np.r_[of_foot[:2] + of_pelvis[:2], 0.0]
    return mean / max(float(np.linalg.norm(mean)), 1e-6)
