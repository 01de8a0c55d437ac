"""Scenes: a room with its furniture, machines, lights and people, drawn from one random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.bodies import BodyBank
from training.synthetic_or.catalogue import FLOOR_THINGS, MACHINES
from training.synthetic_or.meshes import Mesh, turned
from training.synthetic_or.people import Floor, Person, TableFrame, everyday, operation
from training.synthetic_or.room import curtain, floor_cables, room_shell
from training.synthetic_or.textures import Textures


@dataclass(frozen=True)
class Light:
    """A rectangular area light: centre and half extents `(3,)` m; `power` relative; `colour (3,)`."""

    centre: NDArray
    half: NDArray
    power: float
    colour: NDArray


@dataclass(frozen=True)
class Scene:
    """Everything to render, in room coordinates: `room (3,)` is its size (m), `table (3,)` the middle of the top.

    `floor` knows where things and people stand at the beginning.
    """

    furniture: list[Mesh]
    people: list[Person]
    lights: list[Light]
    ambient: NDArray
    room: NDArray
    table: NDArray
    floor: Floor

    @property
    def meshes(self) -> list[Mesh]:
        return self.furniture + [mesh for person in self.people for mesh in person.dressed]


def sample_scene(domain: str, bank: BodyBank, textures: Textures, rng: np.random.Generator) -> Scene:
    """A scene of `domain` ("or" or "everyday"). Raises ValueError for another domain."""
    if domain not in ("or", "everyday"):
        raise ValueError(f"domain: expected 'or' or 'everyday', got {domain!r}")
    room = np.array([rng.uniform(5.0, 8.0), rng.uniform(4.8, 7.5), rng.uniform(2.7, 3.5)])
    centre = np.array([rng.normal(0, 0.4), rng.normal(0, 0.4), rng.uniform(0.8, 1.05)])
    table = TableFrame(centre, rng.uniform(0, 360))
    floor = Floor()
    meshes = room_shell(rng, textures, room) + floor_cables(rng, room)
    if domain == "or":
        people, table_meshes = operation(bank, table, floor, room, rng)
        meshes += table_meshes + _machines(textures, table, floor, room, rng)
    else:
        people = everyday(bank, floor, room, rng)
    meshes += _clutter(textures, floor, room, rng)
    return Scene(meshes, people, _lights(room, centre, rng), _ambient(rng), room, centre, floor)


def _lights(room: NDArray, table: NDArray, rng: np.random.Generator) -> list[Light]:
    """Two ceiling panels and, in half of the rooms, a surgical lamp above the table."""
    tint = 1 + rng.normal(0, 0.05, 3)
    first = np.array([rng.uniform(-1, 1), rng.uniform(-1, 1), room[2] - 0.05])
    lights = [Light(first, np.array([0.9, 0.5, 0.0]), rng.uniform(0.7, 1.3), tint)]
    second = np.array([rng.uniform(-2, 2), rng.uniform(-2, 2), room[2] - 0.05])
    lights.append(Light(second, np.array([0.4, 0.9, 0.0]), rng.uniform(0.2, 0.8), tint))
    if rng.random() < 0.5:
        lamp = table + np.array([rng.normal(0, 0.3), rng.normal(0, 0.3), rng.uniform(1.0, 1.3)])
        lights.append(Light(lamp, np.array([0.2, 0.2, 0.0]), rng.uniform(0.1, 0.6), np.ones(3)))
    return lights


def _ambient(rng: np.random.Generator) -> NDArray:
    return rng.uniform(0.3, 0.6) * (1 + rng.normal(0, 0.04, 3))


def _machines(
    textures: Textures, table: TableFrame, floor: Floor, room: NDArray, rng: np.random.Generator
) -> list[Mesh]:
    """A CT ring or a C-arm or neither, monitors and lamps."""
    meshes: list[Mesh] = []
    kind = rng.random()
    if kind < 0.22:
        x, y = table.to_room(rng.choice([-1.0, 1.0]) * rng.uniform(1.2, 1.6), 0.0)
        if floor.free(x, y, 0.3):
            meshes += turned(MACHINES["ct_ring"].make(rng, textures, room[2]), table.heading, (x, y, 0.0))
            floor.take(x, y, 0.8)
    elif kind < 0.6:
        arm = MACHINES["c_arm"].make(rng, textures, room[2])
        meshes += turned(arm, table.heading + 90.0 * rng.choice([-1, 1]) + rng.normal(0, 15), table.foot)
    for _ in range(rng.integers(0, 3)):
        x, y = table.to_room(rng.uniform(-1.2, 1.2), rng.choice([-1, 1]) * rng.uniform(0.3, 1.5))
        meshes += turned(MACHINES["monitor_bank"].make(rng, textures, room[2]), rng.uniform(0, 360), (x, y, 0.0))
    for _ in range(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15])):
        x, y = table.to_room(rng.normal(0, 0.6), rng.normal(0, 0.5))
        meshes += turned(MACHINES["surgical_lamp"].make(rng, textures, room[2]), rng.uniform(0, 360), (x, y, 0.0))
    return meshes


def _clutter(textures: Textures, floor: Floor, room: NDArray, rng: np.random.Generator) -> list[Mesh]:
    """Carts, racks, bins and so on, most of them along the walls; sometimes a curtain."""
    meshes: list[Mesh] = []
    things = list(FLOOR_THINGS.values())
    weights = np.array([thing.weight for thing in things])
    for _ in range(rng.integers(4, 15)):
        near_wall = rng.random() < 0.6
        x, y = rng.uniform(-0.46, 0.46, 2) * room[:2]
        if near_wall:
            axis = rng.integers(2)
            side = rng.choice([-1.0, 1.0]) * (room[axis] / 2 - 0.35)
            x, y = (side, y) if axis == 0 else (x, side)
        if not floor.free(x, y, 0.3):
            continue
        floor.take(x, y, 0.38)
        thing = things[rng.choice(len(things), p=weights / weights.sum())]
        toward_middle = np.degrees(np.arctan2(-y, -x)) + 90.0
        meshes += turned(thing.make(rng, textures, room[2]), toward_middle + rng.normal(0, 20), (x, y, 0.0))
    if rng.random() < 0.3:
        cloth, heading = curtain(rng, textures), rng.choice([0, 90])
        place = (rng.uniform(-0.4, 0.4) * room[0], rng.choice([-1, 1]) * (room[1] / 2 - 0.3), 0.0)
        meshes += turned(cloth, heading, place)
    return meshes
