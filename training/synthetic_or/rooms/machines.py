"""Machines around the operating table: monitors, lamps, columns and shields on ceiling arms, C-arm, CT ring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rooms.walls import cables
from training.synthetic_or.shapes.drapes import drape_colour
from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import METAL, PLASTIC, Rng, grey, painted
from training.synthetic_or.shapes.meshes import Material, Mesh, bent_box, lathe, linear
from training.synthetic_or.shapes.textures import Textures

_WHITE = linear(1, 1, 1)
_FOIL = Material(noise=0.02, folds=0.5, gloss=0.6, alpha=0.35)


def _ceiling_arm(kit: Kit, rng: Rng, ceiling: float, end: tuple[float, float, float], colour: NDArray) -> None:
    """Two levers from a column at the ceiling to `end`."""
    turn, reach, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.0), rng.uniform(0.03, 0.06)
    root = np.array([end[0] + reach * np.cos(turn), end[1] + reach * np.sin(turn), ceiling])
    elbow = np.array([(root[0] + end[0]) / 2 - 0.2 * np.sin(turn), (root[1] + end[1]) / 2, ceiling - 0.28])
    joint = np.array([end[0], end[1], max(end[2] + 0.08, elbow[2] - rng.uniform(0.0, 0.3))])
    kit.cylinder(0.13, 0.05, (root[0], root[1], ceiling - 0.05), colour)
    kit.rod(root, (root[0], root[1], elbow[2]), radius * 1.2, colour, PLASTIC, sides=8)
    for start, stop in ((np.array([root[0], root[1], elbow[2]]), elbow), (elbow, joint), (joint, np.array(end))):
        kit.rod(start, stop, radius, colour, PLASTIC, sides=8)
        kit.sack((radius * 2.8,) * 3, stop - np.array([0, 0, radius * 1.4]), colour)


def monitor_bank(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """One to six monitors on a ceiling arm: dark in front, light housings and cables behind."""
    kit = Kit()
    columns, rows = rng.integers(1, 4), rng.integers(1, 3)
    wide = rng.uniform(0.46, 0.62)
    high, bottom = wide * 0.64, float(rng.uniform(1.2, 1.75))
    shell = grey(rng, 0.03, 0.15) if rng.random() < 0.5 else grey(rng, 0.6, 0.95)
    off = rng.random() < 0.35
    for i in range(columns):
        for j in range(rows):
            x, z = (i - columns / 2 + 0.5) * (wide + 0.03), bottom + j * (high + 0.04)
            kit.box((wide, 0.06, high), (x, 0, z), shell, PLASTIC, bevel=0.012)
            kit.box((wide * 0.5, 0.05, high * 0.5), (x, 0.05, z + high * 0.25), shell * 0.8, PLASTIC, bevel=0.01)
            kind = str(rng.choice(["screen", "screen", "xray"]))
            picture = painted(kind, textures, rng, gloss=0.35, emission=0.0 if off else float(rng.uniform(0.0, 1.6)))
            kit.plate(wide - 0.04, high - 0.04, (x, -0.032, z + 0.02), _WHITE, picture)
    frame, top = grey(rng, 0.3, 0.95), float(bottom + rows * (high + 0.04))
    width = float(columns * (wide + 0.03))
    for z in (bottom + high * 0.35, top - high * 0.5):
        kit.box((width, 0.05, 0.08), (0, 0.1, z), frame, PLASTIC, bevel=0.012)
    for side in (-0.5, 0.5) if columns > 1 else (0.0,):
        kit.box((0.07, 0.06, top - bottom), (side * width, 0.1, bottom), frame, PLASTIC, bevel=0.012)
    kit.box((0.1, 0.1, 0.2), (0, 0.1, top - 0.05), frame, PLASTIC)
    cables(kit, rng, (0.0, 0.13, top - 0.1), width * 0.8, int(rng.integers(1, 6)))
    _ceiling_arm(kit, rng, ceiling, (0.0, 0.1, top + 0.1), frame)
    return kit.meshes()


def lamp(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A surgical lamp on a ceiling arm; the first mesh is its head, which shines or does not."""
    height, radius = rng.uniform(1.85, 2.3), rng.uniform(0.22, 0.4)
    colour = grey(rng, 0.75, 1.0)
    on = rng.random() < 0.65
    under = np.array([(0, 0.005), (radius * 0.9, 0.0)])
    glass = lathe(under, _WHITE if on else grey(rng, 0.2, 0.6), Material(noise=0.03, emission=4.0 * on, gloss=0.4))
    kit = Kit()
    over = np.array([
        (radius * 0.9, -0.012), (radius, 0.0), (radius * 1.02, 0.04), (radius * 0.8, 0.09), (radius * 0.3, 0.13),
        (0, 0.14),
    ])  # fmt: skip
    kit.put([lathe(over, colour, Material(noise=0.03, gloss=0.25))], 0.0, (0, 0, height))
    for angle in np.arange(0, 6.28, 1.05) if rng.random() < 0.5 else ():  # single lenses
        place = (radius * 0.6 * np.cos(angle), radius * 0.6 * np.sin(angle), height - 0.012)
        kit.cylinder(radius * 0.18, 0.01, place, grey(rng, 0.3, 0.8))
    kit.cylinder(0.02, 0.14, (0, 0, height - 0.14), grey(rng, 0.5, 0.9))
    _ceiling_arm(kit, rng, ceiling, (0.0, 0.0, height + 0.13), colour)
    return [glass.moved(offset=(0, 0, height - 0.005)), *kit.meshes()]


def ceiling_column(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A supply column: a box down from the ceiling with sockets, shelves of devices, hoses and cables."""
    kit = Kit()
    colour, bottom = grey(rng, 0.6, 0.97), rng.uniform(0.7, 1.3)
    kit.box((0.32, 0.26, ceiling - 0.5 - bottom), (0, 0, bottom), colour, PLASTIC, bevel=0.03)
    kit.cylinder(0.1, 0.55, (0, 0, ceiling - 0.55), colour)
    for z in np.arange(bottom + 0.05, ceiling - 0.9, 0.38):
        kit.box((0.55, 0.45, 0.03), (0, -0.3, z), colour, METAL)
        size = rng.uniform((0.25, 0.25, 0.1), (0.45, 0.36, 0.26))
        shell = painted("device", textures, rng)
        kit.box(size, (0, -0.3, z + 0.03), grey(rng, 0.1, 0.95), shell, rng.normal(0, 6), bevel=0.012)
    for z in np.arange(bottom + 0.1, ceiling - 0.7, 0.12):
        kit.box((0.04, 0.06, 0.07), (0.17, rng.uniform(-0.08, 0.08), z), linear(*rng.uniform(0.1, 0.95, 3)))
    cables(kit, rng, (0.1, -0.35, bottom + 0.4), 0.5, int(rng.integers(5, 16)))
    return kit.meshes()


def ceiling_shield(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A pane of lead glass on a ceiling arm, leaning, sometimes with a lead curtain below."""
    kit, pane = Kit(), Kit()
    width, height, z = rng.uniform(0.6, 0.8), rng.uniform(0.6, 0.8), rng.uniform(1.05, 1.3)
    glass = Material(noise=0.0, gloss=0.7, alpha=float(rng.uniform(0.12, 0.3)))
    pane.box((width, 0.012, height), (0, 0, 0), linear(0.8, 0.85, 0.7), glass)
    for x in (-0.5, 0.5):
        pane.box((0.02, 0.025, height), (x * width, 0, 0), grey(rng, 0.4, 0.95))
    pane.box((width, 0.025, 0.02), (0, 0, height), grey(rng, 0.4, 0.95))
    if rng.random() < 0.5:
        pane.box((width, 0.02, 0.3), (0, 0, -0.3), drape_colour(rng), Material(noise=0.06, folds=0.3))
    lean = np.radians(rng.uniform(-25, 25))
    tilt = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    kit.put([mesh.moved(tilt) for mesh in pane.meshes()], 0.0, (0, 0, z))
    top = tilt @ np.array([0, 0, height])
    _ceiling_arm(kit, rng, ceiling, (float(top[0]), float(top[1]), float(z + top[2])), grey(rng, 0.7, 0.98))
    return kit.meshes()


def c_arm(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A C-arm: its stand at -x, the C around the table, tube and detector, sometimes under clear or blue covers."""
    kit, ring = Kit(), Kit()
    colour = grey(rng, 0.78, 1.0, 0.012)
    radius, centre = rng.uniform(0.65, 0.85), rng.uniform(1.0, 1.2)
    depth = rng.uniform(0.14, 0.26)
    ring.put([bent_box(radius, 85, 275, rng.uniform(0.08, 0.14), depth, colour, PLASTIC)])
    rim = grey(rng, 0.2, 0.7)
    for r in (radius - 0.075, radius + 0.075):
        ring.put([bent_box(r, 85, 275, 0.012, depth * 0.6, rim, METAL)])
    if rng.random() < 0.5:  # flat detector or image intensifier
        ring.box((0.42, 0.38, 0.1), (0.05, 0, radius - 0.12), grey(rng, 0.75, 1.0), PLASTIC, bevel=0.03)
    else:
        ring.cylinder(rng.uniform(0.14, 0.2), 0.3, (0.05, 0, radius - 0.2), grey(rng, 0.6, 1.0), PLASTIC, top=0.8)
    ring.box((0.3, 0.28, 0.32), (0.05, 0, -radius - 0.1), colour, PLASTIC, bevel=0.05)
    ring.cylinder(0.1, 0.1, (0.05, 0, -radius + 0.2), grey(rng, 0.2, 0.6))
    cover = rng.random()
    if cover < 0.5:
        foil = _FOIL if cover < 0.3 else Material(noise=0.05, folds=0.5, gloss=0.25)
        hue = _WHITE if cover < 0.3 else drape_colour(rng)
        ring.sack((0.55, 0.5, 0.42), (0.05, 0, radius - 0.24), hue, foil, 0.0, 0.06, rng.uniform(0, 6))
    tilt = np.radians(rng.uniform(-35, 35))
    turn = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    kit.put([mesh.moved(turn) for mesh in ring.meshes()], 0.0, (0, 0, centre))
    back = -radius - 0.45
    if rng.random() < 0.25:  # on a column from the ceiling instead of a cart
        kit.box((0.35, 0.35, ceiling - centre + 0.15), (back + 0.15, 0, centre - 0.15), colour, PLASTIC, bevel=0.05)
    else:
        kit.box((0.62, 0.5, rng.uniform(0.85, 1.1)), (back, 0, 0.12), colour, PLASTIC, bevel=0.05)
        place = (back, -0.255, 0.35)
        kit.plate(0.5, 0.4, place, _WHITE, painted("device", textures, rng))
        kit.box((1.1, 0.12, 0.12), (back + 0.4, 0.3, 0.05), colour * 0.8, PLASTIC, bevel=0.03)
        kit.box((1.1, 0.12, 0.12), (back + 0.4, -0.3, 0.05), colour * 0.8, PLASTIC, bevel=0.03)
    kit.box((0.4, 0.14, 0.16), (-radius - 0.15, 0, centre - 0.08), colour * 0.9, PLASTIC, bevel=0.03)
    cables(kit, rng, (back + 0.2, -0.26, 0.9), 0.4, int(rng.integers(1, 6)))
    return kit.meshes()


def ct_ring(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A CT gantry, 2 m wide and high, its bore along x: light shell, a darker ring around the bore, panels, a lamp."""
    kit = Kit()
    half_width, half_height, half = rng.uniform(1.0, 1.15), rng.uniform(0.9, 0.98), rng.uniform(0.32, 0.5)
    inner, centre = rng.uniform(0.35, 0.42), 1.0
    shell, ring = grey(rng, 0.8, 1.0, 0.012), grey(rng, 0.45, 0.85, 0.03)
    angle = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    square = rng.uniform(0.55, 0.95)
    around = np.stack([np.cos(angle), np.sin(angle)])
    outer = np.sign(around) * np.abs(around) ** square * np.array([[half_width], [half_height]])
    waist = inner + rng.uniform(0.12, 0.3)

    def band(steps: list[tuple[float, float, float]]) -> NDArray:
        """Rings `(steps, 44, 3)`: share of the outer outline, else of a circle of this radius, and place along x."""
        rings = [share * outer + (1 - share) * radius * around for share, radius, _ in steps]
        grid = [np.stack([np.full(44, x), *yz], -1) for yz, (_, _, x) in zip(rings, steps, strict=True)]
        return np.stack(grid) + np.array([0, 0, centre])

    material = Material(noise=0.02, gloss=0.3)
    side = [(1.0, 0.0, half * 0.75), (1.0, 0.0, -half * 0.75)]
    kit.sheet(band(side), shell, material, closed=True)
    for face in (-1.0, 1.0):
        front = [(1.0, 0.0, 0.75), (0.97, waist, 0.9), (0.9, waist, 0.98), (0.0, waist, 1.0)]
        kit.sheet(band([(s, r, face * half * x) for s, r, x in front]), shell, material, closed=True)
        hole = [(0.0, waist, 1.0), (0.0, inner + 0.06, 0.94), (0.0, inner, 0.8)]
        kit.sheet(band([(s, r, face * half * x) for s, r, x in hole]), ring, material, closed=True)
    kit.sheet(band([(0.0, inner, half * 0.8), (0.0, inner, -half * 0.8)]), ring * 0.7, material, closed=True)
    kit.box((half * 1.2, half_width * 1.5, 0.2), (0, 0, 0), shell * 0.7)
    panels = Kit()
    for x in (-0.72, 0.72):
        picture = painted("device", textures, rng, emission=float(rng.uniform(0.0, 0.8)))
        panels.plate(0.2, 0.16, (x * half_width, -half - 0.004, centre + rng.uniform(0.1, 0.4)), _WHITE, picture)
    panels.plate(
        0.4, 0.1, (0, -half - 0.004, centre + inner + 0.25), _WHITE, painted("screen", textures, rng, emission=1.0)
    )
    for heading in (90.0, 270.0):
        kit.put(panels.meshes(), heading)
    cables(kit, rng, (-half - 0.05, 0.4, 0.6), 0.1, int(rng.integers(0, 5)))
    return kit.meshes()
