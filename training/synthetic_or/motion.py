"""Motion: people of a scene move between key poses, at a walking or working pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from training.synthetic_or.bodies import BONE, BodyBank, PosedBody
from training.synthetic_or.people import Floor, Person, clothed
from training.synthetic_or.poses import pose_body, standing_on
from training.synthetic_or.scene import Scene

_WALK_M_S = 0.75
_CLEARANCE_M = 0.22  # a walker's half width
_HOLD_S = (0.3, 1.8)  # how long a posture is kept
_SPEED_M_S = 0.55  # mean speed of the fastest joint between postures; easing makes it 1.5 times as fast in the middle
_SHORTEST_S = 0.5


@dataclass(frozen=True)
class KeyPose:
    """Where a person is at one time (s from the start)."""

    time_s: float
    body: PosedBody


class Track:
    """One person's motion: key poses and the way between them, eased unless the person walks."""

    def __init__(self, bank: BodyBank, person: Person, keys: Sequence[KeyPose]) -> None:
        self._bank, self._person = bank, person
        self._times = np.array([key.time_s for key in keys])
        self._pelvis = np.stack([key.body.bone_heads[BONE["pelvis"]] for key in keys])
        local = np.stack([_local_rotations(bank, key.body) for key in keys])
        self._slerps = [Slerp(np.arange(len(keys)), Rotation.from_matrix(local[:, bone])) for bone in range(len(BONE))]

    def at(self, seconds: float) -> Person:
        """The person, dressed, at `seconds` from the start."""
        p = self._person
        return clothed(self._bank, p.shape, self._body_at(seconds), p.request, p.outfit, p.role, p.instance)

    def _body_at(self, seconds: float) -> PosedBody:
        place = float(np.interp(seconds, self._times, np.arange(len(self._times))))
        if self._person.request.kind != "walk":
            whole, part = divmod(place, 1.0)
            place = whole + part * part * (3 - 2 * part)
        local = np.stack([slerp(place).as_matrix() for slerp in self._slerps])
        keys = np.arange(len(self._times))
        pelvis = np.array([np.interp(place, keys, self._pelvis[:, axis]) for axis in range(3)])
        body = self._bank.pose(self._person.shape, local, pelvis)
        return standing_on(body, float(self._person.request.position[2]))


def tracks_of(scene: Scene, bank: BodyBank, seconds: float, rng: np.random.Generator) -> list[Track | None]:
    """The motion of each of the scene's people for `seconds`; None for patients, who lie still."""
    return [_track(scene, bank, person, seconds, rng) for person in scene.people]


def _track(scene: Scene, bank: BodyBank, person: Person, seconds: float, rng: np.random.Generator) -> Track | None:
    if person.role == "patient":
        return None
    if person.request.kind == "walk":
        return Track(bank, person, _walk(bank, person, seconds, scene.room, scene.floor, rng))
    return Track(bank, person, _postures(bank, person, seconds, rng))


def scene_at(scene: Scene, tracks: Sequence[Track | None], seconds: float) -> Scene:
    """The same room with everybody where they are at `seconds`."""
    people = [track.at(seconds) if track else p for track, p in zip(tracks, scene.people, strict=True)]
    return replace(scene, people=people)


def _local_rotations(bank: BodyBank, body: PosedBody) -> NDArray:
    rotations = body.bone_rotations
    return np.stack(
        [r if parent < 0 else rotations[parent].T @ r for r, parent in zip(rotations, bank.parents, strict=True)]
    )


def _walk(
    bank: BodyBank, person: Person, seconds: float, room: NDArray, floor: Floor, rng: np.random.Generator
) -> list[KeyPose]:
    """Step after step, left and right in turn, around what stands in the way."""
    request = person.request
    position, heading = request.position.copy(), request.heading_deg
    floor = floor.without(position[0], position[1])
    seed = int(rng.integers(1 << 30))  # the same for every step: gait and posture stay
    keys: list[KeyPose] = []
    side, time_s = 1.0, 0.0
    while not keys or keys[-1].time_s < seconds:
        asked = replace(request, position=position, heading_deg=heading, leading=side)
        body = pose_body(bank, person.shape, asked, np.random.default_rng(seed))
        keys.append(KeyPose(time_s, body))
        # As long as the feet are apart: then the foot that stands does not slide.
        step_m = float(np.linalg.norm((body.coco[15] - body.coco[16])[:2]))
        heading, free = _turn(position, heading + rng.normal(0, 8), step_m, room, floor)
        position = position + _forward(heading) * (step_m if free else 0.0)
        side, time_s = -side, time_s + step_m / _WALK_M_S
    return keys


def _turn(position: NDArray, heading: float, step_m: float, room: NDArray, floor: Floor) -> tuple[float, bool]:
    """The heading nearest to `heading` (degrees) with two free steps ahead, and True; else a turn on the spot."""
    for turn in (0, 20, -20, 40, -40, 60, -60):
        ahead = [position + _forward(heading + turn) * step_m * steps for steps in (1, 2)]
        if all(_inside(place, room) and floor.free(place[0], place[1], _CLEARANCE_M) for place in ahead):
            return heading + turn, True
    return heading + 60.0, False


def _inside(place: NDArray, room: NDArray) -> bool:
    return bool(np.all(np.abs(place[:2]) < room[:2] / 2 - 0.4))


def _forward(heading_deg: float) -> NDArray:
    return np.array([np.sin(np.radians(heading_deg)), -np.cos(np.radians(heading_deg)), 0.0])


def _postures(bank: BodyBank, person: Person, seconds: float, rng: np.random.Generator) -> list[KeyPose]:
    """Postures of the person's kind, each held for a while, on the same spot."""
    request = person.request
    keys = [KeyPose(0.0, person.body)]
    while keys[-1].time_s < seconds:
        keys.append(KeyPose(keys[-1].time_s + rng.uniform(*_HOLD_S), keys[-1].body))
        reach = None if request.reach_to is None else request.reach_to + rng.normal(0, 0.06, (2, 3))
        asked = replace(request, heading_deg=request.heading_deg + rng.normal(0, 6), reach_to=reach)
        body = pose_body(bank, person.shape, asked, rng)
        farthest = float(np.linalg.norm(body.coco - keys[-1].body.coco, axis=1).max())
        keys.append(KeyPose(keys[-1].time_s + max(_SHORTEST_S, farthest / _SPEED_M_S), body))
    return keys
