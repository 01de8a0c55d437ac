"""Scenes: a room with its furniture, its people and their labels' source, drawn from one random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or import furniture as f
from training.synthetic_or.bodies import BodyBank, PosedBody
from training.synthetic_or.meshes import Mesh
from training.synthetic_or.outfits import OR_OUTFITS, Outfit, dress, sample_outfit
from training.synthetic_or.poses import PoseRequest, pose_body
from training.synthetic_or.textures import Textures

ROLES_OF_STAFF = ("surgeon", "assistant", "nurse", "anaesthetist", "visitor")


@dataclass(frozen=True)
class Person:
    """One person of a scene: `instance` from 1, the posed body in the room frame, what was asked of it, role and outfit."""

    instance: int
    body: PosedBody
    role: str
    shape: int
    request: PoseRequest
    outfit: Outfit
    dressed: list[Mesh]


@dataclass(frozen=True)
class Light:
    """A rectangular area light: centre and half extents `(3,)` m; `power` relative; `colour (3,)`."""

    centre: NDArray
    half: NDArray
    power: float
    colour: NDArray


@dataclass(frozen=True)
class Scene:
    """Everything to render: furniture in room coordinates, people, lights, room size and the table's centre `(3,)` m."""

    furniture: list[Mesh]
    people: list[Person]
    lights: list[Light]
    ambient: NDArray
    room: NDArray
    table: NDArray

    @property
    def meshes(self) -> list[Mesh]:
        return self.furniture + [mesh for person in self.people for mesh in person.dressed]


class _Floor:
    """Keeps people and furniture apart: circles on the floor."""

    def __init__(self) -> None:
        self.circles: list[tuple[float, float, float]] = []

    def free(self, x: float, y: float, radius: float) -> bool:
        return all(np.hypot(x - cx, y - cy) > radius + r for cx, cy, r in self.circles)

    def take(self, x: float, y: float, radius: float) -> None:
        self.circles.append((x, y, radius))


def sample_scene(domain: str, bank: BodyBank, textures: Textures, rng: np.random.Generator) -> Scene:
    """A scene of `domain` ("or" or "everyday"). Raises ValueError for another domain."""
    if domain not in ("or", "everyday"):
        raise ValueError(f"domain: expected 'or' or 'everyday', got {domain!r}")
    room = np.array([rng.uniform(5.0, 8.0), rng.uniform(4.8, 7.5), rng.uniform(2.7, 3.5)])
    table = np.array([rng.normal(0, 0.4), rng.normal(0, 0.4), rng.uniform(0.8, 1.05)])
    heading = rng.uniform(0, 360)
    floor = _Floor()
    meshes = f.room_shell(rng, textures, room) + f.floor_cables(rng, room)
    if domain == "or":
        people = _operation(bank, table, heading, floor, room, rng, meshes)
        meshes += _machines(textures, table, heading, floor, room, rng)
    else:
        people = _everyday(bank, textures, floor, room, rng, meshes)
    meshes += _clutter(textures, floor, room, rng, domain)
    return Scene(meshes, people, _lights(room, table, rng), _ambient(rng), room, table)


def _lights(room: NDArray, table: NDArray, rng: np.random.Generator) -> list[Light]:
    tint = 1 + rng.normal(0, 0.05, 3)
    panel = Light(
        np.array([rng.uniform(-1, 1), rng.uniform(-1, 1), room[2] - 0.05]),
        np.array([0.9, 0.5, 0.0]),
        rng.uniform(0.7, 1.3),
        tint,
    )
    second = Light(
        np.array([rng.uniform(-2, 2), rng.uniform(-2, 2), room[2] - 0.05]),
        np.array([0.4, 0.9, 0.0]),
        rng.uniform(0.2, 0.8),
        tint,
    )
    lights = [panel, second]
    if rng.random() < 0.5:
        lamp_place = table + np.array([rng.normal(0, 0.3), rng.normal(0, 0.3), rng.uniform(1.0, 1.3)])
        lights.append(Light(lamp_place, np.array([0.2, 0.2, 0.0]), rng.uniform(0.1, 0.6), np.ones(3)))
    return lights


def _ambient(rng: np.random.Generator) -> NDArray:
    return rng.uniform(0.3, 0.6) * (1 + rng.normal(0, 0.04, 3))


def _to_room(table: NDArray, heading: float, x: float, y: float) -> tuple[float, float]:
    c, s = np.cos(np.radians(heading)), np.sin(np.radians(heading))
    return table[0] + c * x - s * y, table[1] + s * x + c * y


def _operation(
    bank: BodyBank, table: NDArray, heading: float, floor: _Floor, room: NDArray, rng: np.random.Generator,
    meshes: list[Mesh],
) -> list[Person]:  # fmt: skip
    """The table with a patient or without, and the staff: half of it at the table."""
    place = (table[0], table[1], 0.0)
    meshes += f.turned(f.operating_table(rng, table[2]), heading, place)
    for x in (-0.7, 0.0, 0.7):
        floor.take(*_to_room(table, heading, x, 0.0), 0.33)
    people: list[Person] = []
    if rng.random() < 0.6:
        _patient(bank, table, heading, rng, people, meshes)
    elif rng.random() < 0.4:
        bounds = (rng.uniform(-1.0, -0.6), rng.uniform(0.5, 1.0), -0.3, 0.3)
        meshes += f.turned(f.drape_over(np.zeros((0, 3)), bounds, table[2] + 0.02, rng), heading, place)
    count = int(rng.choice([0, 1, 2, 3, 4, 5, 6], p=[0.04, 0.12, 0.2, 0.24, 0.2, 0.12, 0.08]))
    team: Outfit | None = None
    for _ in range(count):
        at_table = rng.random() < 0.5
        request = _at_table(table, heading, floor, rng) if at_table else _somewhere(floor, room, rng)
        if request is None:
            continue
        weights = np.array(list(OR_OUTFITS.values()))
        kind = str(rng.choice(list(OR_OUTFITS), p=weights / weights.sum()))
        outfit = sample_outfit(kind, rng, team)
        team = team or outfit
        role = (
            str(rng.choice(["surgeon", "assistant", "nurse"]))
            if at_table
            else str(rng.choice(["nurse", "anaesthetist", "visitor"]))
        )
        _add(bank, request, outfit, role, rng, people)
    return people


def _add(
    bank: BodyBank, request: PoseRequest, outfit: Outfit, role: str, rng: np.random.Generator, people: list[Person]
) -> None:
    shape = int(rng.integers(bank.num_shapes))
    people.append(clothed(bank, shape, pose_body(bank, shape, request, rng), request, outfit, role, len(people) + 1))


def clothed(
    bank: BodyBank, shape: int, body: PosedBody, request: PoseRequest, outfit: Outfit, role: str, instance: int
) -> Person:
    """A person in a pose, with the clothes' meshes."""
    meshes = dress(bank, body, outfit, instance, skirt=request.kind not in ("sit", "lie"))
    return Person(instance, body, role, shape, request, outfit, meshes)


def _at_table(table: NDArray, heading: float, floor: _Floor, rng: np.random.Generator) -> PoseRequest | None:
    for _ in range(8):
        x, side = rng.uniform(-0.95, 0.95), rng.choice([-1.0, 1.0])
        px, py = _to_room(table, heading, x, side * rng.uniform(0.48, 0.72))
        if not floor.free(px, py, 0.12):
            continue
        floor.take(px, py, 0.16)
        facing = heading + (180.0 if side < 0 else 0.0) + rng.normal(0, 15)
        kind = str(rng.choice(["reach", "bend", "hands_folded", "stand", "arm_up"], p=[0.5, 0.17, 0.15, 0.1, 0.08]))
        hands = np.array([
            (*_to_room(table, heading, x + sign * rng.uniform(-0.05, 0.25), side * rng.uniform(-0.1, 0.2)), table[2] + rng.uniform(0.08, 0.35))
            for sign in ((-1, 1) if side > 0 else (1, -1))
        ])  # fmt: skip
        step = rng.choice([0.0, 0.0, 0.12])
        return PoseRequest(kind, np.array([px, py, step]), facing, hands if kind in ("reach", "bend") else None)
    return None


def _somewhere(floor: _Floor, room: NDArray, rng: np.random.Generator) -> PoseRequest | None:
    for _ in range(12):
        x, y = rng.uniform(-0.42, 0.42, 2) * room[:2]
        if not floor.free(x, y, 0.2):
            continue
        floor.take(x, y, 0.22)
        kind = str(
            rng.choice(
                ["stand", "hands_folded", "walk", "reach", "sit", "arm_up", "bend"],
                p=[0.28, 0.24, 0.2, 0.1, 0.06, 0.06, 0.06],
            )
        )
        return PoseRequest(kind, np.array([x, y, 0.0]), rng.uniform(0, 360))
    return None


def _patient(
    bank: BodyBank, table: NDArray, heading: float, rng: np.random.Generator, people: list[Person], meshes: list[Mesh],
) -> None:  # fmt: skip
    """A patient on the back along the table, mostly under drapes."""
    # Lying turns the head towards the person's own back direction; 90 degrees lays it along the table's x axis.
    request = PoseRequest(
        "lie",
        np.array([*_to_room(table, heading, rng.uniform(-0.15, 0.15), 0.0), table[2]]),
        heading + 90.0 * rng.choice([-1, 1]),
    )
    outfit = sample_outfit("patient", rng)
    _add(bank, request, outfit, "patient", rng, people)
    body = people[-1].body
    if rng.random() < 0.88:
        c, s = np.cos(np.radians(-heading)), np.sin(np.radians(-heading))
        local = (body.vertices - (table[0], table[1], 0.0)) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        head_x = float(((body.coco[0] - (table[0], table[1], 0.0)) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))[0])
        feet_x = float(local[:, 0].min() if head_x > 0 else local[:, 0].max())
        to_feet = np.sign(feet_x - head_x)
        upper = head_x + to_feet * (rng.uniform(0.22, 0.55) if rng.random() < 0.75 else -0.2)
        lower = feet_x + to_feet * 0.1 if rng.random() < 0.75 else feet_x - to_feet * rng.uniform(0.2, 0.7)
        bounds = (min(upper, lower), max(upper, lower), -0.32, 0.32)
        meshes += f.turned(f.drape_over(local, bounds, table[2] + 0.02, rng), heading, (table[0], table[1], 0.0))


def _machines(
    textures: Textures, table: NDArray, heading: float, floor: _Floor, room: NDArray, rng: np.random.Generator
) -> list[Mesh]:
    meshes: list[Mesh] = []
    place = (table[0], table[1], 0.0)
    kind = rng.random()
    if kind < 0.22:
        side = rng.choice([-1.0, 1.0])
        x, y = _to_room(table, heading, side * rng.uniform(1.2, 1.6), 0.0)
        if floor.free(x, y, 0.3):
            meshes += f.turned(f.ct_ring(rng, textures), heading, (x, y, 0.0))
            floor.take(x, y, 0.8)
    elif kind < 0.6:
        meshes += f.turned(f.c_arm(rng, textures), heading + 90.0 * rng.choice([-1, 1]) + rng.normal(0, 15), place)
    for _ in range(rng.integers(0, 3)):
        x, y = _to_room(table, heading, rng.uniform(-1.2, 1.2), rng.choice([-1, 1]) * rng.uniform(0.3, 1.5))
        meshes += f.turned(f.monitor_bank(rng, textures, room[2]), rng.uniform(0, 360), (x, y, 0.0))
    for _ in range(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15])):
        x, y = _to_room(table, heading, rng.normal(0, 0.6), rng.normal(0, 0.5))
        meshes += f.turned(f.lamp(rng, textures, room[2]), rng.uniform(0, 360), (x, y, 0.0))
    return meshes


def _clutter(textures: Textures, floor: _Floor, room: NDArray, rng: np.random.Generator, domain: str) -> list[Mesh]:
    meshes: list[Mesh] = []
    makers = [maker for maker, _ in f.FLOOR_THINGS]
    weights = np.array([weight for _, weight in f.FLOOR_THINGS])
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
        maker = makers[rng.choice(len(makers), p=weights / weights.sum())]
        toward_middle = np.degrees(np.arctan2(-y, -x)) + 90.0
        meshes += f.turned(maker(rng, textures), toward_middle + rng.normal(0, 20), (x, y, 0.0))
    if rng.random() < 0.3:
        meshes += f.turned(
            f.curtain(rng, textures),
            rng.choice([0, 90]),
            (rng.uniform(-0.4, 0.4) * room[0], rng.choice([-1, 1]) * (room[1] / 2 - 0.3), 0.0),
        )
    return meshes


def _everyday(
    bank: BodyBank, textures: Textures, floor: _Floor, room: NDArray, rng: np.random.Generator, meshes: list[Mesh]
) -> list[Person]:
    people: list[Person] = []
    for _ in range(int(rng.integers(1, 7))):
        request = _somewhere(floor, room, rng)
        if request is not None:
            _add(bank, request, sample_outfit("street", rng), "visitor", rng, people)
    return people
