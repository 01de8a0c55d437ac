"""Motion: people of a scene move between key poses, at a walking or working pace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from training.synthetic_or.bodies import BONE, BodyBank, PosedBody
from training.synthetic_or.people import Person, clothed
from training.synthetic_or.poses import PoseRequest, pose_body
from training.synthetic_or.scene import Scene

_KEY_SECONDS = 0.55  # one step of a walk; the time of a small arm movement
_STEP_M = 0.33


class Track:
    """One person's motion: key poses and the smooth way between them."""

    def __init__(self, bank: BodyBank, person: Person, seconds: float, room: NDArray, rng: np.random.Generator) -> None:
        self.bank, self.person = bank, person
        keys = _key_poses(bank, person, int(np.ceil(seconds / _KEY_SECONDS)) + 3, room, rng)
        times = np.arange(len(keys)) * _KEY_SECONDS
        self._pelvis = np.stack([key.bone_heads[BONE["pelvis"]] for key in keys])
        self._times = times
        local = np.stack([_local_rotations(bank, key) for key in keys])
        self._slerps = [Slerp(times, Rotation.from_matrix(local[:, bone])) for bone in range(local.shape[1])]

    def body_at(self, seconds: float) -> PosedBody:
        local = np.stack([slerp(seconds).as_matrix() for slerp in self._slerps])
        pelvis = np.array([np.interp(seconds, self._times, self._pelvis[:, axis]) for axis in range(3)])
        return self.bank.pose(self.person.shape, local, pelvis)

    def at(self, seconds: float) -> Person:
        """The person, dressed, at `seconds` from the start."""
        p = self.person
        return clothed(self.bank, p.shape, self.body_at(seconds), p.request, p.outfit, p.role, p.instance)


def tracks_of(scene: Scene, bank: BodyBank, seconds: float, rng: np.random.Generator) -> list[Track]:
    return [Track(bank, person, seconds, scene.room, rng) for person in scene.people]


def scene_at(scene: Scene, tracks: list[Track], seconds: float) -> Scene:
    """The same room with everybody where they are at `seconds`; patients lie still."""
    people = [track.person if track.person.role == "patient" else track.at(seconds) for track in tracks]
    return replace(scene, people=people)


def _local_rotations(bank: BodyBank, body: PosedBody) -> NDArray:
    rotations = body.bone_rotations
    return np.stack(
        [r if parent < 0 else rotations[parent].T @ r for r, parent in zip(rotations, bank.parents, strict=True)]
    )


def _key_poses(bank: BodyBank, person: Person, count: int, room: NDArray, rng: np.random.Generator) -> list[PosedBody]:
    request = person.request
    poses, position, heading = [person.body], request.position.copy(), request.heading_deg
    base = int(rng.integers(1 << 30))
    for step in range(count):
        if request.kind == "walk":
            forward = np.array([np.sin(np.radians(heading)), -np.cos(np.radians(heading)), 0.0])
            ahead = position + forward * _STEP_M
            if np.any(np.abs(ahead[:2]) > room[:2] / 2 - 0.5):
                heading += 120.0
            else:
                position, heading = ahead, heading + rng.normal(0, 12)
            poses.append(pose_body(bank, person.shape, replace(request, position=position, heading_deg=heading), rng))
        elif step % 3 == 0:  # a new posture of the same kind; then hold it for a while
            turn = heading + rng.normal(0, 6)
            reach = None if request.reach_to is None else request.reach_to + rng.normal(0, 0.06, (2, 3))
            near = PoseRequest(request.kind, position, turn, reach)
            poses.append(pose_body(bank, person.shape, near, np.random.default_rng(base + step // 6)))
        else:
            poses.append(poses[-1])
    return poses
