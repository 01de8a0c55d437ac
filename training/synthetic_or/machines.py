"""Machines around the operating table: monitors and lamps on ceiling arms, C-arm, CT ring."""

from __future__ import annotations

import numpy as np

from training.synthetic_or.materials import PLASTIC, Rng, grey, painted
from training.synthetic_or.meshes import Material, Mesh, bent_box, box, cylinder, lathe, linear, tube, turned
from training.synthetic_or.textures import Textures


def monitor_bank(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """Two to six black monitors on a ceiling arm."""
    columns, rows = rng.integers(1, 4), rng.integers(1, 3)
    bottom = rng.uniform(1.3, 1.9)
    parts = []
    for i in range(columns):
        for j in range(rows):
            screen = box(
                (0.52, 0.07, 0.36),
                linear(0.9, 0.9, 0.9),
                painted("screen", textures, rng, gloss=0.3, emission=rng.uniform(0, 1.5)),
            )
            parts.append(screen.moved(offset=((i - columns / 2 + 0.5) * 0.56, 0, bottom + j * 0.4)))
    frame = grey(rng, 0.05, 0.9)
    top = bottom + rows * 0.4
    parts.append(box((0.1, 0.12, max(0.1, ceiling - top)), frame, PLASTIC).moved(offset=(0, 0.1, top - 0.1)))
    parts.append(box((columns * 0.56, 0.05, 0.12), frame, PLASTIC).moved(offset=(0, 0.07, bottom + 0.1)))
    return parts


def lamp(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A surgical lamp head on a ceiling arm."""
    height, radius = rng.uniform(1.85, 2.3), rng.uniform(0.22, 0.42)
    colour = grey(rng, 0.7, 1.0)
    profile = np.array([(0, 0.0), (radius * 0.95, 0.0), (radius, 0.05), (radius * 0.6, 0.14), (0, 0.18)])
    head = lathe(profile, colour, Material(emission=float(rng.choice([0.0, 2.0])), gloss=0.2)).moved(
        offset=(0, 0, height)
    )
    reach = rng.uniform(0.3, 1.0)
    arm = np.array(
        [
            (0, 0, height + 0.15),
            (reach * 0.3, 0, height + 0.4),
            (reach, 0.1, min(ceiling, height + 0.5)),
            (reach, 0.1, ceiling),
        ]
    )
    return [head, tube(arm, rng.uniform(0.03, 0.06), colour, PLASTIC)]


def c_arm(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A mobile C-arm: base cart, the C, tube and detector."""
    colour = grey(rng, 0.65, 1.0, 0.04)
    radius = rng.uniform(0.65, 0.85)
    centre = rng.uniform(1.0, 1.2)
    tilt = np.radians(rng.uniform(-35, 35))
    turn = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    ring = [bent_box(radius, 80, 280, 0.12, rng.uniform(0.16, 0.26), colour, PLASTIC)]
    ring.append(
        cylinder(rng.uniform(0.15, 0.22), 0.25, grey(rng, 0.5, 1.0), PLASTIC).moved(offset=(0.05, 0, radius - 0.15))
    )
    ring.append(box((0.3, 0.3, 0.35), colour, PLASTIC).moved(offset=(0.05, 0, -radius - 0.1)))
    parts = [mesh.moved(turn, (0, 0, centre)) for mesh in ring]
    parts.append(
        box((0.6, 0.5, rng.uniform(0.9, 1.2)), colour, painted("panel", textures, rng)).moved(
            offset=(-radius - 0.4, 0, 0)
        )
    )
    return parts


def ct_ring(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A CT gantry: a thick disc of 1.9 m with a bore of 0.75 m, standing in the y-z plane."""
    outer, inner, depth = rng.uniform(0.85, 1.0), rng.uniform(0.35, 0.42), rng.uniform(0.5, 0.9)
    half = depth / 2
    profile = np.array(
        [
            (inner, -half),
            (inner + 0.05, -half - 0.06),
            (outer * 0.8, -half - 0.08),
            (outer, -half * 0.6),
            (outer, half * 0.6),
            (outer * 0.8, half + 0.08),
            (inner + 0.05, half + 0.06),
            (inner, half),
            (inner, -half),
        ]
    )
    material = Material(noise=0.04, gloss=0.25, texture=-1)
    ring = lathe(profile, grey(rng, 0.75, 1.0, 0.03), material, segments=40)
    upright = np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]])
    parts = [ring.moved(upright, (0, 0, 1.02)), box((depth * 0.8, 1.6, 0.35), grey(rng, 0.5, 0.95), PLASTIC)]
    plate = box((0.25, 0.02, 0.2), linear(1, 1, 1), painted("panel", textures, rng))
    parts += turned([plate], 90, (-half - 0.09, rng.uniform(0.5, 0.65), 1.5))
    return parts
