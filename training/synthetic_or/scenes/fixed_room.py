"""What a room file fixes, as meshes, lights and people's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people.staffing import OutfitChoice, Staffing
from training.synthetic_or.rooms.catalogue import FLOOR_THINGS, MACHINES, Thing
from training.synthetic_or.rooms.lights import Light, surgical_light
from training.synthetic_or.scenes.people import Floor, TableFrame
from training.synthetic_or.scenes.room_file import FixedThing, RoomFile
from training.synthetic_or.shapes.meshes import Mesh, linear, turned
from training.synthetic_or.shapes.textures import Textures

#: A C-arm's cart stands this far from its middle (m); people may stand between it and the table.
_CART_M, _CART_RADIUS_M = 1.1, 0.35
_PLACE_TRIES = 8


@dataclass(frozen=True)
class Placed:
    """A thing where it stands: `name` is for errors, `circles` (x, y, radius in m) the floor it takes."""

    name: str
    meshes: list[Mesh]
    circles: list[tuple[float, float, float]]
    lights: list[Light] = field(default_factory=list)


def table_frame(room_file: RoomFile, rng: np.random.Generator) -> TableFrame:
    """Where the operating table stands in this scene."""
    table = room_file.table
    x, y = rng.normal(0, 0.4, 2)
    if table.position_m is not None:
        x, y = _in_room(room_file, table.position_m) + rng.normal(0, room_file.things_jitter_m, 2)
    heading = rng.uniform(0, 360)
    if table.heading_deg is not None:
        heading = table.heading_deg + rng.normal(0, room_file.things_jitter_deg)
    height = rng.uniform(0.8, 1.05) if table.height_m is None else table.height_m
    return TableFrame(np.array([x, y, height]), heading)


def staffing_of(room_file: RoomFile) -> Staffing:
    outfits: dict[str, OutfitChoice] = {
        role: OutfitChoice(outfit.kinds, {garment: tuple(map(linear_of, c)) for garment, c in outfit.colours.items()})
        for role, outfit in room_file.outfits.items()
    }
    staff = room_file.staff
    return Staffing(
        numbers=None if staff is None else (staff.min, staff.max),
        at_table=None if staff is None else staff.at_table,
        patient_probability=room_file.patient_probability,
        outfits=outfits,
        drapes=tuple(map(linear_of, room_file.drapes)),
        drape_hang=room_file.drape_hang_m,
    )


def linear_of(code: str) -> NDArray:
    """Linear colour `(3,)` of sRGB #rrggbb."""
    return linear(*(int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)))


def given_lights(room_file: RoomFile, room: NDArray) -> list[Light]:
    """Lamps at the ceiling of `room (3,)` m."""
    return [
        Light(
            np.array([*_in_room(room_file, lamp.position_m), room[2] - 0.05]),
            np.array([*lamp.size_m, 0.0]) / 2, lamp.power, np.ones(3),
        )
        for lamp in room_file.lights or ()
    ]  # fmt: skip


def place_given(
    room_file: RoomFile, table: TableFrame, textures: Textures, floor: Floor, room: NDArray, rng: np.random.Generator
) -> list[Placed]:
    """The file's machines and furniture, each a little displaced."""
    placed = []
    for given in room_file.machines or ():
        thing = MACHINES[given.kind]
        heading = table.heading + 90.0 * rng.choice([-1, 1]) if given.kind == "c_arm" else table.heading
        placed.append(_placed(room_file, given, thing, heading, textures, floor, room, rng))
    for given in room_file.furniture or ():
        x, y = _in_room(room_file, given.position_m)
        to_middle = np.degrees(np.arctan2(-y, -x)) + 90.0
        placed.append(_placed(room_file, given, FLOOR_THINGS[given.kind], to_middle, textures, floor, room, rng))
    return placed


def _placed(
    room_file: RoomFile, given: FixedThing, thing: Thing, usual_heading: float, textures: Textures, floor: Floor,
    room: NDArray, rng: np.random.Generator,
) -> Placed:  # fmt: skip
    heading = usual_heading + rng.normal(0, 15) if given.heading_deg is None else given.heading_deg
    heading += rng.normal(0, room_file.things_jitter_deg)
    x, y = _in_room(room_file, given.position_m) + rng.normal(0, room_file.things_jitter_m, 2)
    meshes = turned(thing.make(rng, textures, float(room[2])), heading, (x, y, 0.0))
    circles = _circles(given.kind, thing, x, y, heading)
    for circle in circles:
        floor.take(*circle)
    lights = [surgical_light(meshes[0], rng)] if given.kind == "surgical_lamp" else []
    name = f"{given.kind} at ({given.position_m[0]:g}, {given.position_m[1]:g})"
    return Placed(name, meshes, circles, [light for light in lights if light.power > 0])


def _circles(kind: str, thing: Thing, x: float, y: float, heading: float) -> list[tuple[float, float, float]]:
    """Circles (x, y, radius) that cover what a thing takes of the floor; none for what hangs from the ceiling."""
    c, s = np.cos(np.radians(heading)), np.sin(np.radians(heading))
    if kind == "c_arm":
        return [(x - c * _CART_M, y - s * _CART_M, _CART_RADIUS_M)]
    if thing.width == 0:
        return []
    count = max(1, round(thing.width / thing.depth))
    along = (np.arange(count) + 0.5) * thing.width / count - thing.width / 2
    return [(x + c * a, y + s * a, thing.depth / 2) for a in along]


def place_clutter(count: int, textures: Textures, floor: Floor, room: NDArray, rng: np.random.Generator) -> list[Mesh]:
    """`count` pieces of furniture at random free places, fewer if the floor is full."""
    meshes: list[Mesh] = []
    things = list(FLOOR_THINGS.values())
    weights = np.array([thing.weight for thing in things])
    for _ in range(count):
        thing = things[rng.choice(len(things), p=weights / weights.sum())]
        spot = _free_spot(thing, floor, room, rng)
        if spot is not None:
            x, y, heading = spot
            for circle in _circles("", thing, x, y, heading):
                floor.take(*circle)
            meshes += turned(thing.make(rng, textures, float(room[2])), heading, (x, y, 0.0))
    return meshes


def _free_spot(
    thing: Thing, floor: Floor, room: NDArray, rng: np.random.Generator
) -> tuple[float, float, float] | None:
    for _ in range(_PLACE_TRIES):
        x, y = rng.uniform(-0.5, 0.5, 2) * (room[:2] - max(thing.width, thing.depth) - 0.1)
        heading = rng.uniform(0, 360)
        if thing.at_wall:
            wall = int(rng.integers(4))  # 0 at the largest y, then counter-clockwise
            heading = 90.0 * wall
            away = room[1 - wall % 2] / 2 - thing.depth / 2 - 0.03
            x, y = ((x, away), (-away, y), (x, -away), (away, y))[wall]
        if all(floor.free(*circle) for circle in _circles("", thing, x, y, heading)):
            return x, y, heading
    return None


def _in_room(room_file: RoomFile, place: Sequence[float]) -> NDArray:
    """`(2,)` m in the room's frame, whose origin is the middle of the floor."""
    return np.array(place) - room_file.floor_centre_m[:2]
