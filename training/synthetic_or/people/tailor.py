"""Tailoring: pieces of clothing cut from the smoothed body in its rest pose, which move with its bones.

A piece is cut along lines (hem, collar, sleeve's end), made wider and folded once per person; every pose only moves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people import bodies as b
from training.synthetic_or.shapes.meshes import Material, Mesh, vertex_normals

#: A cut moves the edge's vertices this far at most (m); faces farther out are not part of the piece.
_LONGEST_TRIM_M = 0.09
#: Skin this deep under cloth is left out.
_DEEP_M = 0.02
_CLEAR_M = 0.006  # cloth stands off the skin at least this far


@dataclass(frozen=True)
class Cut:
    """A line where a piece ends: `beyond (V,)` m, how far each rest vertex lies outside; `back (V, 3)` unit vectors
    along which cloth is shortened to the line."""

    beyond: NDArray
    back: NDArray


@dataclass(frozen=True)
class Piece:
    """A piece of clothing in the rest pose.

    Attributes:
        vertices: `(V, 3)` m.
        faces: `(F, 3)`.
        weights: `(V, B)` shares of the bones in its motion.
        colours: `(V, 3)` linear.
        material: How it looks.
        sag: `(V,)` m, how far its underside hangs below the body.
    """

    vertices: NDArray
    faces: NDArray
    weights: NDArray
    colours: NDArray
    material: Material
    sag: NDArray

    def worn(self, vertices: NDArray, instance: int) -> Mesh:
        """The piece with its `vertices (V, 3)` moved by the body's bones, its underside hanging."""
        if self.sag.any():
            normals = vertex_normals(vertices, self.faces)
            vertices[:, 2] -= self.sag * np.clip(0.15 - normals[:, 2], 0, 1)
        uv = np.zeros((len(vertices), 2))
        return Mesh(vertices, self.faces, self.colours, uv, self.material, instance, pattern=self.vertices)


@lru_cache(maxsize=64)
def measures_of(bank: b.BodyBank, shape: int) -> Measures:
    return Measures(bank, shape)


class Measures:
    """Where each vertex of one rest body lies along limbs and trunk."""

    def __init__(self, bank: b.BodyBank, shape: int) -> None:
        self.bank, self.shape = bank, shape
        self.rest = bank.rest_vertices[shape]
        heads = bank.bone_heads[shape]
        self.main = bank.weight_bones[:, 0]
        self.regions = bank.regions
        size = len(self.rest)
        #: `(V,)` along the arm: 0 shoulder, 1 elbow, 2 wrist; along the leg: 0 hip, 1 knee, 2 ankle. -1 elsewhere.
        self.arm, self.leg = np.full(size, -1.0), np.full(size, -1.0)
        self.limb_axis, self.limb_m = np.zeros((size, 3)), np.ones(size)
        for side in ("left", "right"):
            for along, names in (
                (self.arm, ("upper_arm", "forearm", "hand", "fingers", "fingertips")),
                (self.leg, ("thigh", "shin", "foot")),
            ):
                self._measure(along, [b.BONE[f"{side}_{name}"] for name in names], heads)
        self.neck_z = float(heads[b.BONE["neck"], 2])
        self.hip_z = float(heads[[b.BONE["left_thigh"], b.BONE["right_thigh"]], 2].mean())
        self.shoulder_z = float(heads[b.BONE["left_upper_arm"], 2])

    def _measure(self, along: NDArray, bones: list[int], heads: NDArray) -> None:
        for step, bone in enumerate(bones):
            mine = self.main == bone
            last = min(step, len(bones) - 2, 1)
            start, stop = heads[bones[last]], heads[bones[last + 1]]
            length = float(np.linalg.norm(stop - start))
            axis = (stop - start) / length
            along[mine] = last + (self.rest[mine] - start) @ axis / length
            if step >= 2:  # hands and feet lie beyond, whatever way they point
                along[mine] = np.maximum(along[mine], 2.0)
            self.limb_axis[mine], self.limb_m[mine] = axis, length

    def arm_cut(self, end: float) -> Cut:
        """A sleeve that ends at `end` (0 shoulder, 1 elbow, 2 wrist)."""
        beyond = np.where(self.arm >= -0.5, (self.arm - end) * self.limb_m, -1.0)
        return Cut(beyond, -self.limb_axis)

    def leg_cut(self, end: float) -> Cut:
        beyond = np.where(self.leg >= -0.5, (self.leg - end) * self.limb_m, -1.0)
        return Cut(beyond, -self.limb_axis)

    def above(self, z: float | NDArray) -> Cut:
        """Cloth ends upwards at height `z` (m, rest pose); arms do not count."""
        return self._level(self.rest[:, 2] - z, -1.0)

    def below(self, z: float | NDArray) -> Cut:
        return self._level(z - self.rest[:, 2], 1.0)

    def _level(self, beyond: NDArray, direction: float) -> Cut:
        trunk = (self.arm < 0.0) | (self.regions == b.TORSO)
        return Cut(np.where(trunk, beyond, -1.0), np.broadcast_to([0.0, 0.0, direction], self.rest.shape))

    def collar(self, depth_m: float, width_m: float) -> Cut:
        """Around the neck, `depth_m` deep in front with sides `width_m` apart; nearly level behind."""
        nape_y = float(self.bank.bone_heads[self.shape][b.BONE["neck"], 1])
        x, y = self.rest[:, 0], self.rest[:, 1] - nape_y + 0.015
        front = np.clip((0.025 - y) / 0.05, 0, 1)
        v_shape = depth_m * np.clip(1.0 - np.abs(x) / max(width_m, 1e-6), 0, 1)
        over = self.rest[:, 2] - (self.neck_z + 0.02 - front * (0.012 + v_shape))
        # Shoulders may be higher than the collar: only what is near the neck is above it.
        radius = np.hypot(x, np.minimum(y, 0.0) * 0.4 + np.maximum(y, 0.0))
        within = 0.088 - radius
        on_head = np.isin(self.regions, (b.FACE, b.HAIR, b.MASK, b.EYE))
        on_trunk = np.where(self.arm < -0.5, np.where(on_head, over, np.minimum(over, within)), -1.0)
        outward = np.stack([x, np.zeros_like(x), np.zeros_like(x)], axis=1) / np.maximum(np.abs(x), 1e-6)[:, None]
        return Cut(on_trunk, np.where((on_head | (over < within))[:, None], [0.0, 0.0, -1.0], outward))


def outside(cuts: Sequence[Cut]) -> tuple[NDArray, NDArray]:
    """`(V,)` m beyond the farthest of the cuts (negative inside), and the way back `(V, 3)`."""
    beyond = np.stack([cut.beyond for cut in cuts])
    worst = beyond.argmax(0)
    index = np.arange(beyond.shape[1])
    return beyond[worst, index], np.stack([cut.back for cut in cuts])[worst, index]


def cut_piece(
    measures: Measures, cuts: Sequence[Cut], loose: NDArray | float, colours: NDArray, material: Material,
    folds: NDArray | float = 0.0, rounds: int = 12, sag: float = 0.0,
) -> tuple[Piece, NDArray]:  # fmt: skip
    """A piece and, for `without`, the vertices deep under it `(V,)`.

    Args:
        measures: Of the body that wears it.
        cuts: Where it ends.
        loose: `(V,)` m it stands off the smoothed body.
        colours: `(3,)` or `(V, 3)` linear.
        material: How it looks.
        folds: `(V,)` m added to `loose`.
        rounds: How smooth the body under it is taken to be.
        sag: How far the underside of the sleeves and legs hangs down (m).
    """
    bank = measures.bank
    beyond, back = outside(cuts)
    smooth, normals = bank.smooth_rest(measures.shape, rounds)
    # Nowhere under the skin: smoothing has taken off shoulders and toes.
    clear = np.einsum("vc,vc->v", measures.rest - smooth, normals) + _CLEAR_M
    offset = np.maximum(np.broadcast_to(np.asarray(loose, float), len(smooth)) + folds, clear)
    vertices = smooth + normals * offset[:, None] + back * beyond.clip(0, _LONGEST_TRIM_M)[:, None]
    first, second, third = (beyond[corner] for corner in bank.faces.T)
    mine = np.minimum(np.minimum(first, second), third) < 0
    mine &= np.maximum(np.maximum(first, second), third) < _LONGEST_TRIM_M
    used, faces = np.unique(bank.faces[mine], return_inverse=True)
    limb = np.clip(np.maximum(measures.arm, measures.leg) + 0.2, 0, 1)
    piece = Piece(
        vertices[used].astype(np.float32),
        faces.reshape(-1, 3),
        bank.weights[used],
        np.broadcast_to(np.asarray(colours, float), vertices.shape)[used],
        material,
        (sag * limb)[used],
    )
    return piece, beyond < -_DEEP_M


def visible_skin(bank: b.BodyBank, deep: Sequence[NDArray]) -> NDArray:
    """`(F, 3)` faces that are not wholly under one piece."""
    seen = np.ones(len(bank.faces), bool)
    corners = np.ascontiguousarray(bank.faces.T)
    for under in deep:
        first, second, third = (under[corner] for corner in corners)
        seen &= ~(first & second & third)
    return bank.faces[seen]


def ridges(points: NDArray, cycles_per_m: Sequence[float], rng: np.random.Generator, waves: int = 5) -> NDArray:
    """`(V,)` in about [0, 1]: irregular folds with round ridges and narrow valleys, along the axis of few cycles."""
    total = np.zeros(len(points))
    for _ in range(waves):
        wave = points @ (rng.normal(0, 1, 3) * np.asarray(cycles_per_m) * np.pi) + rng.uniform(0, 6.28)
        total += np.abs(np.sin(wave)) * rng.uniform(0.5, 1.0)
    return total / (0.75 * waves)


def bunches(
    along: NDArray, centre: float, width: float, cycles: float, skew: NDArray, rng: np.random.Generator
) -> NDArray:
    """`(V,)` in [0, 1]: rings of cloth pushed together around `centre` of a limb, slanting with `skew (V,)` radians."""
    envelope = np.exp(-(((along - centre) / width) ** 2))
    ring = np.sin(
        along * cycles * 2 * np.pi + np.sin(skew + rng.uniform(0, 6.28)) * rng.uniform(1, 2.5) + rng.uniform(0, 6.28)
    )
    return envelope * (0.5 + 0.5 * ring)
