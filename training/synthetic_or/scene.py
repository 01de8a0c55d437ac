"""Scenes: a room with its furniture, machines, lights and people, drawn from one random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.bodies import BodyBank
from training.synthetic_or.drapes import drape_over
from training.synthetic_or.furniture import operating_table
from training.synthetic_or.lights import Light, ambient_light, ceiling_lights
from training.synthetic_or.meshes import Mesh, turned
from training.synthetic_or.people import Floor, Person, TableFrame, everyday, operation
from training.synthetic_or.placing import place_furniture, place_machines
from training.synthetic_or.room import room_shell
from training.synthetic_or.textures import Textures

__all__ = ["Light", "Scene", "sample_scene"]
#: Share of operating rooms that nobody is in.
_EMPTY_ROOMS = 0.1


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
    meshes = room_shell(rng, textures, room, domain)
    lights, lamps = ceiling_lights(room, rng)
    meshes += lamps
    if domain == "or":
        empty = rng.random() < _EMPTY_ROOMS
        people, table_meshes = _nobody(table, floor, rng) if empty else operation(bank, table, floor, room, rng)
        meshes += table_meshes
        if table_meshes:
            machines, lamp_lights = place_machines(textures, table, floor, room, rng)
            meshes += machines
            lights += lamp_lights
    else:
        people, seats = everyday(bank, floor, room, rng)
        meshes += seats
    meshes += place_furniture(textures, floor, room, rng, domain)
    return Scene(meshes, people, lights, ambient_light(rng), room, centre, floor)


def _nobody(table: TableFrame, floor: Floor, rng: np.random.Generator) -> tuple[list[Person], list[Mesh]]:
    """A room that nobody is in, half of them without the operating table: what must not be taken for people."""
    if rng.random() < 0.5:
        return [], []
    for x in (-0.7, 0.0, 0.7):
        floor.take(*table.to_room(x, 0.0), 0.33)
    meshes = operating_table(rng, table.height)
    if rng.random() < 0.4:
        bounds = (rng.uniform(-1.0, -0.6), rng.uniform(0.5, 1.0), -0.3, 0.3)
        meshes += drape_over(np.zeros((0, 3)), bounds, table.height + 0.02, rng)
    return [], turned(meshes, table.heading, table.foot)
