"""Where things stand: machines at the operating table, furniture along the walls and in the room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rooms.catalogue import FLOOR_THINGS, MACHINES, Thing
from training.synthetic_or.rooms.lights import Light, surgical_light
from training.synthetic_or.rooms.room import curtain, floor_marks
from training.synthetic_or.scenes.people import Floor, TableFrame
from training.synthetic_or.shapes.meshes import Mesh, turned
from training.synthetic_or.shapes.textures import Textures

_WALL_GAP_M = 0.03


def place_machines(
    textures: Textures, table: TableFrame, floor: Floor, room: NDArray, rng: np.random.Generator
) -> tuple[list[Mesh], list[Light]]:
    """A CT ring or a C-arm or neither, monitors and lamps, and the lamps' light."""
    meshes: list[Mesh] = []
    kind = rng.random()
    if kind < 0.28:
        x, y = table.to_room(rng.choice([-1.0, 1.0]) * rng.uniform(1.2, 1.6), 0.0)
        if floor.free(x, y, 0.3):
            meshes += _made("ct_ring", textures, room, rng, table.heading, (x, y, 0.0))
            floor.take(x, y, 0.8)
    elif kind < 0.6:
        heading = table.heading + 90.0 * rng.choice([-1, 1]) + rng.normal(0, 15)
        meshes += _made("c_arm", textures, room, rng, heading, table.foot)
    for _ in range(rng.integers(0, 3)):
        x, y = table.to_room(rng.uniform(-1.2, 1.2), rng.choice([-1, 1]) * rng.uniform(0.5, 1.6))
        meshes += _made("monitor_bank", textures, room, rng, rng.uniform(0, 360), (x, y, 0.0))
    if rng.random() < 0.4:
        x, y = table.to_room(rng.choice([-1, 1]) * rng.uniform(1.0, 1.6), rng.normal(0, 0.8))
        if floor.free(x, y, 0.2):
            meshes += _made("ceiling_column", textures, room, rng, rng.uniform(0, 360), (x, y, 0.0))
            floor.take(x, y, 0.35)
    if rng.random() < 0.2:
        x, y = table.to_room(rng.uniform(-0.6, 0.6), rng.choice([-1, 1]) * rng.uniform(0.0, 0.35))
        meshes += _made("ceiling_shield", textures, room, rng, table.heading + rng.normal(0, 40), (x, y, 0.0))
    lights = []
    for _ in range(rng.choice([0, 1, 2], p=[0.4, 0.35, 0.25])):
        x, y = table.to_room(rng.normal(0, 0.6), rng.normal(0, 0.5))
        lamp = _made("surgical_lamp", textures, room, rng, rng.uniform(0, 360), (x, y, 0.0))
        light = surgical_light(lamp[0], rng)
        lights += [light] if light.power > 0 else []
        meshes += lamp
    return meshes, lights


def _made(
    name: str, textures: Textures, room: NDArray, rng: np.random.Generator, heading: float,
    place: tuple[float, float, float],
) -> list[Mesh]:  # fmt: skip
    return turned(MACHINES[name].make(rng, textures, float(room[2])), heading, place)


def place_furniture(
    textures: Textures, floor: Floor, room: NDArray, rng: np.random.Generator, domain: str = "or"
) -> list[Mesh]:
    """Furniture along the walls and standing about, from nearly nothing to a store room; marks on the floor."""
    things = [thing for thing in FLOOR_THINGS.values() if thing.share(domain) > 0]
    density = rng.choice([0.15, 0.5, 0.9], p=[0.12, 0.38, 0.5]) * rng.uniform(0.7, 1.1)
    meshes = floor_marks(rng, room)
    for wall in range(4):
        meshes += _along_wall(wall, [t for t in things if t.at_wall], density, textures, floor, room, rng, domain)
    for _ in range(int(rng.integers(3, 10) * (0.5 + density))):
        thing = _pick([t for t in things if not t.at_wall], domain, rng)
        x, y = rng.uniform(-0.45, 0.45, 2) * room[:2]
        radius = max(thing.width, thing.depth) / 2
        if floor.free(x, y, radius - 0.1):
            floor.take(x, y, radius)
            heading = np.degrees(np.arctan2(-y, -x)) + 90.0 + rng.normal(0, 40)
            meshes += turned(thing.make(rng, textures, float(room[2])), heading, (x, y, 0.0))
    if rng.random() < 0.25:
        place = (rng.uniform(-0.4, 0.4) * room[0], rng.choice([-1, 1]) * (room[1] / 2 - 0.3), 0.0)
        meshes += turned(curtain(rng, textures), rng.choice([0, 90]), place)
    return meshes


def _pick(things: list[Thing], domain: str, rng: np.random.Generator) -> Thing:
    weights = np.array([thing.share(domain) for thing in things])
    return things[rng.choice(len(things), p=weights / weights.sum())]


def _along_wall(
    wall: int, things: list[Thing], density: float, textures: Textures, floor: Floor, room: NDArray,
    rng: np.random.Generator, domain: str,
) -> list[Mesh]:  # fmt: skip
    """Things beside one another with their backs to wall 0 to 3 (wall 0 at the largest y, then counter-clockwise)."""
    length, distance = (room[0], room[1]) if wall % 2 == 0 else (room[1], room[0])
    heading = 90.0 * wall
    meshes: list[Mesh] = []
    x = -length / 2 + rng.uniform(0.1, 0.9)
    while True:
        thing = _pick(things, domain, rng)
        if x + thing.width > length / 2 - 0.3:
            return meshes
        y = distance / 2 - thing.depth / 2 - _WALL_GAP_M
        circles = [_turned(heading, place, y) for place in _spread(x, thing)]
        radius = thing.depth / 2
        if rng.random() < density and all(floor.free(*circle, radius) for circle in circles):
            for circle in circles:
                floor.take(*circle, radius + 0.05)
            place = (*_turned(heading, x + thing.width / 2, y), 0.0)
            meshes += turned(thing.make(rng, textures, float(room[2])), heading + rng.normal(0, 3), place)
        x += thing.width + rng.exponential(0.25)


def _spread(x: float, thing: Thing) -> NDArray:
    """Middles of circles as wide as the thing is deep that cover it along the wall, from `x` (m)."""
    count = max(1, round(thing.width / thing.depth))
    return x + (np.arange(count) + 0.5) * thing.width / count


def _turned(degrees: float, x: float, y: float) -> tuple[float, float]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return c * x - s * y, s * x + c * y
