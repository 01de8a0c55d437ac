"""The empty room: floor, walls, ceiling, what hangs on them, curtains, tape and cables on the floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rooms.walls import WALL_THINGS, cables
from training.synthetic_or.shapes.drapes import drape_colour
from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import METAL, Rng, grey, vivid
from training.synthetic_or.shapes.meshes import Material, Mesh, grid_faces, grid_uv, linear, surface
from training.synthetic_or.shapes.textures import Textures

#: sRGB of what walls and floors are painted with, and how often.
_WALLS = (
    ((0.93, 0.93, 0.91), 4.0), ((0.80, 0.81, 0.81), 2.5), ((0.80, 0.87, 0.82), 1.3), ((0.78, 0.84, 0.88), 1.2),
    ((0.90, 0.87, 0.78), 1.0), ((0.62, 0.66, 0.66), 0.7), ((0.52, 0.68, 0.62), 0.4), ((0.45, 0.50, 0.55), 0.4),
)  # fmt: skip
_FLOORS = (
    ((0.66, 0.67, 0.70), 4.0), ((0.55, 0.60, 0.57), 2.0), ((0.72, 0.68, 0.60), 2.0), ((0.45, 0.47, 0.50), 1.2),
    ((0.50, 0.60, 0.68), 1.0), ((0.78, 0.78, 0.76), 1.0), ((0.33, 0.38, 0.42), 0.5), ((0.42, 0.58, 0.50), 0.6),
)  # fmt: skip
#: Share of walls and floors in any colour at all.
_ODD_COLOUR = 0.06


def room_shell(
    rng: Rng, textures: Textures, room: NDArray, domain: str = "or", wall_colour: NDArray | None = None,
    floor_colour: NDArray | None = None,
) -> list[Mesh]:  # fmt: skip
    """Floor, walls and ceiling of `room (3,)` m with what belongs to them; linear colours `(3,)` or random ones."""
    kit = Kit()
    wall_colour = _paint(_WALLS, rng) if wall_colour is None else wall_colour
    dado = _paint(_WALLS, rng)
    tiled = rng.random() < (0.4 if domain == "or" else 0.08)
    dado_height = rng.uniform(0.9, 1.3) if rng.random() < 0.3 else 0.0
    for i in range(4):
        length, distance = (room[0], room[1]) if i % 2 == 0 else (room[1], room[0])
        wall = Kit()
        material = Material(
            texture=textures.pick("tiles", rng) if tiled else -1,
            noise=0.02,
            noise_frequency=0.3,
            gloss=0.1 + 0.2 * tiled,
        )
        wall.plate(length, room[2], (0, 0, 0), wall_colour, material, tiles=(length / 0.62, room[2] / 0.62))
        if dado_height:
            wall.plate(length, dado_height, (0, -0.004, 0), dado, Material(noise=0.02, noise_frequency=0.3, gloss=0.15))
        _wall_trim(wall, rng, length)
        _hang_things(wall, rng, textures, length, domain)
        kit.put(wall.meshes(), 90.0 * i, _turn(90.0 * i) @ (0, distance / 2, 0))
    _ceiling(kit, rng, room, domain)
    return [_floor(rng, textures, room, domain, floor_colour), *kit.meshes()]


def _turn(degrees: float) -> NDArray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _paint(palette: tuple[tuple[tuple[float, float, float], float], ...], rng: Rng) -> NDArray:
    if rng.random() < _ODD_COLOUR:
        return linear(*rng.uniform(0.25, 0.9, 3))
    weights = np.array([weight for _, weight in palette])
    colour = np.array(palette[rng.choice(len(palette), p=weights / weights.sum())][0])
    return linear(*(colour + rng.normal(0, 0.012, 3) + rng.normal(0, 0.05)))


def _floor(rng: Rng, textures: Textures, room: NDArray, domain: str, colour: NDArray | None) -> Mesh:
    texture, tile = -1, 1.0
    if domain != "or" and rng.random() < 0.6:
        texture, tile = textures.pick("wood", rng), 0.9
    elif rng.random() < 0.2:
        texture, tile = textures.pick("tiles", rng), 4 * rng.uniform(0.2, 0.6)
    if colour is None:
        colour = linear(1, 1, 1) * rng.uniform(0.7, 1.1) if domain != "or" and texture >= 0 else _paint(_FLOORS, rng)
    polish = rng.random() ** 2
    material = Material(
        texture=texture, noise=0.03, noise_frequency=0.25, gloss=0.05 + 0.4 * polish,
        mirror=float(0.08 * polish) if polish > 0.2 else 0.0,
    )  # fmt: skip
    x, y = room[0] / 2, room[1] / 2
    vertices = np.array([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)])
    return surface(vertices, np.array([(0, 1, 2), (0, 2, 3)]), colour, material, vertices[:, :2] / tile)


def _wall_trim(wall: Kit, rng: Rng, length: float) -> None:
    """Skirting, and a rail that keeps beds off the wall."""
    if rng.random() < 0.7:
        wall.box((length, 0.03, 0.1), (0, -0.015, 0), grey(rng, 0.2, 0.7))
    if rng.random() < 0.35:
        wall.box((length, 0.04, rng.uniform(0.1, 0.25)), (0, -0.02, rng.uniform(0.6, 1.0)), grey(rng, 0.4, 0.8))


def _hang_things(wall: Kit, rng: Rng, textures: Textures, length: float, domain: str) -> None:
    """Things beside one another along a wall; gaps between them."""
    kinds = list(WALL_THINGS.values())
    weights = np.array([kind.weight if domain == "or" else kind.everyday for kind in kinds])
    x = -length / 2 + rng.uniform(0.0, 0.8)
    while True:
        kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
        if x + kind.width > length / 2 - 0.1:
            return
        kind.add(wall, rng, textures, x + kind.width / 2)
        x += kind.width + rng.exponential(0.45)


def _ceiling(kit: Kit, rng: Rng, room: NDArray, domain: str) -> None:
    """Ceiling panels, air outlets, rails and trunks with cables."""
    colour = grey(rng, 0.75, 1.0)
    x, y = room[0] / 2, room[1] / 2
    corners = np.array([(-x, y, room[2]), (x, y, room[2]), (-x, -y, room[2]), (x, -y, room[2])]).reshape(2, 2, 3)
    kit.sheet(corners, colour, Material(noise=0.02, emission=0.25))  # light from the floor
    for place in np.arange(-x, x, 0.6) if rng.random() < 0.4 else ():
        kit.box((0.02, room[1], 0.012), (place, 0, room[2] - 0.012), colour * 0.7)
    if domain != "or":
        return
    if rng.random() < 0.35:  # laminar air flow
        kit.box(
            (rng.uniform(1.2, 2.6), rng.uniform(1.2, 2.4), 0.03), (0, 0, room[2] - 0.03), grey(rng, 0.6, 0.9), METAL
        )
    for _ in range(rng.integers(0, 5)):
        size = (rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6), 0.03)
        kit.box(size, (*rng.uniform(-0.45, 0.45, 2) * room[:2], room[2] - 0.03), grey(rng, 0.5, 0.8), METAL)
    for _ in range(rng.integers(0, 3)):  # rails, often with cables along them
        offset, height = rng.uniform(-0.48, 0.48) * room[1], room[2] - rng.uniform(0.1, 0.35)
        kit.box((room[0], 0.08, 0.06), (0, offset, height), grey(rng, 0.5, 0.9), METAL)
        if rng.random() < 0.6:
            cables(kit, rng, (0.0, offset - 0.05, height), room[0], int(rng.integers(2, 9)))


def curtain(rng: Rng, textures: Textures) -> list[Mesh]:
    length, height = rng.uniform(0.8, 2.4), rng.uniform(1.6, 2.4)
    columns = 60
    x = np.linspace(-length / 2, length / 2, columns)
    wave = np.sin(x * rng.uniform(18, 40) + 0.8 * np.sin(x * rng.uniform(2, 5))) + 0.3 * np.sin(x * 55)
    rows = [
        np.column_stack([x, 0.05 * wave * (0.6 + 0.4 * t), np.full(columns, height * (1 - t) + 0.05)])
        for t in np.linspace(0, 1, 6)
    ]
    material = Material(noise=0.06, folds=0.2)
    return [surface(np.concatenate(rows), grid_faces(6, columns), drape_colour(rng), material, grid_uv(6, columns))]


def floor_marks(rng: Rng, room: NDArray) -> list[Mesh]:
    """Tape, mats, drain covers and cables on the floor."""
    kit = Kit()
    for _ in range(rng.integers(0, 9)):
        place = (*rng.uniform(-0.45, 0.45, 2) * room[:2], 0.0)
        colour = grey(rng, 0.02, 0.2) if rng.random() < 0.6 else vivid(rng)
        heading = rng.uniform(0, 180)
        if rng.random() < 0.3:
            kit.put([_ring(rng.uniform(0.08, 0.2), colour)], 0.0, place)
        else:
            kit.box((rng.uniform(0.05, 0.2), 0.03, 0.002), place, colour, heading=heading)
    if rng.random() < 0.15:  # a line of tape or a mat
        size = (rng.uniform(0.5, 3.0), rng.choice([0.05, 0.6]), 0.003)
        colour = vivid(rng) if rng.random() < 0.3 else grey(rng, 0.1, 0.8)
        kit.box(size, (*rng.uniform(-0.3, 0.3, 2) * room[:2], 0.0), colour, heading=rng.uniform(0, 180))
    for _ in range(rng.integers(0, 6)):
        kit.cable(_cable_on_floor(rng, room), rng.uniform(0.005, 0.016), _cable_colour(rng), sides=5)
    return kit.meshes()


def _ring(radius: float, colour: NDArray) -> Mesh:
    angle = np.linspace(0, 2 * np.pi, 25)
    rings = [
        np.column_stack([r * np.cos(angle), r * np.sin(angle), np.full(25, 0.003)]) for r in (radius - 0.02, radius)
    ]
    return surface(np.concatenate(rings), grid_faces(2, 25), colour, Material())


def _cable_colour(rng: Rng) -> NDArray:
    if rng.random() < 0.3:  # hoses and extension leads
        return linear(*((0.95, 0.45, 0.1) if rng.random() < 0.4 else rng.uniform(0.1, 0.9, 3)))
    return grey(rng, 0.02, 0.3) if rng.random() < 0.7 else grey(rng, 0.6, 0.95)


def _cable_on_floor(rng: Rng, room: NDArray) -> NDArray:
    """`(40, 3)` m: a wandering line, or coils."""
    if rng.random() < 0.25:
        turns = np.linspace(0, 2 * np.pi * rng.uniform(1.5, 4), 40)
        radius = rng.uniform(0.15, 0.3) * (1 + 0.15 * np.sin(turns * 0.7))
        steps = np.stack([radius * np.cos(turns), radius * np.sin(turns) * 0.8], 1)
    else:
        heading = np.cumsum(rng.normal(0, 0.35, 40)) + rng.uniform(0, 6.28)
        steps = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1) * 0.08, 0)
    steps = steps + rng.uniform(-0.4, 0.4, 2) * room[:2]
    return np.column_stack([np.clip(steps, -room[:2] / 2, room[:2] / 2), np.full(40, 0.012)])
