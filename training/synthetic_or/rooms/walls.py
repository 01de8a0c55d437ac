"""What hangs on walls: each function adds one thing to a kit; the wall is the plane y = 0, the room is at y < 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.synthetic_or.rooms.garments import coat_hooks
from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import METAL, PLASTIC, Rng, grey, painted, vivid
from training.synthetic_or.shapes.meshes import Material, linear
from training.synthetic_or.shapes.textures import Textures

_WHITE = linear(1, 1, 1)


def door(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """A closed door, often with a pane, or an open one with a dark or bright corridor behind."""
    width, height = rng.uniform(0.9, 1.7), rng.uniform(2.0, 2.2)
    frame = grey(rng, 0.35, 0.9)
    kit.box((width + 0.16, 0.06, height + 0.08), (x, 0.0, 0.0), frame, METAL)
    if rng.random() < 0.3:
        dark = Material(texture=textures.pick("doorway", rng), noise=0.0, emission=float(rng.uniform(0.0, 0.6)))
        kit.plate(width, height, (x, -0.032, 0.0), _WHITE, dark)
        return
    colour = grey(rng, 0.65, 0.95) if rng.random() < 0.6 else _door_colour(rng)
    kit.box((width, 0.09, height), (x, 0.0, 0.01), colour, PLASTIC)
    kit.box((0.14, 0.05, 0.03), (x + 0.38 * width, -0.06, 1.03), grey(rng, 0.3, 0.7), METAL)
    if rng.random() < 0.5:
        pane = painted("doorway", textures, rng, gloss=0.4, emission=float(rng.uniform(0, 0.8)))
        kit.plate(width * rng.uniform(0.2, 0.6), 0.6, (x, -0.047, 1.3), _WHITE, pane)
    if rng.random() < 0.4:
        kit.box((width * 0.9, 0.1, 0.25), (x, 0.0, 0.1), grey(rng, 0.4, 0.7), METAL)


def _door_colour(rng: Rng) -> np.ndarray:
    palette = ((0.35, 0.45, 0.6), (0.45, 0.6, 0.55), (0.6, 0.45, 0.3), (0.25, 0.27, 0.3), (0.3, 0.5, 0.7))
    return linear(*(np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 0.04, 3)))


def window(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """Daylight, blinds, or a dark pane into the next room."""
    width, height, bottom = rng.uniform(0.8, 2.4), rng.uniform(0.7, 1.4), rng.uniform(0.85, 1.2)
    kind = str(rng.choice(["outside", "blinds", "doorway"], p=[0.45, 0.25, 0.3]))
    shine = rng.uniform(0.0, 0.5) if kind == "doorway" else rng.uniform(0.6, 2.5)
    kit.box((width + 0.12, 0.05, height + 0.12), (x, 0.0, bottom - 0.06), grey(rng, 0.5, 0.95))
    glass = Material(texture=textures.pick(kind, rng), noise=0.0, gloss=0.5, emission=float(shine))
    kit.plate(width, height, (x, -0.03, bottom), _WHITE, glass)
    for share in np.linspace(-0.5, 0.5, int(rng.integers(2, 5)))[1:-1]:
        kit.box((0.05, 0.03, height), (x + share * width, -0.03, bottom), grey(rng, 0.6, 0.95))
    if rng.random() < 0.5:
        kit.box((width + 0.2, 0.2, 0.03), (x, -0.1, bottom - 0.08), grey(rng, 0.7, 0.95))


def papers(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """Posters and notes."""
    for _ in range(rng.integers(1, 6)):
        width = rng.choice([0.21, 0.3, 0.42, 0.7])
        kind = str(rng.choice(["paper", "picture"]))
        place = (x + rng.uniform(-0.6, 0.6), -0.004 - rng.uniform(0, 0.006), rng.uniform(1.0, 1.7))
        kit.plate(width, width * 1.4, place, _WHITE, painted(kind, textures, rng, gloss=0.15), rng.normal(0, 2))


def whiteboard(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    width, height = rng.uniform(0.9, 1.8), rng.uniform(0.8, 1.2)
    kit.box((width + 0.05, 0.03, height + 0.05), (x, 0.0, 0.97), grey(rng, 0.5, 0.8), METAL)
    kit.plate(width, height, (x, -0.017, 1.0), _WHITE, painted("board", textures, rng, gloss=0.4))


def supply_rail(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """A wall trunk with sockets and gas outlets, a rail below with devices and coiled cables."""
    length, z = rng.uniform(1.2, 3.0), rng.uniform(1.25, 1.7)
    kit.box((length, 0.09, 0.2), (x, -0.045, z), grey(rng, 0.75, 0.97), PLASTIC, bevel=0.01)
    kit.rod((x - length / 2, -0.08, z - 0.25), (x + length / 2, -0.08, z - 0.25), 0.012, grey(rng, 0.5, 0.8))
    for place in rng.uniform(-0.48, 0.48, rng.integers(4, 12)) * length:
        colour = vivid(rng) if rng.random() < 0.3 else grey(rng, 0.3, 0.95)
        kit.box((0.08, 0.1, 0.08), (x + place, -0.05, z + rng.uniform(0.02, 0.1)), colour)
    for place in rng.uniform(-0.45, 0.45, rng.integers(0, 5)) * length:
        size = rng.uniform((0.1, 0.08, 0.12), (0.32, 0.2, 0.4))
        shell = painted("panel", textures, rng) if rng.random() < 0.6 else PLASTIC
        kit.box(size, (x + place, -0.1 - size[1] / 2, z - 0.25 - size[2] / 2), grey(rng, 0.4, 0.95), shell, bevel=0.012)
    cables(kit, rng, (x, -0.12, z - 0.1), length, int(rng.integers(2, 14)))


def cables(kit: Kit, rng: Rng, middle: tuple[float, float, float], length: float, count: int) -> None:
    """Cables and hoses that hang in loops or reach the floor, from a line of `length` along x around `middle`."""
    t = np.linspace(0, 1, 11)
    for _ in range(count):
        start = np.array([rng.uniform(-0.5, 0.5) * length, 0.0, rng.uniform(-0.1, 0.1)])
        end = start + rng.normal((0.0, -0.03, -0.05), (0.25, 0.05, 0.12))
        if rng.random() < 0.25:
            end[2] = 0.01 - middle[2]
        sag = rng.uniform(0.1, 0.9)
        path = start + (end - start) * t[:, None]
        path[:, 2] -= sag * 4 * t * (1 - t)
        path[:, 1] -= 0.1 * np.sin(np.pi * t)
        path += middle
        path[:, 2] = np.maximum(path[:, 2], 0.01)
        colour = (
            vivid(rng) if rng.random() < 0.15 else grey(rng, *((0.02, 0.25) if rng.random() < 0.6 else (0.5, 0.95)))
        )
        kit.cable(path, rng.uniform(0.004, 0.014), colour)


def radiator(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    count, height, bottom = int(rng.integers(8, 22)), rng.choice([0.6, 0.9, 1.9]), rng.uniform(0.08, 0.2)
    colour = grey(rng, 0.8, 1.0)
    for i in range(count):
        kit.box((0.035, 0.09, height), (x + (i - count / 2) * 0.055, -0.08, bottom), colour, METAL, bevel=0.01)


def small_boxes(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """Boxes of gloves and masks, soap, a telephone, a sharps bin, a clock."""
    z = rng.uniform(1.1, 1.5)
    for i in range(rng.integers(1, 5)):
        colour = linear(*rng.choice([(0.3, 0.5, 0.85), (0.9, 0.92, 0.95), (0.5, 0.75, 0.6), (0.7, 0.45, 0.75)]))
        kit.box((0.24, 0.1, 0.12), (x, -0.05, z + 0.13 * i), colour, painted("paper", textures, rng))
    if rng.random() < 0.5:
        kit.box((0.1, 0.1, 0.28), (x + 0.35, -0.05, z), grey(rng, 0.8, 1.0), PLASTIC, bevel=0.015)
    if rng.random() < 0.4:
        kit.cylinder(0.07, 0.2, (x - 0.35, -0.1, z), linear(0.95, 0.8, 0.15))
        kit.cylinder(0.075, 0.05, (x - 0.35, -0.1, z + 0.2), linear(0.8, 0.1, 0.1))
    if rng.random() < 0.3:
        kit.box((0.2, 0.08, 0.24), (x + 0.6, -0.04, z), grey(rng, 0.7, 0.95), painted("panel", textures, rng))
    if rng.random() < 0.4:
        kit.plate(0.3, 0.3, (x, -0.02, 2.15), _WHITE, painted("clock", textures, rng))


def wall_screen(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """A monitor or a light box with X-ray pictures."""
    width = rng.uniform(0.5, 1.3)
    kit.box((width + 0.06, 0.08, width * 0.6 + 0.06), (x, -0.05, 1.4), grey(rng, 0.03, 0.3), PLASTIC, bevel=0.01)
    kind = "xray" if rng.random() < 0.5 else "screen"
    picture = painted(kind, textures, rng, gloss=0.3, emission=float(rng.uniform(0.3, 1.6)))
    kit.plate(width, width * 0.6, (x, -0.093, 1.43), _WHITE, picture)


def rescue_board(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """A spine board, orange, red or yellow, on the wall or standing against it."""
    palette = ((0.95, 0.35, 0.12), (0.85, 0.15, 0.1), (0.95, 0.75, 0.1), (0.95, 0.45, 0.1))
    colour = linear(*(np.array(palette[rng.integers(4)]) * rng.uniform(0.8, 1.05)))
    height, width, bottom = rng.uniform(0.9, 1.85), rng.uniform(0.38, 0.48), rng.choice([0.02, rng.uniform(0.2, 0.6)])
    kit.sack((width, 0.07, height), (x, -0.06, bottom), colour, PLASTIC)
    for z in (0.12, 0.3, 0.5, 0.7, 0.88):
        for side in (-0.4, 0.4):
            kit.box((0.05, 0.012, 0.12), (x + side * width, -0.096, bottom + z * height - 0.06), colour * 0.15)


def extinguisher(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    kit.cylinder(0.08, 0.45, (x, -0.1, 0.5), linear(0.75, 0.06, 0.06), METAL)
    kit.cylinder(0.03, 0.1, (x, -0.1, 0.95), grey(rng, 0.02, 0.2))


def shelf(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """Open shelves full of boxes and packs."""
    width = rng.uniform(0.7, 1.6)
    for z in np.arange(rng.uniform(1.1, 1.4), 2.1, 0.34):
        kit.box((width, 0.3, 0.025), (x, -0.15, z), grey(rng, 0.6, 0.95))
        place = -width / 2 + 0.05
        while place < width / 2 - 0.1:
            size = rng.uniform((0.06, 0.1, 0.08), (0.28, 0.26, 0.28))
            colour = grey(rng, 0.5, 1.0) if rng.random() < 0.65 else vivid(rng)
            kit.box(size, (x + place + size[0] / 2, -0.15, z + 0.025), colour, painted("paper", textures, rng))
            place += size[0] + rng.choice([0.01, 0.01, 0.1])


def stripes(kit: Kit, rng: Rng, textures: Textures, x: float) -> None:
    """Pipes and trunks up the wall."""
    for i in range(rng.integers(1, 5)):
        place, radius = (x + 0.12 * i, -0.05), rng.uniform(0.012, 0.035)
        kit.rod((*place, 0.0), (*place, 2.6), radius, grey(rng, 0.6, 0.95), METAL)


@dataclass(frozen=True)
class WallThing:
    """`add(kit, rng, textures, x)` puts it at x (m) along the wall, on which it takes `width` m.

    `weight` and `everyday` are how often operating rooms and the everyday domain have it.
    """

    add: Callable[[Kit, Rng, Textures, float], None]
    width: float
    weight: float
    everyday: float = 0.0


WALL_THINGS: dict[str, WallThing] = {
    "door": WallThing(door, 1.7, 1.6, 1.2),
    "window": WallThing(window, 2.2, 0.8, 2.5),
    "papers": WallThing(papers, 1.4, 1.6, 1.6),
    "whiteboard": WallThing(whiteboard, 1.7, 0.7, 0.6),
    "supply_rail": WallThing(supply_rail, 2.4, 1.8),
    "radiator": WallThing(radiator, 1.0, 0.6, 0.8),
    "small_boxes": WallThing(small_boxes, 1.0, 1.5, 0.2),
    "wall_screen": WallThing(wall_screen, 1.1, 0.9, 0.15),
    "rescue_board": WallThing(rescue_board, 0.5, 0.6),
    "extinguisher": WallThing(extinguisher, 0.3, 0.4, 0.3),
    "shelf": WallThing(shelf, 1.3, 0.9, 1.0),
    "pipes": WallThing(stripes, 0.5, 0.5, 0.3),
    "coat_hooks": WallThing(coat_hooks, 1.4, 0.9, 0.9),
}
