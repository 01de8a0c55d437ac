"""Things in the room that are not people: each function returns the meshes of one thing, standing around the origin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.drapes import drape_over
from training.synthetic_or.materials import METAL, PLASTIC, Rng, grey, painted, vivid
from training.synthetic_or.meshes import (
    Material,
    Mesh,
    box,
    cylinder,
    lathe,
    linear,
    tube,
    turned,
)
from training.synthetic_or.textures import Textures


def operating_table(rng: Rng, height: float) -> list[Mesh]:
    """A table of about 2.0 x 0.55 m along x with its surface at `height` (m), white or dark, on a pedestal."""
    colour = grey(rng, 0.8, 1.0) if rng.random() < 0.6 else grey(rng, 0.08, 0.35)
    length, width = rng.uniform(1.9, 2.3), rng.uniform(0.5, 0.68)
    parts = [box((length, width, 0.1), colour, PLASTIC).moved(offset=(0, 0, height - 0.1))]
    if rng.random() < 0.5:  # rails and seams, seen lengthwise
        for y in (-width / 2 - 0.03, width / 2 + 0.03):
            parts.append(box((length * 0.9, 0.03, 0.05), grey(rng, 0.5, 0.9), METAL).moved(offset=(0, y, height - 0.1)))
        parts.append(
            box((length, 0.03, 0.012), grey(rng, 0.5, 0.8), PLASTIC).moved(offset=(0, rng.uniform(-0.1, 0.1), height))
        )
    parts.append(box((0.45, 0.35, height - 0.1), grey(rng, 0.4, 0.9), METAL))
    parts.append(box((1.0, 0.5, 0.15), grey(rng, 0.3, 0.9), METAL))
    return parts


def instrument_table(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A draped side table with instruments, bowls and packs."""
    length, width, height = rng.uniform(0.6, 1.4), rng.uniform(0.4, 0.65), rng.uniform(0.75, 1.0)
    parts = []
    if rng.random() < 0.7:
        half = (-length / 2, length / 2, -width / 2, width / 2)
        parts += drape_over(np.zeros((0, 3)), half, height, rng)
    else:
        parts.append(box((length, width, 0.04), grey(rng, 0.5, 0.9), METAL).moved(offset=(0, 0, height - 0.04)))
        for x in (-1, 1):
            for y in (-1, 1):
                leg = box((0.03, 0.03, height), grey(rng, 0.5, 0.9), METAL)
                parts.append(leg.moved(offset=(x * length * 0.45, y * width * 0.45, 0)))
    for _ in range(rng.integers(2, 14)):
        size = tuple(rng.uniform(0.02, 0.2, 3) * (1, 0.6, 0.5))
        colour = grey(rng) if rng.random() < 0.6 else vivid(rng)
        place = (rng.uniform(-0.45, 0.45) * length, rng.uniform(-0.4, 0.4) * width, height)
        parts += turned([box(size, colour, PLASTIC)], rng.uniform(0, 180), place)
    return parts


def cart(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A drawer cart, ventilator or ultrasound tower, often with a screen and cables."""
    width, depth, height = rng.uniform(0.4, 0.8), rng.uniform(0.35, 0.7), rng.uniform(0.7, 1.4)
    kind = "drawers" if rng.random() < 0.5 else "panel"
    parts = [
        box((width, depth, height - 0.1), grey(rng, 0.5, 1.0, 0.04), painted(kind, textures, rng)).moved(
            offset=(0, 0, 0.1)
        )
    ]
    for _ in range(rng.integers(0, 6)):
        size = tuple(rng.uniform(0.05, 0.35, 3))
        colour = grey(rng) if rng.random() < 0.6 else vivid(rng)
        place = (rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.4, 0.4) * depth, height)
        parts += turned([box(size, colour, painted("panel", textures, rng))], rng.uniform(0, 90), place)
    if rng.random() < 0.5:
        screen = box(
            (rng.uniform(0.3, 0.55), 0.06, rng.uniform(0.25, 0.4)),
            linear(0.9, 0.9, 0.9),
            painted("screen", textures, rng, emission=rng.uniform(0, 1.2)),
        )
        parts += turned([screen], rng.uniform(-30, 30), (0, 0, height + rng.uniform(0.0, 0.3)))
    return parts


def rack(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """An open rack or tower of devices with dozens of cables."""
    width, depth, height = rng.uniform(0.5, 1.2), rng.uniform(0.3, 0.5), rng.uniform(1.4, 2.1)
    parts = [
        box(
            (width, depth, height),
            grey(rng, 0.3, 1.0),
            painted("rack" if rng.random() < 0.6 else "clutter", textures, rng),
        )
    ]
    for _ in range(rng.integers(2, 12)):
        start = np.array([rng.uniform(-0.5, 0.5) * width, -depth / 2 - 0.02, rng.uniform(0.5, 1.0) * height])
        parts.append(_hanging_cable(start, rng))
    return parts


def _hanging_cable(start: NDArray, rng: Rng) -> Mesh:
    t = np.linspace(0, 1, 14)[:, None]
    sag = rng.uniform(0.2, 1.2)
    end = start + np.array([rng.normal(0, 0.4), rng.normal(-0.1, 0.15), rng.uniform(-0.6, 0.1)])
    path = start + (end - start) * t - np.array([0, 0, 1.0]) * sag * (t * (1 - t) * 2)
    path[:, 2] = np.maximum(path[:, 2], 0.02)
    return tube(
        path, rng.uniform(0.006, 0.02), grey(rng, 0.02, 0.9) if rng.random() < 0.75 else vivid(rng), PLASTIC, sides=5
    )


def cabinet(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    width, height = rng.uniform(0.8, 2.6), rng.uniform(0.8, 2.2)
    kind = str(rng.choice(["drawers", "rack", "drawers", "panel"]))
    parts = [box((width, 0.5, height), grey(rng, 0.6, 1.0, 0.04), painted(kind, textures, rng))]
    if height < 1.2:
        for _ in range(rng.integers(2, 9)):
            size = tuple(rng.uniform(0.06, 0.4, 3))
            colour = grey(rng) if rng.random() < 0.55 else vivid(rng)
            parts.append(
                box(size, colour, painted("panel", textures, rng)).moved(
                    offset=(rng.uniform(-0.45, 0.45) * width, 0, height)
                )
            )
    return parts


def bin_or_bucket(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    colour = (
        linear(0.85, 0.75, 0.2) if rng.random() < 0.45 else (vivid(rng) if rng.random() < 0.6 else grey(rng, 0.05, 0.9))
    )
    height, top = rng.uniform(0.35, 0.8), rng.uniform(0.16, 0.28)
    profile = np.array(
        [
            (0, 0),
            (top * 0.8, 0),
            (top, height),
            (top * 1.05, height),
            (top * 0.9, height * 0.98),
            (top * 0.8, height * 0.85),
            (0, height * rng.uniform(0.5, 0.9)),
        ]
    )
    bag = grey(rng, 0.05, 1.0) if rng.random() < 0.5 else colour * rng.uniform(0.6, 1.2)
    rim = lathe(
        np.array([(top * 1.06, height * 0.8), (top * 1.08, height), (top * 0.9, height * 1.01)]),
        bag,
        Material(noise=0.15, folds=0.4),
    )
    return [lathe(profile, colour, PLASTIC), rim]


def stool(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    height = rng.uniform(0.45, 0.7)
    parts = [
        cylinder(
            rng.uniform(0.16, 0.22), 0.08, grey(rng, 0.03, 0.3) if rng.random() < 0.6 else vivid(rng), PLASTIC
        ).moved(offset=(0, 0, height)),
        cylinder(0.03, height, grey(rng, 0.4, 0.8), METAL),
        cylinder(0.25, 0.04, grey(rng, 0.1, 0.8), METAL),
    ]
    if rng.random() < 0.5:  # a swivel chair's back, dark and upright like a trunk
        back = box(
            (rng.uniform(0.35, 0.5), 0.07, rng.uniform(0.35, 0.65)),
            grey(rng, 0.02, 0.25),
            Material(noise=0.1, folds=0.2),
        )
        parts.append(back.moved(offset=(0, 0.2, height + 0.1)))
    return parts


def pole(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    height = rng.uniform(1.3, 2.1)
    parts = [cylinder(0.015, height, grey(rng, 0.5, 0.9), METAL), cylinder(0.25, 0.05, grey(rng, 0.2, 0.8), METAL)]
    parts.append(box((0.3, 0.02, 0.02), grey(rng, 0.5, 0.9), METAL).moved(offset=(0, 0, height)))
    for _ in range(rng.integers(0, 4)):
        size = (rng.uniform(0.08, 0.2), rng.uniform(0.03, 0.15), rng.uniform(0.12, 0.3))
        parts.append(
            box(size, grey(rng, 0.3, 1.0), painted("panel", textures, rng)).moved(
                offset=(rng.normal(0, 0.1), rng.normal(0, 0.05), rng.uniform(0.7, height - 0.2))
            )
        )
    return parts


def screen_wall(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A folding screen, door or blackboard: a plain upright panel, blue or white."""
    colour = (
        linear(0.12, 0.22, 0.6) if rng.random() < 0.4 else (vivid(rng) if rng.random() < 0.4 else grey(rng, 0.5, 1.0))
    )
    return [box((rng.uniform(0.5, 1.1), 0.05, rng.uniform(1.5, 2.1)), colour, PLASTIC)]
