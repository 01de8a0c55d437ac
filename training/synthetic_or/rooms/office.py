"""Furniture of offices and homes: desks, chairs, sofas, shelves, kitchens. The front is towards -y."""

from __future__ import annotations

import numpy as np

from training.synthetic_or.rooms.clutter import scatter
from training.synthetic_or.rooms.furniture import star_base
from training.synthetic_or.rooms.garments import backpack
from training.synthetic_or.rooms.walls import cables
from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import CLOTH, PLASTIC, Rng, grey, painted, vivid
from training.synthetic_or.shapes.meshes import Material, Mesh, linear
from training.synthetic_or.shapes.textures import Textures

_WHITE = linear(1, 1, 1)


def _cloth_colour(rng: Rng) -> np.ndarray:
    palette = (
        (0.35, 0.35, 0.38),
        (0.6, 0.55, 0.48),
        (0.2, 0.25, 0.35),
        (0.5, 0.3, 0.25),
        (0.75, 0.72, 0.68),
        (0.3, 0.4, 0.35),
    )
    return linear(*(np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 0.05, 3)))


def _board(textures: Textures, rng: Rng) -> tuple[np.ndarray, Material]:
    """Wood or a plain board."""
    if rng.random() < 0.45:
        return _WHITE * rng.uniform(0.6, 1.0), painted("wood", textures, rng, gloss=0.2)
    return (grey(rng, 0.75, 1.0) if rng.random() < 0.75 else grey(rng, 0.03, 0.4)), PLASTIC


def desk(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A desk with monitors, keyboard, paper, cups and a tangle of cables; a swivel chair before it."""
    kit = Kit()
    width, depth, height = rng.uniform(1.1, 1.7), rng.uniform(0.6, 0.8), rng.uniform(0.7, 0.76)
    kit.box((width, depth, 0.035), (0, 0, height), *_board(textures, rng), bevel=0.005)
    for x in (-0.46, 0.46):
        kit.box((0.05, depth * 0.9, height), (x * width, 0, 0), grey(rng, 0.2, 0.9))
    if rng.random() < 0.4:
        kit.box(
            (0.4, depth * 0.85, 0.58), (width * 0.28, 0, 0.02), grey(rng, 0.6, 0.95), painted("drawers", textures, rng)
        )
    top = height + 0.035
    for x in np.linspace(-0.25, 0.25, int(rng.integers(1, 4))) * width if rng.random() < 0.9 else ():
        wide = rng.uniform(0.4, 0.6)
        monitor = Kit()
        monitor.box((wide, 0.04, wide * 0.58), (0, 0, 0.1), grey(rng, 0.02, 0.2), PLASTIC, bevel=0.01)
        picture = painted("screen" if rng.random() < 0.6 else "board", textures, rng, 0.3, float(rng.uniform(0.0, 1.5)))
        monitor.plate(wide - 0.03, wide * 0.58 - 0.03, (0, -0.022, 0.115), _WHITE, picture)
        monitor.box((0.2, 0.18, 0.015), (0, 0.02, 0), grey(rng, 0.02, 0.3))
        monitor.box((0.05, 0.03, 0.15), (0, 0.03, 0), grey(rng, 0.02, 0.3))
        kit.put(monitor.meshes(), rng.normal(0, 15), (x, depth * 0.22, top))
    kit.box((0.42, 0.14, 0.015), (rng.normal(0, 0.1), -depth * 0.2, top), _WHITE, painted("keys", textures, rng))
    scatter(kit, rng, textures, (width, depth), top, int(rng.integers(3, 12)))
    cables(kit, rng, (0.0, depth * 0.3, height), width * 0.8, int(rng.integers(3, 10)))
    if rng.random() < 0.3:
        backpack(kit, rng, (rng.uniform(-0.3, 0.3) * width, 0, 0.0))
    if rng.random() < 0.8:
        place = (rng.uniform(-0.25, 0.25) * width, -depth / 2 - rng.uniform(0.05, 0.35), 0)
        kit.put(swivel_chair(rng, textures, ceiling), rng.uniform(120, 240), place)
    return kit.meshes()


def swivel_chair(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """Dark, with a high back as wide as shoulders, arm rests, sometimes a head rest or a coat over it."""
    kit = Kit()
    seat = rng.uniform(0.42, 0.55)
    colour = grey(rng, 0.02, 0.15) if rng.random() < 0.75 else _cloth_colour(rng)
    frame = grey(rng, 0.02, 0.4)
    kit.cylinder(0.03, seat, (0, 0, 0.05), frame, PLASTIC)
    star_base(kit, rng, frame)
    kit.box((0.48, 0.46, 0.08), (0, 0, seat), colour, CLOTH, bevel=0.03)
    width, height = rng.uniform(0.4, 0.5), rng.uniform(0.4, 0.65)
    kit.sack((width, 0.1, height), (0, 0.24, seat + 0.14), colour, CLOTH)
    kit.box((0.06, 0.04, 0.3), (0, 0.26, seat), frame)
    if rng.random() < 0.3:
        kit.sack((0.28, 0.09, 0.17), (0, 0.24, seat + 0.18 + height), colour, CLOTH)
    for x in (-0.27, 0.27) if rng.random() < 0.6 else ():
        kit.box((0.06, 0.26, 0.03), (x, 0.02, seat + 0.24), frame, PLASTIC, bevel=0.01)
        kit.rod((x, 0.05, seat), (x, 0.05, seat + 0.24), 0.016, frame)
    return kit.meshes()


def chair(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    colour, material = _board(textures, rng) if rng.random() < 0.6 else (_cloth_colour(rng), CLOTH)
    leg = grey(rng, 0.05, 0.8)
    kit.box((0.44, 0.43, 0.04), (0, 0, 0.44), colour, material, bevel=0.01)
    for x in (-0.19, 0.19):
        kit.rod((x, -0.19, 0), (x, -0.19, 0.44), 0.016, leg)
        kit.rod((x, 0.22, 0), (x, 0.2, 0.9), 0.016, leg)
    kit.box((0.42, 0.03, 0.3), (0, 0.2, 0.6), colour, material, bevel=0.01)
    return kit.meshes()


def sofa(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    width, colour = rng.uniform(1.4, 2.2), _cloth_colour(rng)
    cloth = Material(noise=0.06, folds=0.25)
    kit.box((width, 0.85, 0.28), (0, 0, 0.08), colour, cloth, bevel=0.04)
    kit.box((width, 0.24, 0.5), (0, 0.31, 0.32), colour, cloth, bevel=0.07)
    for side in (-0.5, 0.5):
        kit.box((0.2, 0.85, 0.5), (side * width, 0, 0.08), colour, cloth, bevel=0.06)
    seats = max(1, int(width / 0.75))
    for i in range(seats):
        kit.box(
            (width / seats - 0.12, 0.6, 0.15),
            ((i + 0.5) / seats * width - width / 2, -0.1, 0.34),
            colour,
            cloth,
            bevel=0.05,
        )
    for _ in range(rng.integers(0, 4)):
        cushion = vivid(rng) if rng.random() < 0.5 else _cloth_colour(rng)
        kit.sack((0.42, 0.18, 0.4), (rng.uniform(-0.4, 0.4) * width, 0.12, 0.46), cushion, cloth, rng.normal(0, 20))
    return kit.meshes()


def bookshelf(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    width, height = rng.uniform(0.7, 1.6), rng.uniform(1.2, 2.2)
    colour, material = _board(textures, rng)
    kit.box((width, 0.02, height), (0, 0.14, 0), colour * 0.8, material)
    for x in (-0.5, 0.5):
        kit.box((0.025, 0.3, height), (x * width, 0, 0), colour, material)
    for z in np.arange(0.05, height, 0.35):
        kit.box((width, 0.3, 0.025), (0, 0, z), colour, material)
        x = -width / 2 + 0.03
        while x < width / 2 - 0.08 and z < height - 0.3:
            size = rng.uniform((0.02, 0.15, 0.17), (0.06, 0.22, 0.3))
            book = vivid(rng) if rng.random() < 0.45 else grey(rng, 0.1, 0.95)
            kit.box(size, (x + size[0] / 2, -0.02, z + 0.025), book)
            x += size[0] + rng.choice([0.0, 0.0, 0.0, 0.15])
    return kit.meshes()


def dining_table(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    width, depth = rng.uniform(1.1, 1.8), rng.uniform(0.75, 0.95)
    kit.box((width, depth, 0.04), (0, 0, 0.7), *_board(textures, rng), bevel=0.008)
    for x in (-0.44, 0.44):
        for y in (-0.42, 0.42):
            kit.box((0.06, 0.06, 0.7), (x * width, y * depth, 0), grey(rng, 0.1, 0.6))
    scatter(kit, rng, textures, (width, depth), 0.74, int(rng.integers(2, 9)))
    for side in (-1, 1):
        for x in rng.uniform(-0.35, 0.35, rng.integers(0, 3)) * width:
            place = (x, side * (depth / 2 + rng.uniform(0.0, 0.3)), 0)
            kit.put(chair(rng, textures, ceiling), (0 if side > 0 else 180) + rng.normal(0, 20), place)
    return kit.meshes()


def kitchen(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    width = rng.uniform(1.6, 2.0)
    front = painted("fronts", textures, rng)
    colour = grey(rng, 0.7, 1.0) if rng.random() < 0.7 else _cloth_colour(rng)
    kit.box((width, 0.55, 0.86), (0, 0, 0), colour)
    kit.plate(width, 0.78, (0, -0.28, 0.07), colour**0.4, front)
    kit.box((width, 0.6, 0.04), (0, 0, 0.86), *_board(textures, rng))
    kit.box((width, 0.32, 0.6), (0, 0.13, 1.45), colour)
    kit.plate(width, 0.58, (0, -0.035, 1.46), colour**0.4, front)
    kit.box((0.55, 0.02, 0.5), (rng.uniform(-0.4, 0.4), -0.285, 0.2), grey(rng, 0.02, 0.1), Material(gloss=0.5))
    scatter(kit, rng, textures, (width, 0.45), 0.9, int(rng.integers(3, 12)))
    return kit.meshes()


def fridge(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    colour = grey(rng, 0.5, 1.0)
    kit.box((0.62, 0.6, rng.uniform(1.5, 1.95)), (0, 0, 0), colour, Material(noise=0.02, gloss=0.35), bevel=0.02)
    kit.box((0.03, 0.04, 0.4), (-0.25, -0.32, 0.9), colour * 0.5)
    kit.plate(0.3, 0.35, (0.05, -0.304, 1.1), _WHITE, painted("paper", textures, rng))
    return kit.meshes()


def bed(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """Its head at the wall; a rumpled blanket that nobody lies under."""
    kit = Kit()
    width = rng.uniform(0.9, 1.6)
    kit.box((width + 0.06, 1.95, 0.3), (0, 0, 0), *_board(textures, rng))
    kit.box((width + 0.06, 0.05, 0.9), (0, 0.97, 0), *_board(textures, rng))
    kit.box((width, 1.9, 0.2), (0, 0, 0.28), grey(rng, 0.85, 1.0), CLOTH, bevel=0.05)
    kit.sack((width * 0.8, 0.4, 0.15), (0, 0.72, 0.46), grey(rng, 0.8, 1.0), CLOTH, 0.0, 0.04)
    blanket = Material(noise=0.06, folds=0.9, fold_scale=(3.0, 3.0, 3.0))
    kit.sack(
        (width * 1.08, 1.4, 0.24), (0, -0.25, 0.4), _cloth_colour(rng) ** 0.7, blanket, 0.0, 0.04, rng.uniform(0, 6)
    )
    return kit.meshes()


def television(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    wide = rng.uniform(0.8, 1.4)
    kit.box((wide * 1.3, 0.4, 0.45), (0, 0, 0), *_board(textures, rng))
    kit.box((wide, 0.05, wide * 0.57), (0, 0, 0.5), grey(rng, 0.02, 0.08), PLASTIC)
    picture = painted(str(rng.choice(["screen", "outside", "picture"])), textures, rng, 0.4, float(rng.uniform(0, 1.5)))
    kit.plate(wide - 0.03, wide * 0.57 - 0.03, (0, -0.027, 0.515), _WHITE, picture)
    return kit.meshes()


def plant(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    kit.cylinder(0.14, 0.3, (0, 0, 0), _cloth_colour(rng), PLASTIC, top=1.3)
    green = linear(rng.uniform(0.1, 0.35), rng.uniform(0.35, 0.55), rng.uniform(0.1, 0.3))
    height = rng.uniform(0.5, 1.4)
    kit.rod((0, 0, 0.25), (0, 0, height), 0.02, linear(0.35, 0.25, 0.15), PLASTIC)
    t = np.linspace(0, 1, 6)[:, None]
    for _ in range(rng.integers(12, 30)):
        angle, reach, rise = rng.uniform(0, 6.28), rng.uniform(0.2, 0.45), rng.uniform(0.05, 0.4)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]]) * 0.05
        middle = np.concatenate([along * reach * t, height * rng.uniform(0.5, 1.0) + rise * np.sin(2.4 * t)], axis=1)
        half = np.concatenate([across * np.sin(np.pi * t), np.zeros_like(t)], axis=1)
        kit.sheet(np.stack([middle - half, middle + half], 1), green * rng.uniform(0.6, 1.3), PLASTIC)
    return kit.meshes()


def floor_lamp(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A thin stand with a shade as round as a head."""
    kit = Kit()
    height = rng.uniform(1.3, 1.7)
    kit.cylinder(0.14, 0.03, (0, 0, 0), grey(rng, 0.05, 0.7))
    kit.rod((0, 0, 0), (0, 0, height), 0.012, grey(rng, 0.05, 0.7))
    shade = Material(noise=0.02, emission=float(rng.choice([0.0, 1.5])))
    kit.cylinder(
        rng.uniform(0.15, 0.25), 0.28, (0, 0, height), linear(0.95, 0.9, 0.78), shade, top=rng.uniform(0.5, 1.0)
    )
    return kit.meshes()


def counter(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A shop's shelf or counter, full of goods."""
    kit = Kit()
    width = rng.uniform(1.2, 1.9)
    kit.box((width, 0.45, 0.1), (0, 0, 0), grey(rng, 0.3, 0.9))
    kit.box((width, 0.03, 1.6), (0, 0.2, 0), grey(rng, 0.5, 0.95))
    for z in np.arange(0.1, 1.5, 0.35):
        kit.box((width, 0.42, 0.025), (0, 0, z), grey(rng, 0.5, 0.95))
        scatter(kit, rng, textures, (width, 0.3), z + 0.025, int(rng.integers(3, 8)))
    return kit.meshes()
