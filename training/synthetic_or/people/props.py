"""What people hold and sit on: not part of the person in the labels (instance 0)."""

from __future__ import annotations

import numpy as np

from training.synthetic_or.people.bodies import BONE, PosedBody, frame_from
from training.synthetic_or.shapes.materials import METAL, PLASTIC, Rng, grey, vivid
from training.synthetic_or.shapes.meshes import Mesh, box, cylinder, lathe, turned

#: In the hand at work, and in everyday life.
_INSTRUMENTS = {"forceps": 4.0, "syringe": 2.0, "tube": 1.0, "swab": 2.0, "tray": 0.7}
_BELONGINGS = {"phone": 3.0, "cup": 2.0, "bag": 2.0, "book": 1.5}
_STEEL = METAL


def held(body: PosedBody, side: str, pose_kind: str, everyday: bool, rng: Rng) -> list[Mesh]:
    """A thing in the palm of the `side` hand, in room coordinates."""
    if pose_kind == "phone":
        side, kind = "right", "phone"
    elif pose_kind == "carry":
        return _carried(body, rng)
    else:
        weights = _BELONGINGS if everyday else _INSTRUMENTS
        share = np.array(list(weights.values()))
        kind = str(rng.choice(list(weights), p=share / share.sum()))
    wrist, knuckle = (body.bone_heads[BONE[f"{side}_{name}"]] for name in ("hand", "fingers"))
    tips = body.bone_heads[BONE[f"{side}_fingertips"]]
    palm = wrist + 0.85 * (knuckle - wrist)
    # The palm's own axes: x along the hand, y across, z out of the palm (to where the fingers curl).
    frame = frame_from(knuckle - wrist, np.cross(tips - wrist, knuckle - wrist) + 1e-6)
    out = frame[:, 2] * (1.0 if (tips - knuckle) @ frame[:, 2] >= 0 else -1.0)
    palm = palm + out * 0.03
    if kind == "bag":
        return [mesh.moved(offset=palm - np.array([0, 0, 0.32])) for mesh in _bag(rng)]
    return [mesh.moved(frame, palm) for mesh in _thing(kind, rng)]


def _carried(body: PosedBody, rng: Rng) -> list[Mesh]:
    """A box between both hands."""
    hands = np.stack([body.bone_heads[BONE[f"{side}_fingers"]] for side in ("left", "right")])
    across = hands[0] - hands[1]
    size = (max(0.12, float(np.linalg.norm(across[:2])) - 0.05), rng.uniform(0.15, 0.3), rng.uniform(0.1, 0.3))
    heading = float(np.degrees(np.arctan2(across[1], across[0])))
    colour = vivid(rng) if rng.random() < 0.3 else grey(rng, 0.3, 0.9, 0.06)
    return turned([box(size, colour, PLASTIC)], heading, hands.mean(0) - np.array([0.0, 0.0, size[2] * 0.4]))


def _thing(kind: str, rng: Rng) -> list[Mesh]:
    """The thing with its grip at the origin, pointing along x."""
    length, width, height, colour, material = {
        "forceps": (rng.uniform(0.14, 0.24), 0.012, 0.01, grey(rng, 0.6, 0.9), _STEEL),
        "syringe": (rng.uniform(0.1, 0.16), 0.02, 0.02, grey(rng, 0.85, 1.0), PLASTIC),
        "tube": (rng.uniform(0.25, 0.5), 0.012, 0.012, vivid(rng), PLASTIC),
        "swab": (0.09, 0.08, 0.03, grey(rng, 0.85, 1.0), PLASTIC),
        "tray": (0.22, 0.16, 0.05, grey(rng, 0.5, 0.9), _STEEL),
        "phone": (0.15, 0.075, 0.01, grey(rng, 0.02, 0.3), PLASTIC),
        "cup": (0.08, 0.08, 0.1, vivid(rng) if rng.random() < 0.5 else grey(rng, 0.6, 1.0), PLASTIC),
        "book": (0.24, 0.17, rng.uniform(0.01, 0.04), vivid(rng), PLASTIC),
    }[kind]
    return [
        box((length, width, height), colour, material).moved(offset=(length * rng.uniform(0.1, 0.4), 0, -height / 2))
    ]


def _bag(rng: Rng) -> list[Mesh]:
    size = (rng.uniform(0.2, 0.38), rng.uniform(0.06, 0.14), rng.uniform(0.2, 0.3))
    colour = vivid(rng) if rng.random() < 0.6 else grey(rng, 0.03, 0.9)
    return turned([box(size, colour, PLASTIC)], rng.uniform(0, 180), np.zeros(3))


def stool_under(body: PosedBody, rng: Rng) -> list[Mesh]:
    """A swivel stool or chair below a person who sits."""
    hips, pelvis = body.coco[[11, 12]].mean(0), body.bone_heads[BONE["pelvis"]]
    forward = body.bone_rotations[BONE["pelvis"]] @ np.array([0.0, -1.0, 0.0])
    forward[2] = 0.0
    forward /= max(float(np.linalg.norm(forward)), 1e-6)
    centre = np.array([*(pelvis - 0.02 * forward)[:2], 0.0])
    floor = float(body.vertices[:, 2].min())
    top = float(hips[2]) - 0.105
    radius, colour = rng.uniform(0.17, 0.21), grey(rng, 0.03, 0.3) if rng.random() < 0.7 else vivid(rng)
    seat = lathe(
        np.array([(0, top - 0.07), (radius * 0.95, top - 0.07), (radius, top - 0.03), (radius * 0.9, top), (0, top)]),
        colour, PLASTIC,
    )  # fmt: skip
    steel = grey(rng, 0.4, 0.8)
    parts = [seat, cylinder(0.028, top - 0.06 - floor, steel, METAL).moved(offset=(0, 0, floor))]
    heading = float(np.degrees(np.arctan2(forward[1], forward[0])))
    foot = [box((0.56, 0.05, 0.04), steel, METAL).moved(offset=(0, 0, floor + 0.02))]
    parts += [mesh for turn in (0.0, 60.0, 120.0) for mesh in turned(foot, turn + heading, np.zeros(3))]
    if rng.random() < 0.4:
        back = box((0.05, 0.38, 0.3), colour, PLASTIC).moved(offset=(-radius - 0.08, 0, top + 0.12))
        parts += turned([back], heading, np.zeros(3))
    return [mesh.moved(offset=centre) for mesh in parts]
