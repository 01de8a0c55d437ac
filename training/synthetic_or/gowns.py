"""The hanging part of gowns and aprons: rings around trunk and legs, wider downwards and rippled into folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or import bodies as b
from training.synthetic_or.meshes import Material, Mesh, grid_faces, grid_uv, surface

_RINGS, _COLUMNS = 30, 40
_CLOTH = Material(noise=0.08, folds=0.55, fold_scale=(8.0, 8.0, 2.0), gloss=0.05)
_ANGLE = np.linspace(0, 2 * np.pi, _COLUMNS, endpoint=False)
#: `(40, 2)` outward directions of a ring, and the directions along it.
_OUTWARD = np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], axis=1)
_ALONG = np.stack([-np.sin(_ANGLE), np.cos(_ANGLE)], axis=1)


def loft(
    bank: b.BodyBank, body: b.PosedBody, colour: NDArray, hem: float, rng: np.random.Generator, sleeveless: bool = False
) -> Mesh:
    """A gown's or apron's hanging part from the chest (an apron: a little lower) to the hem.

    Args:
        bank: Says which vertices belong to trunk and legs.
        body: The posed person.
        colour: `(3,)` linear.
        hem: How far down it reaches: 0 hips, 1 ankles.
        rng: Draws width and folds.
        sleeveless: An apron, which starts below the armpits.
    """
    axis, lateral = _gown_axis(body, hem)
    trunk = body.vertices[np.isin(bank.regions, (b.TORSO, b.HIP, b.SHIN))]
    tangents = np.gradient(axis, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    step = float(np.linalg.norm(np.diff(axis, axis=0), axis=1).mean())
    waves = [
        (int(rng.integers(3, 9)), rng.uniform(0, 6.28), rng.normal(0, 1.5), rng.uniform(0.4, 1.0)) for _ in range(4)
    ]
    ease_top, ease_hem = rng.uniform(0.02, 0.035), rng.uniform(0.04, 0.11)
    rings, support = [], np.zeros(_COLUMNS)
    for down, centre, tangent in zip(np.linspace(0, 1, _RINGS), axis, tangents, strict=True):
        side = lateral - tangent * (tangent @ lateral)
        side /= np.linalg.norm(side)
        front = np.cross(tangent, side)
        shrunk = support * (0.97 if down > 0.35 else 0.9)  # cloth hangs from what is above it
        support = np.maximum(_support(trunk - centre, tangent, side, front, step, support), shrunk)
        outline = _outline(support + ease_top + (ease_hem - ease_top) * down)
        ripple = sum(a * np.sin(k * _ANGLE + phase + drift * down) for k, phase, drift, a in waves)
        outline *= (1.0 + 0.035 * down * np.asarray(ripple))[:, None]
        rings.append(centre + outline[:, :1] * side + outline[:, 1:] * front)
    rings = rings[4:] if sleeveless else rings
    grid = (len(rings), _COLUMNS)
    return surface(np.concatenate(rings), grid_faces(*grid, closed=True), colour, _CLOTH, grid_uv(*grid))


def _support(
    relative: NDArray, tangent: NDArray, side: NDArray, front: NDArray, step: float, otherwise: NDArray
) -> NDArray:
    """`(40,)` m: how far the body reaches outwards at one ring; `otherwise` where there is no body."""
    across, forward = relative @ side, relative @ front
    near = (np.abs(relative @ tangent) < step * 1.2) & (np.abs(across) < 0.45) & (np.abs(forward) < 0.45)
    if near.sum() <= 5:
        return otherwise
    return (np.stack([across[near], forward[near]], axis=1) @ _OUTWARD.T).max(0)


def _outline(support: NDArray) -> NDArray:
    """`(40, 2)` m: the smoothed convex outline of a ring with that support function."""
    support = np.convolve(np.r_[support[-2:], support, support[:2]], np.ones(5) / 5, "valid")
    slope = (np.roll(support, -1) - np.roll(support, 1)) / (2 * (_ANGLE[1] - _ANGLE[0]))
    return support[:, None] * _OUTWARD + slope[:, None] * _ALONG


def _gown_axis(body: b.PosedBody, hem: float) -> tuple[NDArray, NDArray]:
    """`(30, 3)` points from the chest down to the hem, and the person's lateral axis `(3,)`."""
    shoulders, hips = body.coco[[5, 6]].mean(0), body.coco[[11, 12]].mean(0)
    knees, ankles = body.coco[[13, 14]].mean(0), body.coco[[15, 16]].mean(0)
    chest = shoulders + (hips - shoulders) * 0.3
    corners = np.stack([chest, hips, knees, ankles])
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))]
    stop = lengths[1] + (lengths[3] - lengths[1]) * hem
    along = np.linspace(0, stop, _RINGS)
    axis = np.stack([np.interp(along, lengths, corners[:, d]) for d in range(3)], axis=1)
    kernel = np.ones(5) / 5
    padded = np.concatenate([axis[:1].repeat(2, 0), axis, axis[-1:].repeat(2, 0)])
    axis[1:-1] = np.stack([np.convolve(padded[:, d], kernel, "valid") for d in range(3)], axis=1)[1:-1]
    lateral = body.coco[11] - body.coco[12]
    return axis, lateral / np.linalg.norm(lateral)
