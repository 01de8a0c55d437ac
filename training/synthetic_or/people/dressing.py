"""Dressing: the pieces of an outfit on one body, made once a person and moved with every pose."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.synthetic_or.people import bodies as b
from training.synthetic_or.people.gowns import loft
from training.synthetic_or.people.headwear import headwear
from training.synthetic_or.people.outfits import Outfit
from training.synthetic_or.people.tailor import (
    Cut,
    Measures,
    Piece,
    bunches,
    cut_piece,
    measures_of,
    ridges,
    visible_skin,
)
from training.synthetic_or.shapes.meshes import Material, Mesh, linear

_SKIN = Material(noise=0.05, noise_frequency=6.0, gloss=0.06)
_GLOVE = Material(noise=0.03, folds=0.2, fold_scale=(18.0, 18.0, 18.0), gloss=0.2)
_SHOE = Material(noise=0.05, gloss=0.12)
_APRON = Material(noise=0.03, folds=0.12, fold_scale=(4.0, 4.0, 4.0), gloss=0.12)
_KNIT = Material(noise=0.12, noise_frequency=12.0, folds=0.3, fold_scale=(20.0, 20.0, 8.0))


def dress(bank: b.BodyBank, body: b.PosedBody, outfit: Outfit, instance: int, skirt: bool = True) -> list[Mesh]:
    """The dressed person's surfaces; `skirt=False` leaves out what hangs from the hips (sitting, lying)."""
    wardrobe = _wardrobe(bank, body.shape, outfit, skirt)
    meshes = [
        Mesh(body.vertices, wardrobe.skin_faces, wardrobe.skin_colours, np.zeros((len(body.vertices), 2)), _SKIN,
             instance, pattern=bank.rest_vertices[body.shape])
    ]  # fmt: skip
    moved = b.skinned(wardrobe.vertices, wardrobe.weights, body.bone_motions)
    meshes += [piece.worn(part, instance) for piece, part in zip(wardrobe.pieces, wardrobe.split(moved), strict=True)]
    if skirt:
        rng = np.random.default_rng([outfit.fold_phase, 1])
        if outfit.kind == "gown":
            cloth = cloth_material(outfit)
            meshes.append(loft(bank, body, outfit.main, cloth, outfit.hem, rng, instance, looseness=outfit.looseness))
        elif outfit.apron is not None:
            meshes.append(loft(bank, body, outfit.apron, _APRON, outfit.hem, rng, instance, start=0.5, stiff=True))
        elif outfit.legwear == "skirt":
            cloth = cloth_material(outfit)
            meshes.append(loft(bank, body, outfit.trousers, cloth, outfit.hem, rng, instance, start=0.75))
    return meshes


def hangs(outfit: Outfit) -> bool:
    """Whether the outfit's last mesh hangs around the legs."""
    return outfit.kind == "gown" or outfit.apron is not None or outfit.legwear == "skirt"


def cloth_material(outfit: Outfit) -> Material:
    """Non-woven gowns wrinkle finely and shine at their edges; cotton folds softly."""
    rng = np.random.default_rng([outfit.fold_phase, 2])
    if outfit.kind == "gown":
        return Material(
            noise=0.04, folds=rng.uniform(0.2, 0.4), fold_scale=(7.0, 7.0, 2.5), gloss=0.05,
            sheen=rng.uniform(0.15, 0.4), wrinkle=rng.uniform(0.2, 0.55), wrinkle_scale=rng.uniform(9, 16),
        )  # fmt: skip
    return Material(
        noise=0.05, folds=rng.uniform(0.3, 0.5), fold_scale=(8.0, 8.0, 4.0), gloss=0.02, sheen=rng.uniform(0, 0.12),
        wrinkle=rng.uniform(0.05, 0.25), wrinkle_scale=rng.uniform(8, 14),
    )  # fmt: skip


class _Wardrobe:
    """The pieces and the skin they leave to see; `colours (V, 3)` and `faces (F, 3)` of the bank's vertices.

    `vertices` and `weights` are those of all pieces, to be moved at once."""

    def __init__(self, pieces: list[Piece], skin_faces: NDArray, skin_colours: NDArray) -> None:
        self.pieces, self.skin_faces, self.skin_colours = pieces, skin_faces, skin_colours
        self.vertices = np.concatenate([piece.vertices for piece in pieces])
        self.weights = csr_matrix(np.concatenate([piece.weights for piece in pieces]))
        self._ends = np.cumsum([len(piece.vertices) for piece in pieces])[:-1]

    def split(self, values: NDArray) -> list[NDArray]:
        return np.split(values, self._ends)


@lru_cache(maxsize=64)
def _wardrobe(bank: b.BodyBank, shape: int, outfit: Outfit, skirt: bool) -> _Wardrobe:
    rng = np.random.default_rng(outfit.fold_phase)
    measures = measures_of(bank, shape)
    cutter = _Cutter(measures, outfit, rng, hanging=skirt)
    cutter.legs()
    cutter.top()
    cutter.accessories()
    on_head, under_mask = headwear(measures, outfit, rng)
    skin = visible_skin(bank, cutter.deep + under_mask)
    return _Wardrobe(cutter.pieces + on_head, skin, _skin_colours(measures, outfit))


def _skin_colours(measures: Measures, outfit: Outfit) -> NDArray:
    """`(V, 3)`: skin with hair, eyes, lips and a beard painted on."""
    bank, rest = measures.bank, measures.rest
    colours = np.broadcast_to(outfit.skin, (len(rest), 3)).copy()
    nose, eyes, ears = (bank.coco_rest[measures.shape][i] for i in (0, slice(1, 3), slice(3, 5)))
    face = np.isin(bank.regions, (b.FACE, b.MASK, b.NECK)) & (rest[:, 1] < ears[:, 1].mean() - 0.005)
    below = nose[2] - rest[:, 2]
    if outfit.beard:
        colours[face & (below > 0.022) & (below < 0.12)] = 0.65 * outfit.hair + 0.35 * outfit.skin
    lips = face & (np.abs(below - 0.038) < 0.009) & (np.abs(rest[:, 0]) < 0.024) & (rest[:, 1] < nose[1] + 0.035)
    colours[lips] = outfit.skin * np.array([0.9, 0.55, 0.55])
    hair = bank.regions == b.HAIR
    shade = 0.55 if outfit.hair_length > 0.05 else 0.1
    colours[hair] = shade * outfit.hair + (1 - shade) * outfit.skin
    if outfit.hair_length > 0.05:
        colours[hair] = outfit.hair
    for eye in eyes:
        ball = bank.is_eye & (np.sign(rest[:, 0]) == np.sign(eye[0]))
        colours[ball] = linear(0.85, 0.83, 0.80)
        front = np.flatnonzero(ball)[np.argsort(rest[ball, 1])[: max(1, ball.sum() // 5)]]
        colours[front] = linear(0.18, 0.13, 0.10)
    return colours


class _Cutter:
    """Cuts an outfit's pieces; `deep` are the vertices that lie deep under each of them."""

    def __init__(self, measures: Measures, outfit: Outfit, rng: np.random.Generator, hanging: bool) -> None:
        self.m, self.outfit, self.rng, self.hanging = measures, outfit, rng, hanging
        self.cloth = cloth_material(outfit)
        self.pieces: list[Piece] = []
        self.deep: list[NDArray] = []

    def _add(
        self, cuts: list[Cut], loose: NDArray | float, colours: NDArray, material: Material, **how: object
    ) -> None:
        piece, deep = cut_piece(self.m, cuts, loose, colours, material, **how)  # type: ignore[arg-type]
        self.pieces.append(piece)
        self.deep.append(deep)

    def legs(self) -> None:
        outfit, m = self.outfit, self.m
        if outfit.legwear == "none" or (outfit.legwear == "skirt" and self.hanging):
            return
        gown_thighs = outfit.kind == "gown" and not self.hanging
        end = 1.7 if gown_thighs else (0.95 if outfit.legwear == "skirt" else outfit.leg_end)
        wide = outfit.looseness * (1.0 if outfit.kind != "street" else 0.7)
        loose = (0.012 + 0.014 * np.clip(m.leg, 0, 2)) * wide + (0.015 if gown_thighs else 0.0)
        angle = np.arctan2(m.rest[:, 1] - 0.02, np.abs(m.rest[:, 0]) - 0.11)
        folds = 0.014 * wide * (ridges(m.rest, (7, 7, 1.2), self.rng) - 0.3) * np.clip(m.leg, 0, 1)
        folds += 0.012 * bunches(m.leg, end, 0.22, 7.0, angle, self.rng) + 0.006 * bunches(
            m.leg, 1, 0.2, 6, angle, self.rng
        )
        colour = outfit.main if gown_thighs else outfit.trousers
        self._add(
            [m.leg_cut(end), m.above(m.hip_z + 0.13), _nothing_on_arms(m)],
            loose,
            colour,
            self.cloth,
            folds=folds,
            sag=0.01,
        )

    def top(self) -> None:
        outfit, m = self.outfit, self.m
        gown = outfit.kind == "gown"
        wide = outfit.looseness * {"gown": 1.25, "street": 0.75, "patient": 0.9}.get(outfit.kind, 1.0)
        hem = m.hip_z + self.rng.uniform(-0.07, -0.03)
        if gown and self.hanging:  # goes on in the hanging part
            hem = m.shoulder_z - 0.62 * (m.shoulder_z - m.hip_z)
        if outfit.legwear == "skirt":
            hem = m.hip_z + 0.09
        self._add(
            [m.collar(outfit.collar_m, 0.07), m.arm_cut(outfit.sleeve), m.below(hem), _no_legs(m)],
            self._top_ease(wide, hem), self._printed(outfit.main), self.cloth, folds=self._top_folds(wide),
            rounds=12, sag=0.028 * wide if gown else 0.01 * wide,
        )  # fmt: skip
        if outfit.jacket is not None:
            self._add(
                [m.collar(self.rng.uniform(0.1, 0.25), 0.06), m.arm_cut(1.93), m.below(hem - 0.02), _no_legs(m)],
                self._top_ease(wide, hem) + 0.02, outfit.jacket, self.cloth,
                folds=self._top_folds(wide), rounds=12, sag=0.012,
            )  # fmt: skip
        if outfit.apron is not None:
            bottom = m.hip_z + (0.12 if self.hanging else 0.02)
            self._add(
                [m.collar(0.05, 0.08), m.arm_cut(0.12), m.below(bottom), _no_legs(m)],
                0.05, outfit.apron, _APRON, rounds=24,
            )  # fmt: skip

    def _top_ease(self, wide: float, hem: float) -> NDArray:
        """`(V,)` m: close at the collar, wide at hem and sleeves, tight again at a long sleeve's cuff."""
        m = self.m
        down = np.clip((m.neck_z - m.rest[:, 2]) / max(m.neck_z - hem, 0.1), 0, 1)
        trunk = 0.010 + 0.025 * wide * down
        if self.outfit.kind == "gown" and self.hanging:  # ends under the hanging part
            trunk *= np.clip((1.0 - down) / 0.3, 0, 1)
        arm = np.clip(m.arm, 0, 2)
        sleeve = 0.012 + 0.016 * wide * np.clip(arm, 0, 1.2)
        if self.outfit.sleeve > 1.5:
            sleeve = np.interp(arm, [0, 0.6, 1.4, 1.9, 2], np.array([0.012, 0.02, 0.02, 0.011, 0.005]) * wide)
        return np.where(m.arm >= 0, sleeve, trunk)

    def _top_folds(self, wide: float) -> NDArray:
        m, rng = self.m, self.rng
        falling = np.clip((m.shoulder_z - m.rest[:, 2]) / 0.4, 0, 1) * (m.arm < 0)
        strength = 0.01 if self.outfit.kind == "gown" and self.hanging else 0.03 * wide
        folds = strength * falling * (ridges(m.rest, (6.5, 6.5, 1.0), rng) - 0.35)
        angle = np.arctan2(m.rest[:, 1] - 0.02, m.rest[:, 2] - 0.3)
        along = 0.010 * (ridges(m.rest, (5, 5, 5), rng) - 0.4) * (m.arm >= 0)
        elbow = (
            0.016
            * wide
            * (bunches(m.arm, 1.05, 0.28, 5.0, angle, rng) - 0.25 * np.exp(-(((m.arm - 1.05) / 0.28) ** 2)))
        )
        cuff = 0.010 * wide * bunches(m.arm, 1.75, 0.15, 7.0, angle, rng)
        return folds + along + (elbow + cuff) * (self.outfit.sleeve > 1.2)

    def _printed(self, colour: NDArray) -> NDArray:
        """`(V, 3)` or `(3,)`: the upper clothes' colour with stripes or checks."""
        if self.outfit.print_kind == "plain":
            return colour
        period, other = self.rng.uniform(0.07, 0.14), colour * self.rng.uniform(0.3, 0.7) + self.rng.uniform(0, 0.25)
        bands = np.mod(self.m.rest / period, 1.0) < 0.5
        share = bands[:, 2] * 1.0 if self.outfit.print_kind == "stripes" else (bands[:, 2] * 0.5 + bands[:, 0] * 0.5)
        return colour + (other - colour) * share[:, None]

    def accessories(self) -> None:
        outfit, m = self.outfit, self.m
        if outfit.legwear != "none":
            shoe = Cut(np.where(m.leg >= -0.5, (1.93 - m.leg) * m.limb_m, 1.0), m.limb_axis)
            self._add([shoe], 0.014, outfit.shoes, _SHOE, rounds=5)
        if outfit.cuffs is not None:
            wrist = Cut(np.where(m.arm >= -0.5, (1.76 - m.arm) * m.limb_m, 1.0), m.limb_axis)
            self._add([wrist, m.arm_cut(2.02)], 0.005, outfit.cuffs, _KNIT, rounds=5)
        if outfit.gloves is not None:
            start = 1.86 if outfit.cuffs is not None else 1.95
            hand = Cut(np.where(m.arm >= -0.5, (start - m.arm) * m.limb_m, 1.0), m.limb_axis)
            ease = 0.002 + (0.006 if outfit.cuffs is not None else 0.0) * np.clip((2.0 - m.arm) * 10, 0, 1)
            self._add([hand], ease, outfit.gloves, _GLOVE, rounds=0)
        if outfit.apron is not None and outfit.thyroid:
            neck = [m.above(m.neck_z + 0.055), m.below(m.neck_z - 0.01), _no_legs(m), _nothing_on_arms(m)]
            self._add(neck, 0.016, outfit.apron, _APRON, rounds=5)


def _no_legs(m: Measures) -> Cut:
    """Keeps a piece of the trunk off shins and feet."""
    return Cut(np.where(m.leg > 0.6, 1.0, -1.0), np.zeros_like(m.rest))


def _nothing_on_arms(m: Measures) -> Cut:
    return Cut(np.where(m.arm >= 0, 1.0, -1.0), np.zeros_like(m.rest))
