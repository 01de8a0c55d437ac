"""The hanging part of gowns, skirts and aprons: rings around trunk and legs, wider downwards and in folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people import bodies as b
from training.synthetic_or.shapes.cloth import pleats
from training.synthetic_or.shapes.meshes import Material, Mesh, grid_faces, grid_uv

_RINGS, _COLUMNS = 28, 56
_ANGLE = np.linspace(0, 2 * np.pi, _COLUMNS, endpoint=False)
#: `(56, 2)` outward directions of a ring, and the directions along it. Column 0 is the person's left.
_OUTWARD = np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], axis=1)
_ALONG = np.stack([-np.sin(_ANGLE), np.cos(_ANGLE)], axis=1)


def loft(
    bank: b.BodyBank, body: b.PosedBody, colour: NDArray, material: Material, hem: float, rng: np.random.Generator,
    instance: int, start: float = 0.3, stiff: bool = False, looseness: float = 1.0,
) -> Mesh:  # fmt: skip
    """The part of a gown, skirt or apron that hangs from the trunk to the hem.

    Args:
        bank: Says which vertices belong to trunk and legs.
        body: The posed person.
        colour: `(3,)` linear.
        material: How it looks.
        hem: How far down it reaches: 0 hips, 1 ankles.
        rng: Draws width and folds.
        instance: The person it belongs to.
        start: Where it begins: 0 shoulders, 1 hips.
        stiff: A lead apron, which hardly folds.
        looseness: How wide it is, about 1.
    """
    axis, lateral = _axis(body, hem, start)
    trunk = body.vertices[np.isin(bank.regions, (b.TORSO, b.HIP, b.SHIN))]
    down = np.linspace(0, 1, _RINGS)
    tangents = np.gradient(axis, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    sides = lateral - tangents * (tangents @ lateral)[:, None]
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    fronts = np.cross(tangents, sides)
    support = _hanging_support(trunk, axis, tangents, sides, fronts)
    top, chest = (0.03, 0.055) if stiff else (-0.012, 0.014 + 0.016 * looseness)
    hem_ease = chest + rng.uniform(0.01, 0.045) * looseness
    ease = np.interp(down, [0, 0.08, 0.18, 1], [top, (top + chest) / 2, chest, hem_ease])
    folds = pleats(_ANGLE, down, rng.uniform(0.3, 0.55), rng)
    belt = np.exp(-(((down - rng.uniform(0.25, 0.35)) / 0.05) ** 2))
    height = (
        (0.006 if stiff else rng.uniform(0.035, 0.065) * looseness) * folds * np.clip(down * 2.5 - 0.25, 0, 1)[:, None]
    )
    outline = _outline(support + ease[:, None] * (1 - 0.5 * belt * (not stiff))[:, None])
    outline += height[..., None] * _OUTWARD
    points = axis[:, None] + outline[..., :1] * sides[:, None] + outline[..., 1:] * fronts[:, None]
    uneven = 0.012 * np.sin(_ANGLE * 2 + rng.uniform(0, 6)) + 0.3 * height[-1]
    points[-3:] += tangents[-1] * -(uneven * (not stiff))[None, :, None] * np.array([0.3, 0.6, 1.0])[:, None, None]
    colours = np.broadcast_to(colour, (_RINGS, _COLUMNS, 3)).copy()
    if stiff:
        colours[-1:] *= 0.35  # the binding
    else:
        back = round(_COLUMNS * 0.25 if np.sign(fronts[0] @ _backward(body)) > 0 else _COLUMNS * 0.75)
        colours[:, back] *= 0.72  # where it closes
    pattern = np.stack(
        [*np.broadcast_arrays(0.2 * _OUTWARD[None, :, 0], 0.2 * _OUTWARD[None, :, 1], -0.9 * down[:, None])], axis=-1
    )
    grid = (_RINGS, _COLUMNS)
    return Mesh(
        points.reshape(-1, 3), grid_faces(*grid, closed=True), colours.reshape(-1, 3), grid_uv(*grid), material,
        instance, pattern=pattern.reshape(-1, 3),
    )  # fmt: skip


def _backward(body: b.PosedBody) -> NDArray:
    return body.bone_rotations[b.BONE["chest"]] @ np.array([0.0, 1.0, 0.0])


def _hanging_support(trunk: NDArray, axis: NDArray, tangents: NDArray, sides: NDArray, fronts: NDArray) -> NDArray:
    """`(R, C)` m: how far the body reaches outwards at each ring; cloth hangs from what is above it."""
    step = float(np.linalg.norm(np.diff(axis, axis=0), axis=1).mean())
    support = np.zeros((_RINGS, _COLUMNS))
    above = np.zeros(_COLUMNS)
    for ring in range(_RINGS):
        relative = trunk - axis[ring]
        across, forward = relative @ sides[ring], relative @ fronts[ring]
        near = (np.abs(relative @ tangents[ring]) < step * 1.5) & (np.abs(across) < 0.45) & (np.abs(forward) < 0.45)
        here = above
        if near.sum() > 5:
            here = (np.stack([across[near], forward[near]], axis=1) @ _OUTWARD.T).max(0)
        above = np.maximum(here, above * (0.975 if ring > _RINGS * 0.3 else 0.93))
        support[ring] = above
    return support


def _outline(support: NDArray) -> NDArray:
    """`(R, C, 2)` m: the smoothed convex outlines of rings with those support functions."""
    wrapped = np.concatenate([support[:, -1:], support, support[:, :1]], axis=1)
    support = 0.25 * wrapped[:, :-2] + 0.5 * support + 0.25 * wrapped[:, 2:]
    slope = (np.roll(support, -1, axis=1) - np.roll(support, 1, axis=1)) / (2 * (_ANGLE[1] - _ANGLE[0]))
    return support[..., None] * _OUTWARD + slope[..., None] * _ALONG


def _axis(body: b.PosedBody, hem: float, start: float) -> tuple[NDArray, NDArray]:
    """`(R, 3)` points from the trunk down to the hem, and the person's lateral axis `(3,)`."""
    shoulders, hips = body.coco[[5, 6]].mean(0), body.coco[[11, 12]].mean(0)
    knees, ankles = body.coco[[13, 14]].mean(0), body.coco[[15, 16]].mean(0)
    corners = np.stack([shoulders + (hips - shoulders) * start, hips, knees, ankles])
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))]
    along = np.linspace(0, lengths[1] + (lengths[3] - lengths[1]) * hem, _RINGS)
    axis = np.stack([np.interp(along, lengths, corners[:, d]) for d in range(3)], axis=1)
    kernel = np.ones(5) / 5
    padded = np.concatenate([axis[:1].repeat(2, 0), axis, axis[-1:].repeat(2, 0)])
    axis[1:-1] = np.stack([np.convolve(padded[:, d], kernel, "valid") for d in range(3)], axis=1)[1:-1]
    lateral = body.coco[11] - body.coco[12]
    return axis, lateral / np.linalg.norm(lateral)
