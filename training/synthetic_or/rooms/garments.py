"""Clothes without anybody in them, the hardest negatives: on hangers and hooks, over posts and chairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import CLOTH, METAL, Rng, grey, vivid
from training.synthetic_or.shapes.meshes import Material, Mesh, linear
from training.synthetic_or.shapes.textures import Textures

#: sRGB of lead aprons, gowns and coats.
_APRONS = (
    (0.15, 0.22, 0.5),
    (0.1, 0.12, 0.3),
    (0.5, 0.1, 0.15),
    (0.12, 0.38, 0.3),
    (0.2, 0.3, 0.65),
    (0.6, 0.15, 0.25),
)
_GOWNS = ((0.5, 0.68, 0.9), (0.3, 0.45, 0.8), (0.35, 0.6, 0.6), (0.3, 0.5, 0.42), (0.9, 0.92, 0.95))
_COATS = ((0.95, 0.95, 0.95), (0.1, 0.1, 0.12), (0.25, 0.28, 0.35), (0.5, 0.4, 0.3), (0.3, 0.1, 0.12))
_LEAD = Material(noise=0.06, folds=0.25, fold_scale=(5.0, 5.0, 3.0), gloss=0.12)


def _colour(palette: tuple[tuple[float, float, float], ...], rng: Rng) -> NDArray:
    return linear(*(np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 0.04, 3)))


def garment(
    kit: Kit, rng: Rng, place: tuple[float, float, float], colour: NDArray, heading: float, sleeves: bool,
    material: Material = CLOTH,
) -> None:  # fmt: skip
    """A garment whose collar hangs at `place`: shoulders, wider hem, folds; flat as on a hanger."""
    length, half = min(rng.uniform(0.75, 1.3), place[2] - 0.05), rng.uniform(0.19, 0.27)
    t, angle = np.linspace(0, 1, 13), np.linspace(0, 2 * np.pi, 22, endpoint=False)
    width = np.interp(t, [0, 0.03, 0.09, 0.35, 1], [0.05, 0.1, half, half * 0.88, half * rng.uniform(0.95, 1.3)])
    thickness = np.interp(t, [0, 0.1, 1], [0.03, 0.055, rng.uniform(0.04, 0.13)])
    ripple = sum(np.sin(angle * k + rng.uniform(0, 6) + rng.normal(0, 1.0) * t[:, None]) for k in rng.integers(3, 9, 2))
    swell = 1 + 0.14 * np.asarray(ripple) * t[:, None]
    x, y = width[:, None] * np.cos(angle) * (0.6 + 0.4 * swell), thickness[:, None] * np.sin(angle) * swell
    z = np.broadcast_to(-t[:, None] * length, x.shape) + 0.02 * np.sin(3 * angle + rng.uniform(0, 6)) * t[:, None]
    grid = np.stack([x, y, z], -1)
    c, s = np.cos(np.radians(heading)), np.sin(np.radians(heading))
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
    kit.sheet(grid @ turn + place, colour, material, closed=True)
    for side in (-1.0, 1.0) if sleeves else ():
        drop = rng.uniform(0.4, 0.6)
        arm = np.array([(half * 0.85, 0, -0.08), (half * 1.25, 0, -0.3), (half * rng.uniform(1.1, 1.4), 0, -drop)])
        arm[:, 0] *= side
        kit.cable(arm @ turn + place, rng.uniform(0.05, 0.075), colour, material, sides=8)
    kit.rod(np.array(place), (place[0], place[1], place[2] + 0.07), 0.006, grey(rng, 0.4, 0.8))


def apron_rack(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """Lead aprons or gowns on hangers, close together, on a free-standing or wall rack."""
    kit = Kit()
    width, z = rng.uniform(0.7, 1.5), rng.uniform(1.45, 1.8)
    steel = grey(rng, 0.4, 0.9)
    kit.rod((-width / 2, 0, z + 0.06), (width / 2, 0, z + 0.06), 0.018, steel)
    for side in (-1, 1):
        kit.rod((side * width / 2, 0, 0), (side * width / 2, 0, z + 0.06), 0.018, steel)
        kit.box((0.05, 0.5, 0.05), (side * width / 2, 0, 0.03), steel, METAL)
    across = rng.random() < 0.5  # hangers across the bar, as in a wardrobe, or flat side to the room
    gowns = rng.random() < 0.25
    for x in np.linspace(-0.44, 0.44, int(rng.integers(1, 4)) if not across else int(rng.integers(3, 9))) * width:
        heading = rng.normal(90, 12) if across else rng.normal(0, 12)
        colour = _colour(_GOWNS if gowns else _APRONS, rng)
        garment(kit, rng, (x, rng.normal(0, 0.02), z), colour, heading, gowns, CLOTH if gowns else _LEAD)
    return kit.meshes()


def coat_hooks(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """Coats, aprons, bags on wall hooks; y = 0 is the wall."""
    z = rng.uniform(1.55, 1.8)
    kit.box((1.2, 0.03, 0.08), (x, -0.015, z), grey(rng, 0.4, 0.9))
    palette = (_APRONS, _GOWNS, _COATS)[rng.integers(3)]
    for i in range(rng.integers(1, 5)):
        place = (x - 0.5 + 0.28 * i + rng.normal(0, 0.03), -0.1, z)
        if rng.random() < 0.2:
            backpack(kit, rng, (place[0], -0.13, z - 0.5))
        else:
            garment(
                kit, rng, place, _colour(palette, rng), rng.normal(0, 15), palette is not _APRONS and rng.random() < 0.7
            )


def backpack(kit: Kit, rng: Rng, place: tuple[float, float, float]) -> None:
    colour = grey(rng, 0.02, 0.15) if rng.random() < 0.6 else vivid(rng) * 0.6
    heading, phase = rng.uniform(0, 360), rng.uniform(0, 6)
    size = rng.uniform((0.3, 0.18, 0.38), (0.42, 0.28, 0.55))
    kit.sack(size, place, colour, CLOTH, heading, 0.04, phase)
    kit.sack(size * (0.7, 0.5, 0.4), (place[0], place[1] - 0.1, place[2] + 0.03), colour * 0.8, CLOTH, heading)


def post_with_cap(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """Something upright under cloth with a ball or a round top: person-sized, but nobody."""
    kit = Kit()
    height, half = rng.uniform(0.9, 1.7), rng.uniform(0.12, 0.3)
    colour = _colour(_GOWNS, rng) if rng.random() < 0.55 else grey(rng, 0.05, 1.0)
    t, angle = np.linspace(0, 1, 14), np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ripple = np.sin(angle * rng.integers(4, 9) + rng.uniform(0, 6)) + np.sin(
        angle * rng.integers(5, 12) + 2 * t[:, None]
    )
    top = rng.uniform(0.2, 0.6)
    radius = (
        half * np.interp(t, [0, 0.04, 0.15, 1], [0.02, top * 0.7, top, 1.0])[:, None] * (1 + 0.1 * ripple * t[:, None])
    )
    foot = rng.uniform(0.0, 0.4)
    z = np.broadcast_to((foot + (height - foot) * (1 - t))[:, None], radius.shape)
    kit.sheet(np.stack([radius * np.cos(angle), radius * np.sin(angle) * 0.8, z], -1), colour, CLOTH, closed=True)
    if rng.random() < 0.5:  # a ball, a lamp or a wrapped head on top
        size = rng.uniform(0.14, 0.3)
        ball = grey(rng, 0.5, 1.0) if rng.random() < 0.6 else _colour(_GOWNS, rng)
        kit.sack(
            (size, size, size * rng.uniform(0.8, 1.3)), (0, 0, height - 0.02), ball, Material(noise=0.08, folds=0.3)
        )
    kit.cylinder(0.02, foot + 0.3, (0, 0, 0), grey(rng, 0.4, 0.8), METAL)
    kit.cylinder(rng.uniform(0.18, 0.3), 0.05, (0, 0, 0.02), grey(rng, 0.1, 0.8), METAL, top=0.6)
    return kit.meshes()


def draped_chair(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A chair with a jacket over its back, dark and as wide as shoulders."""
    kit = Kit()
    seat = rng.uniform(0.42, 0.5)
    kit.box((0.45, 0.45, 0.07), (0, 0, seat), grey(rng, 0.03, 0.3), CLOTH, bevel=0.02)
    for x in (-0.19, 0.19):
        for y in (-0.19, 0.19):
            kit.rod((x, y, 0), (x, y, seat), 0.014, grey(rng, 0.2, 0.8))
    kit.box((0.44, 0.05, 0.42), (0, 0.22, seat + 0.08), grey(rng, 0.03, 0.4), CLOTH, bevel=0.02)
    if rng.random() < 0.7:
        garment(kit, rng, (0, 0.23, seat + 0.55), _colour((_APRONS, _GOWNS, _COATS)[rng.integers(3)], rng), 0.0, True)
    return kit.meshes()
