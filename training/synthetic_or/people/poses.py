"""Poses: what people in a room do (stand, reach, lean on the table, walk, sit, lie and so on), as bone rotations.

A pose is built in the person's own frame (z up, facing -y), then turned by the heading and set on the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from training.synthetic_or.people.bodies import BONE, BodyBank, PosedBody, frame_from, rotation_about

KINDS = (
    "stand", "hands_folded", "arms_crossed", "reach", "lean", "bend", "walk", "sit", "crouch", "arm_up", "phone",
    "carry", "lie",
)  # fmt: skip
SIDES = (("left", 1.0), ("right", -1.0))


@dataclass(frozen=True)
class PoseRequest:
    """What a person does and where.

    Attributes:
        kind: One of `KINDS`.
        position: `(3,)` m, room: the point below the pelvis on what carries the person (floor, step or table).
        heading_deg: Direction of view in the room, about z; 0 looks along room -y.
        reach_to: `(2, 3)` m, room, where the left and right hand go; None for the kind's own choice.
        leading: Of "walk": 1 with the left leg ahead, -1 with the right one; None for either.
    """

    kind: str
    position: NDArray
    heading_deg: float
    reach_to: NDArray | None = None
    leading: float | None = None


def pose_body(bank: BodyBank, shape: int, request: PoseRequest, rng: np.random.Generator) -> PosedBody:
    """Poses body `shape` as requested, with the variation of `rng`. Raises ValueError for an unknown kind."""
    if request.kind not in KINDS:
        raise ValueError(f"pose kind: expected one of {KINDS}, got {request.kind!r}")
    if request.kind == "lie":
        return _lie(bank, shape, request, rng)
    heading = rotation_about("z", request.heading_deg)
    local = np.tile(np.eye(3), (len(BONE), 1, 1))
    pelvis_tilt = _bend_trunk(local, request.kind, rng)
    local[BONE["pelvis"]] = heading @ pelvis_tilt
    local[BONE["neck"]] = rotation_about("x", rng.normal(5, 6)) @ rotation_about("z", rng.normal(0, 12))
    local[BONE["head"]] = _head(request.kind, rng)
    pelvis_height = _legs(bank, shape, local, request, rng)
    pelvis = np.array([request.position[0], request.position[1], request.position[2] + pelvis_height])
    _arms(bank, shape, local, pelvis, request, rng)
    return standing_on(bank.pose(shape, local, pelvis), float(request.position[2]))


def standing_on(body: PosedBody, height: float) -> PosedBody:
    """The body moved up or down until its lowest point is at `height` (m)."""
    return body.moved(np.array([0.0, 0.0, height - body.vertices[:, 2].min()]))


def _bend_trunk(local: NDArray, kind: str, rng: np.random.Generator) -> NDArray:
    """Sets spine and chest, returns the pelvis' tilt in the person's frame. Positive x rotation bends forwards."""
    bend = {
        "bend": rng.uniform(25, 60), "reach": rng.uniform(5, 25), "sit": rng.uniform(0, 20),
        "lean": rng.uniform(18, 48), "crouch": rng.uniform(10, 40), "carry": rng.uniform(-6, 5),
        "hands_folded": rng.uniform(-3, 8), "walk": rng.uniform(0, 10),
    }.get(kind, rng.uniform(-3, 10))  # fmt: skip
    lean, twist = rng.normal(0, 4), rng.normal(0, 10)
    local[BONE["spine"]] = rotation_about("x", bend * 0.4) @ rotation_about("z", twist * 0.5)
    local[BONE["chest"]] = (
        rotation_about("x", bend * 0.25) @ rotation_about("y", lean) @ rotation_about("z", twist * 0.5)
    )
    return rotation_about("x", bend * 0.35)


def _head(kind: str, rng: np.random.Generator) -> NDArray:
    down = {"reach": 20.0, "lean": 16.0, "bend": 5.0, "hands_folded": 12.0, "phone": 6.0}.get(kind, 4.0)
    return (
        rotation_about("z", rng.normal(0, 22))
        @ rotation_about("x", rng.normal(down, 10))
        @ rotation_about("y", rng.normal(0, 5))
    )


def _legs(bank: BodyBank, shape: int, local: NDArray, request: PoseRequest, rng: np.random.Generator) -> float:
    """Sets the leg bones; returns about how high the pelvis is above the feet (m)."""
    kind = request.kind
    heads = bank.bone_heads[shape]
    thigh = np.linalg.norm(heads[BONE["left_shin"]] - heads[BONE["left_thigh"]])
    shin = np.linalg.norm(heads[BONE["left_foot"]] - heads[BONE["left_shin"]])
    tilt = local[BONE["pelvis"]]
    stride = rng.uniform(10, 28) if kind == "walk" else rng.uniform(0, 7)
    leading = rng.choice([-1.0, 1.0])
    leading = leading if request.leading is None else request.leading
    for side, sign in SIDES:
        spread = rng.uniform(1, 9) * sign
        swing = stride * leading * sign
        knee = rng.uniform(2, 12) + (max(0.0, -swing) * rng.uniform(0.5, 1.3) if kind == "walk" else 0.0)
        if kind == "sit":
            swing, knee, spread = rng.uniform(75, 95), rng.uniform(70, 100), rng.uniform(3, 16) * sign
        if kind == "crouch":
            swing, knee, spread = rng.uniform(70, 105), rng.uniform(95, 130), rng.uniform(4, 20) * sign
        down = rotation_about("x", -swing) @ rotation_about("y", -spread) @ np.array([0.0, 0.0, -1.0])
        shin_down = rotation_about("x", -swing + knee) @ rotation_about("y", -spread) @ np.array([0.0, 0.0, -1.0])
        upright = _heading_only(tilt)
        _aim(bank, shape, local, f"{side}_thigh", f"{side}_shin", upright @ down, upright @ np.array([1.0, 0.0, 0.0]))
        _aim(
            bank, shape, local, f"{side}_shin", f"{side}_foot", upright @ shin_down, upright @ np.array([1.0, 0.0, 0.0])
        )
        turn_out = rotation_about("z", sign * rng.uniform(0, 20))
        parent = _global_rotation(bank, local, BONE[f"{side}_shin"])
        # The bank's rest feet point down a little; 12 degrees up sets the sole on the floor.
        local[BONE[f"{side}_foot"]] = parent.T @ upright @ turn_out @ rotation_about("x", -12.0)
    return float(shin + 0.1 if kind in ("sit", "crouch") else thigh + shin + 0.1)


def _heading_only(rotation: NDArray) -> NDArray:
    """The part of a pelvis rotation about the vertical."""
    forward = rotation @ np.array([0.0, -1.0, 0.0])
    return rotation_about("z", np.degrees(np.arctan2(forward[0], -forward[1])))


def _global_rotation(bank: BodyBank, local: NDArray, bone: int) -> NDArray:
    rotation = np.eye(3)
    while bone >= 0:
        rotation = local[bone] @ rotation
        bone = int(bank.parents[bone])
    return rotation


def _aim(
    bank: BodyBank, shape: int, local: NDArray, bone: str, child: str, direction: NDArray, side_axis: NDArray
) -> None:
    """Turns `bone` so that it points along `direction` (room) with its rest +x axis towards `side_axis`."""
    heads = bank.bone_heads[shape]
    rest = frame_from(heads[BONE[child]] - heads[BONE[bone]], np.array([1.0, 0.0, 0.0]))
    target = frame_from(direction, side_axis)
    parent = _global_rotation(bank, local, int(bank.parents[BONE[bone]]))
    local[BONE[bone]] = parent.T @ target @ rest.T


def _arms(
    bank: BodyBank, shape: int, local: NDArray, pelvis: NDArray, request: PoseRequest, rng: np.random.Generator
) -> None:
    chest = _global_rotation(bank, local, BONE["chest"])
    raised = rng.choice(["left", "right"]) if request.kind == "arm_up" else None
    upright = _heading_only(local[BONE["pelvis"]])
    together = _Together(request.kind, rng)
    for index, (side, sign) in enumerate(SIDES):
        local[BONE[f"{side}_clavicle"]] = rotation_about("y", sign * rng.normal(-1, 4))
        shoulder = _bone_head(bank, shape, local, pelvis, BONE[f"{side}_upper_arm"])
        if side == raised:
            offset = np.array([sign * rng.uniform(0, 0.3), -rng.uniform(0.05, 0.35), rng.uniform(0.2, 0.5)])
            hand = shoulder + chest @ offset
        elif request.kind == "phone" and side == "right":
            head = _bone_head(bank, shape, local, pelvis, BONE["head"])
            hand = head + chest @ np.array([sign * 0.13, -rng.uniform(0.0, 0.06), rng.uniform(-0.02, 0.04)])
        elif request.kind in _BOTH_HANDS:
            hand = shoulder + chest @ together.offset(sign, rng)
        elif request.reach_to is not None and rng.random() < 0.9:
            hand = request.reach_to[index]
        elif request.kind in ("reach", "bend", "lean", "sit", "crouch"):
            offset = np.array([-sign * rng.uniform(-0.05, 0.2), -rng.uniform(0.3, 0.55), -rng.uniform(0.1, 0.4)])
            hand = shoulder + upright @ offset
        else:
            swing = rng.normal(0, 0.18) if request.kind == "walk" else rng.normal(-0.04, 0.06)
            if request.leading is not None:  # the arm swings against the leg of its side
                swing = 0.14 * sign * request.leading
            offset = np.array([sign * rng.uniform(0.02, 0.18), swing, -rng.uniform(0.42, 0.58)])
            hand = shoulder + upright @ offset
        _reach(bank, shape, local, shoulder, hand, side, sign, chest, rng)


_BOTH_HANDS = ("hands_folded", "arms_crossed", "carry")


class _Together:
    """Where both hands go together, from their shoulders in the chest's axes: clasped before the body, raised and
    kept sterile, crossed, or around something that is carried."""

    def __init__(self, kind: str, rng: np.random.Generator) -> None:
        self._kind = kind
        self._forward, self._height = rng.uniform(0.17, 0.34), rng.uniform(-0.46, -0.16)
        self._apart = rng.choice([rng.uniform(0.02, 0.05), rng.uniform(0.05, 0.2)])
        if kind == "carry":
            self._forward, self._height, self._apart = rng.uniform(0.25, 0.38), rng.uniform(-0.42, -0.2), 0.17

    def offset(self, sign: float, rng: np.random.Generator) -> NDArray:
        half_shoulders = 0.17
        if self._kind == "arms_crossed":
            return np.array([-sign * (half_shoulders + 0.11), -0.19 - 0.03 * sign, -0.24 + 0.03 * sign])
        inwards = half_shoulders - self._apart
        return np.array([-sign * inwards, -self._forward, self._height + rng.normal(0, 0.02)])


def _bone_head(bank: BodyBank, shape: int, local: NDArray, pelvis: NDArray, bone: int) -> NDArray:
    heads = bank.bone_heads[shape]
    chain = [bone]
    while bank.parents[chain[-1]] >= 0:
        chain.append(int(bank.parents[chain[-1]]))
    position, rotation = pelvis, local[chain[-1]]
    for parent, child in zip(chain[::-1], chain[-2::-1], strict=False):
        position = position + rotation @ (heads[child] - heads[parent])
        rotation = rotation @ local[child]
    return position


def _reach(
    bank: BodyBank, shape: int, local: NDArray, shoulder: NDArray, hand: NDArray, side: str, sign: float,
    chest: NDArray, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Two-bone inverse kinematics: the wrist goes to `hand` or as near as the arm reaches, the elbow down and out."""
    heads = bank.bone_heads[shape]
    upper_rest = heads[BONE[f"{side}_forearm"]] - heads[BONE[f"{side}_upper_arm"]]
    fore_rest = heads[BONE[f"{side}_hand"]] - heads[BONE[f"{side}_forearm"]]
    upper, fore = np.linalg.norm(upper_rest), np.linalg.norm(fore_rest)
    to_hand = hand - shoulder
    distance = float(np.clip(np.linalg.norm(to_hand), abs(upper - fore) + 0.06, (upper + fore) * 0.985))
    axis = to_hand / max(float(np.linalg.norm(to_hand)), 1e-6)
    pole = chest @ np.array([sign * rng.uniform(0.3, 0.9), rng.uniform(0.1, 0.6), -1.0])
    pole = pole - axis * (axis @ pole)
    pole /= max(float(np.linalg.norm(pole)), 1e-6)
    cosine = (upper**2 + distance**2 - fore**2) / (2 * upper * distance)
    elbow = shoulder + upper * (axis * cosine + pole * np.sqrt(max(0.0, 1 - cosine**2)))
    wrist = shoulder + axis * distance
    bend_rest, bend = np.cross(upper_rest, fore_rest), np.cross(elbow - shoulder, wrist - elbow)
    for bone, rest_direction, direction in (
        (f"{side}_upper_arm", upper_rest, elbow - shoulder),
        (f"{side}_forearm", fore_rest, wrist - elbow),
    ):
        rotation = frame_from(direction, bend) @ frame_from(rest_direction, bend_rest).T
        parent = _global_rotation(bank, local, int(bank.parents[BONE[bone]]))
        local[BONE[bone]] = parent.T @ rotation
    local[BONE[f"{side}_hand"]] = rotation_about("x", rng.normal(0, 12)) @ rotation_about("y", rng.normal(0, 12))
    curl = rng.choice([rng.uniform(0, 25), rng.uniform(25, 70)])
    axis = bank.curl_axes[0 if side == "left" else 1]
    for bone, share in ((f"{side}_fingers", 1.0), (f"{side}_fingertips", 1.3)):
        local[BONE[bone]] = Rotation.from_rotvec(axis * np.radians(curl * share)).as_matrix()


def _lie(bank: BodyBank, shape: int, request: PoseRequest, rng: np.random.Generator) -> PosedBody:
    """On the back, head along the heading; `position` is the table's surface below the pelvis."""
    local = np.tile(np.eye(3), (len(BONE), 1, 1))
    heading = rotation_about("z", request.heading_deg)
    local[BONE["pelvis"]] = heading @ rotation_about("x", -90.0)
    local[BONE["head"]] = rotation_about("z", rng.normal(0, 25)) @ rotation_about("x", rng.normal(8, 8))
    axes = local[BONE["pelvis"]]
    for side, sign in SIDES:
        out = rotation_about("y", -sign * rng.uniform(2, 7))
        down = axes @ out @ np.array([0.0, 0.0, -1.0])
        for bone, child in ((f"{side}_thigh", f"{side}_shin"), (f"{side}_shin", f"{side}_foot")):
            _aim(bank, shape, local, bone, child, down, axes @ np.array([1.0, 0.0, 0.0]))
    pelvis = request.position + np.array([0.0, 0.0, 0.11])
    for side, sign in SIDES:
        shoulder = _bone_head(bank, shape, local, pelvis, BONE[f"{side}_upper_arm"])
        spread = rng.choice([0.08, 0.5], p=[0.7, 0.3])
        hand = shoulder + axes @ np.array([sign * spread, -0.02, -0.5 + spread * 0.7])
        _reach(bank, shape, local, shoulder, hand, side, sign, axes, rng)
    body = bank.pose(shape, local, pelvis)
    return body.moved(np.array([0.0, 0.0, request.position[2] - np.quantile(body.vertices[:, 2], 0.02)]))
