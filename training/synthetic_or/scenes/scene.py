"""Scenes: a room with its furniture, machines, lights and people, drawn from one random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people.bodies import BodyBank
from training.synthetic_or.rooms.furniture import operating_table
from training.synthetic_or.rooms.lights import Light, ambient_light, ceiling_lights, lamps_of
from training.synthetic_or.rooms.room import room_shell
from training.synthetic_or.scenes.fixed_room import (
    given_lights,
    linear_of,
    place_clutter,
    place_given,
    staffing_of,
    table_frame,
)  # fmt: skip
from training.synthetic_or.scenes.people import Floor, Person, TableFrame, everyday, operation
from training.synthetic_or.scenes.placing import place_furniture, place_machines
from training.synthetic_or.scenes.room_file import RoomFile
from training.synthetic_or.shapes.drapes import drape_over
from training.synthetic_or.shapes.meshes import Mesh, turned
from training.synthetic_or.shapes.textures import Textures

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


def sample_scene(
    domain: str, bank: BodyBank, textures: Textures, rng: np.random.Generator, room_file: RoomFile | None = None
) -> Scene:
    """A scene of `domain` ("or" or "everyday"); what `room_file` fixes is as it says.

    Raises:
        ValueError: Another domain.
    """
    if domain not in ("or", "everyday"):
        raise ValueError(f"domain: expected 'or' or 'everyday', got {domain!r}")
    given = room_file or RoomFile()
    room = np.array([rng.uniform(5.0, 8.0), rng.uniform(4.8, 7.5), rng.uniform(2.7, 3.5)])
    room = room if given.size_m is None else np.array(given.size_m)
    table = table_frame(given, rng)
    floor = Floor()
    paint = (None if code is None else linear_of(code) for code in (given.wall_colour, given.floor_colour))
    meshes = room_shell(rng, textures, room, domain, *paint)
    lights, lamps = ceiling_lights(room, rng)
    if given.lights is not None:
        lights = given_lights(given, room)
        lamps = lamps_of(lights, rng)
    placed = place_given(given, table, textures, floor, room, rng)
    meshes += lamps + [mesh for thing in placed for mesh in thing.meshes]
    lights += [light for thing in placed for light in thing.lights]
    if domain == "or":
        people, more, lamp_lights = _work(bank, textures, given, table, floor, room, rng)
        meshes += more
        lights += lamp_lights
    else:
        people, seats = everyday(bank, floor, room, rng)
        meshes += seats
    if given.furniture is None and given.clutter is None:
        meshes += place_furniture(textures, floor, room, rng, domain)
    else:
        meshes += place_clutter(given.clutter or 0, textures, floor, room, rng)
    ambient = ambient_light(rng) if given.ambient is None else np.full(3, given.ambient)
    return Scene(meshes, people, lights, ambient, room, table.centre, floor)


def _work(
    bank: BodyBank, textures: Textures, given: RoomFile, table: TableFrame, floor: Floor, room: NDArray,
    rng: np.random.Generator,
) -> tuple[list[Person], list[Mesh], list[Light]]:  # fmt: skip
    """People, the table and machines around it."""
    if rng.random() < _EMPTY_ROOMS and given.staff is None and given.patient_probability is None:
        people, meshes = _nobody(table, floor, rng)
    else:
        people, meshes = operation(bank, table, floor, room, rng, staffing_of(given))
    if not meshes or given.machines is not None:
        return people, meshes, []
    machines, lights = place_machines(textures, table, floor, room, rng)
    return people, meshes + machines, lights


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
