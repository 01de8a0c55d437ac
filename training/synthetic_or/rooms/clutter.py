"""Small things that lie about on tables and shelves; cartons, bags and linen on the floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rooms.garments import backpack
from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import CLOTH, PLASTIC, Rng, grey, painted, vivid
from training.synthetic_or.shapes.meshes import Material, Mesh, linear
from training.synthetic_or.shapes.textures import Textures

#: Length of a row of `stored_things` along a wall, but for flaps and leaning screens, which stand off (m).
STORED_ROW_M = 1.7
STEEL = Material(noise=0.04, gloss=0.5, mirror=0.15)
_FOIL = Material(noise=0.05, gloss=0.5)
_PACKS = ((0.92, 0.94, 0.95), (0.55, 0.75, 0.85), (0.45, 0.7, 0.65), (0.3, 0.45, 0.75), (0.85, 0.8, 0.6))


def scatter(
    kit: Kit, rng: Rng, textures: Textures, size: tuple[float, float], z: float, count: int, sterile: bool = False
) -> None:
    """`count` small things on a level surface of `size` (m) around the origin at height `z`.

    `sterile`: what lies on an instrument table, mostly steel, paper and cloth.
    """
    kinds = ("pack", "instruments", "bowl", "towel", "tube") if sterile else tuple(_SMALL)
    for _ in range(count):
        place = np.array([rng.uniform(-0.44, 0.44) * size[0], rng.uniform(-0.4, 0.4) * size[1], z])
        _SMALL[kinds[rng.integers(len(kinds))]](kit, rng, textures, place, rng.uniform(0, 180))


def _above(place: NDArray, height: float) -> NDArray:
    return place + np.array([0.0, 0.0, height])


def _pack(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    colour = linear(*(np.array(_PACKS[rng.integers(len(_PACKS))]) + rng.normal(0, 0.03, 3)))
    size = rng.uniform((0.08, 0.05, 0.01), (0.3, 0.22, 0.08))
    material = painted("paper", textures, rng) if rng.random() < 0.5 else _FOIL
    kit.box(size, place, colour, material, heading, bevel=float(size[2] * 0.3))


def _instruments(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    """A row of steel instruments, some of them in a tray."""
    if rng.random() < 0.4:
        kit.box((0.32, 0.22, 0.02), place, grey(rng, 0.6, 0.85), STEEL, heading)
        place = _above(place, 0.02)
    across = np.radians(heading)
    steel = grey(rng, 0.3, 0.8)
    for i in range(rng.integers(2, 8)):
        middle = place + np.array([np.cos(across), np.sin(across), 0]) * (i - 3) * 0.035
        half = np.array([-np.sin(across), np.cos(across), 0]) * rng.uniform(0.05, 0.11)
        kit.rod(_above(middle - half, 0.008), _above(middle + half, 0.008), 0.006, steel, STEEL, sides=4)


def _bowl(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    radius = rng.uniform(0.05, 0.14)
    kind = rng.random()
    colour = grey(rng, 0.5, 0.9) if kind < 0.6 else linear(0.35, 0.55, 0.8) if kind < 0.8 else grey(rng, 0.85, 1.0)
    kit.cylinder(radius * 0.7, radius * 0.6, place, colour, STEEL if kind < 0.6 else PLASTIC, top=1.45)
    inside = _above(place, radius * 0.6 + 0.001)
    kit.cylinder(radius * 0.85, 0.001, inside, colour * rng.uniform(0.15, 0.6))


def _towel(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    colour = linear(*_PACKS[rng.integers(len(_PACKS))])
    kit.sack(rng.uniform((0.15, 0.12, 0.03), (0.35, 0.3, 0.1)), place, colour, CLOTH, heading, 0.05, rng.uniform(0, 6))


def _tube(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    """A coil of tubing or cable."""
    turns = np.linspace(0, 2 * np.pi * rng.uniform(1, 3), 26)
    radius = rng.uniform(0.05, 0.13) * (1 + 0.2 * np.sin(turns * 0.6))
    path = np.stack([radius * np.cos(turns), radius * np.sin(turns), 0.008 + 0.004 * turns], 1) + place
    colour = grey(rng, 0.6, 0.95) if rng.random() < 0.6 else grey(rng, 0.02, 0.3)
    kit.cable(path, rng.uniform(0.003, 0.008), vivid(rng) if rng.random() < 0.15 else colour)


def _bottle(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    radius, height = rng.uniform(0.025, 0.05), rng.uniform(0.1, 0.26)
    colour = grey(rng, 0.6, 1.0) if rng.random() < 0.5 else vivid(rng)
    kit.cylinder(radius, height * 0.8, place, colour, painted("paper", textures, rng))
    kit.cylinder(radius * 0.5, height * 0.2, _above(place, height * 0.8), grey(rng, 0.1, 1.0))


def _papers(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    kit.box((0.21, 0.3, 0.004), place, linear(1, 1, 1), painted("paper", textures, rng), heading)


def _carton(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    size = rng.uniform((0.1, 0.08, 0.06), (0.32, 0.26, 0.24))
    kind = rng.random()
    colour = linear(0.68, 0.52, 0.36) if kind < 0.25 else grey(rng, 0.6, 1.0) if kind < 0.75 else vivid(rng)
    kit.box(size, place, colour, painted("paper", textures, rng) if rng.random() < 0.6 else PLASTIC, heading)


def _device(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    size = rng.uniform((0.18, 0.15, 0.08), (0.36, 0.32, 0.26))
    kit.box(size, place, grey(rng, 0.6, 0.97), painted("device", textures, rng), rng.normal(0, 15), bevel=0.012)


def _bag(kit: Kit, rng: Rng, textures: Textures, place: NDArray, heading: float) -> None:
    colour = linear(0.75, 0.12, 0.12) if rng.random() < 0.3 else grey(rng, 0.02, 0.2)
    kit.sack(rng.uniform((0.25, 0.15, 0.12), (0.45, 0.28, 0.3)), place, colour, CLOTH, heading, 0.04)


_SMALL = {
    "pack": _pack, "instruments": _instruments, "bowl": _bowl, "towel": _towel, "tube": _tube, "bottle": _bottle,
    "papers": _papers, "carton": _carton, "device": _device, "bag": _bag,
}  # fmt: skip


def pile(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """Things put down on the floor: cartons, black cases, backpacks, stacks of linen, sacks of waste."""
    kit = Kit()
    kind = str(rng.choice(["cartons", "case", "linen", "waste", "bags"]))
    for _ in range(rng.integers(1, 5)):
        x, y, phase = rng.uniform(-0.35, 0.35), rng.uniform(-0.2, 0.2), rng.uniform(0, 6)
        heading = rng.uniform(0, 180)
        if kind == "cartons":
            z = 0.0
            for _ in range(rng.integers(1, 4)):
                size = rng.uniform((0.25, 0.2, 0.12), (0.55, 0.4, 0.4))
                colour = linear(0.66, 0.5, 0.34) if rng.random() < 0.5 else grey(rng, 0.6, 1.0)
                kit.box(size, (x, y, z), colour, painted("paper", textures, rng), heading + rng.normal(0, 8))
                z += size[2]
        elif kind == "case":
            size = rng.uniform((0.3, 0.12, 0.3), (0.6, 0.3, 0.5))
            colour = grey(rng, 0.02, 0.12) if rng.random() < 0.7 else vivid(rng)
            kit.box(size, (x, y, 0), colour, Material(noise=0.05, gloss=0.2), heading, bevel=0.03)
            kit.box((0.14, 0.03, 0.03), (x, y, size[2]), grey(rng, 0.02, 0.2), PLASTIC, heading)
        elif kind == "linen":
            colour = linear(*_PACKS[rng.integers(len(_PACKS))])
            for i in range(rng.integers(3, 9)):
                kit.sack((0.5, 0.38, 0.1), (x, y, 0.075 * i), colour * rng.uniform(0.85, 1.1), CLOTH, rng.normal(0, 8))
        elif kind == "waste":
            palette = ((0.9, 0.85, 0.2), (0.75, 0.78, 0.8), (0.08, 0.08, 0.09), (0.3, 0.45, 0.75), (0.8, 0.2, 0.15))
            size = rng.uniform((0.35, 0.35, 0.35), (0.55, 0.5, 0.75))
            material = Material(noise=0.08, folds=0.5, gloss=0.35)
            kit.sack(size, (x, y, 0), linear(*palette[rng.integers(5)]), material, heading, 0.05, phase)
        else:
            backpack(kit, rng, (x, y, 0.0))
    return kit.meshes()


def stored_things(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A row of what was put aside at a wall: open cartons, black boxes, a screen that leans, trays, boots."""
    kit = Kit()
    x, end = -STORED_ROW_M / 2, STORED_ROW_M / 2
    while x < end - 0.25:
        size = rng.uniform((0.2, 0.25, 0.15), (0.5, 0.45, 0.42))
        size[0] = min(size[0], end - x)
        x += size[0] * 0.5
        place, heading, kind = (x, rng.uniform(-0.05, 0.15), 0.0), rng.normal(0, 14), rng.random()
        if kind < 0.4:
            _open_carton(kit, rng, textures, size, place, heading)
        elif kind < 0.65:
            kit.box(size, place, grey(rng, 0.02, 0.12), painted("paper", textures, rng), heading)
            _put_on(kit, rng, textures, place, size[2], heading)
        elif kind < 0.8:
            _leaning_screen(kit, rng, size, place)
        else:
            kit.box(size * (1, 1, 0.4), place, grey(rng, 0.6, 1.0), PLASTIC, heading, bevel=0.02)
            _put_on(kit, rng, textures, place, size[2] * 0.4, heading)
        x += size[0] * 0.5 + rng.uniform(0, 0.06)
    if rng.random() < 0.5:
        _boots(kit, rng, (rng.uniform(-0.7, 0.7), -0.4, 0.0))
    return kit.meshes()


def _put_on(
    kit: Kit, rng: Rng, textures: Textures, place: tuple[float, float, float], height: float, heading: float
) -> None:
    """Every other time, a small thing on a box of `height` (m)."""
    if rng.random() < 0.5:
        on_top = np.array([place[0] + rng.normal(0, 0.05), place[1], height])
        _SMALL[str(rng.choice(("papers", "carton", "tube", "device")))](kit, rng, textures, on_top, heading)


def _open_carton(
    kit: Kit, rng: Rng, textures: Textures, size: NDArray, place: tuple[float, float, float], heading: float
) -> None:
    """Four sides, up to four flaps that stand off, dark inside, something in it."""
    brown = rng.random() < 0.7
    colour = linear(0.66, 0.5, 0.34) * rng.uniform(0.7, 1.15) if brown else grey(rng, 0.6, 1.0)
    material = painted("paper", textures, rng) if rng.random() < 0.5 else CLOTH
    kit.box(size * (1, 1, 0.85), place, colour, material, heading)
    top = _above(np.array(place), size[2] * 0.85)
    inside = grey(rng, 0.02, 0.15) if rng.random() < 0.6 else colour * 0.4
    kit.box((size[0] * 0.92, size[1] * 0.92, 0.002), top, inside, CLOTH, heading)
    turn = np.radians(heading)
    along, across = np.array([np.cos(turn), np.sin(turn), 0]), np.array([-np.sin(turn), np.cos(turn), 0])
    for outward, side, half in ((along, across, 0), (-along, across, 0), (across, along, 1), (-across, along, 1)):
        if rng.random() < 0.3:
            continue
        lean = rng.uniform(-0.3, 0.9)
        edge, flap = outward * size[half] * 0.5, size[half] * 0.45 * _above(outward * np.sin(lean), np.cos(lean))
        width = side * size[1 - half] * 0.5
        corners = np.array(
            [[top + edge - width, top + edge + width], [top + edge - width + flap, top + edge + width + flap]]
        )
        kit.sheet(corners, colour * rng.uniform(0.8, 1.1), material)
    for _ in range(rng.integers(0, 4)):
        spot = top + along * rng.uniform(-0.3, 0.3) * size[0] + across * rng.uniform(-0.3, 0.3) * size[1]
        _SMALL[str(rng.choice(("papers", "pack", "tube", "carton")))](kit, rng, textures, spot, rng.uniform(0, 180))


def _leaning_screen(kit: Kit, rng: Rng, size: NDArray, place: tuple[float, float, float]) -> None:
    """A black flat panel, its back or a keyboard's side, leaning against what stands behind it."""
    width, height, lean = rng.uniform(0.35, 0.6), rng.uniform(0.25, 0.5), rng.uniform(0.2, 1.2)
    foot = np.array(place) + np.array([0.0, -0.1, 0.01])
    up = height * np.array([0, np.sin(lean), np.cos(lean)])
    right = width * 0.5 * np.array([np.cos(lean * 0.2), np.sin(lean * 0.2), 0])
    corners = np.array([[foot - right, foot + right], [foot - right + up, foot + right + up]])
    kit.sheet(corners, grey(rng, 0.01, 0.06), Material(noise=0.05, gloss=0.3))


def _boots(kit: Kit, rng: Rng, place: tuple[float, float, float]) -> None:
    colour = linear(0.3, 0.2, 0.15) if rng.random() < 0.5 else grey(rng, 0.02, 0.15)
    for side in (-0.07, 0.07):
        x, y = place[0] + side, place[1] + rng.normal(0, 0.03)
        kit.sack((0.1, 0.28, 0.1), (x, y - 0.06, 0.0), colour, CLOTH, rng.normal(0, 8))
        kit.cylinder(0.055, rng.uniform(0.12, 0.3), (x, y + 0.04, 0.03), colour, CLOTH, top=1.1)
