"""Who is in the room, where, doing what: staff at the table and around it, a patient under drapes, visitors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people.bodies import BodyBank, PosedBody
from training.synthetic_or.people.dressing import dress, hangs
from training.synthetic_or.people.outfits import Outfit, sample_outfit
from training.synthetic_or.people.poses import PoseRequest, pose_body
from training.synthetic_or.people.props import held, stool_under
from training.synthetic_or.people.staffing import AS_USUAL, Staffing
from training.synthetic_or.rooms.furniture import operating_table
from training.synthetic_or.shapes.drapes import drape_over, screen_drape
from training.synthetic_or.shapes.meshes import Mesh, turned

_AT_TABLE = {"reach": 0.42, "lean": 0.2, "bend": 0.12, "hands_folded": 0.13, "stand": 0.08, "arm_up": 0.05}
_ELSEWHERE = {
    "stand": 0.24, "hands_folded": 0.22, "arms_crossed": 0.06, "walk": 0.17, "reach": 0.1, "sit": 0.1, "arm_up": 0.04,
    "bend": 0.04, "crouch": 0.03,
}  # fmt: skip
_EVERYDAY = {
    "stand": 0.2, "walk": 0.22, "sit": 0.14, "hands_folded": 0.06, "arms_crossed": 0.07, "phone": 0.08, "carry": 0.07,
    "arm_up": 0.06, "reach": 0.03, "bend": 0.04, "crouch": 0.03,
}  # fmt: skip
#: How often hands hold something.
_HOLDING = {"reach": 0.4, "bend": 0.3, "stand": 0.1, "walk": 0.15, "phone": 1.0, "carry": 1.0, "hands_folded": 0.05}
_BESIDE_M = (0.4, 0.55)  # between people shoulder to shoulder


@dataclass(frozen=True)
class Person:
    """One person of a scene: `instance` counts from 1, `body` is in the room frame, `request` is what it should do.

    `dressed` are all meshes, `hanging` the one of them that hangs around the legs, if any.
    """

    instance: int
    body: PosedBody
    role: str
    shape: int
    request: PoseRequest
    outfit: Outfit
    dressed: list[Mesh]
    hanging: Mesh | None = None


class Floor:
    """Keeps people and furniture apart: circles on the floor, metres."""

    def __init__(self) -> None:
        self._circles: list[tuple[float, float, float]] = []

    def free(self, x: float, y: float, radius: float) -> bool:
        return all(np.hypot(x - cx, y - cy) > radius + r for cx, cy, r in self._circles)

    def take(self, x: float, y: float, radius: float) -> None:
        self._circles.append((x, y, radius))

    def without(self, x: float, y: float) -> Floor:
        """The same floor without the circles around (x, y): what somebody who stands there has to avoid."""
        rest = Floor()
        rest._circles = [circle for circle in self._circles if np.hypot(x - circle[0], y - circle[1]) > circle[2]]
        return rest


@dataclass(frozen=True)
class TableFrame:
    """The operating table: `centre (3,)` of its top in the room (m), turned by `heading` degrees about z."""

    centre: NDArray
    heading: float

    @property
    def foot(self) -> tuple[float, float, float]:
        return float(self.centre[0]), float(self.centre[1]), 0.0

    @property
    def height(self) -> float:
        return float(self.centre[2])

    def to_room(self, x: float, y: float) -> tuple[float, float]:
        c, s = np.cos(np.radians(self.heading)), np.sin(np.radians(self.heading))
        return self.centre[0] + c * x - s * y, self.centre[1] + s * x + c * y

    def from_room(self, points: NDArray) -> NDArray:
        """`(N, 3)` room points in the table's frame: x along it, y across, z still the height above the floor."""
        c, s = np.cos(np.radians(-self.heading)), np.sin(np.radians(-self.heading))
        return (points - self.foot) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def operation(
    bank: BodyBank, table: TableFrame, floor: Floor, room: NDArray, rng: np.random.Generator,
    staffing: Staffing = AS_USUAL,
) -> tuple[list[Person], list[Mesh]]:  # fmt: skip
    """The table with a patient or without, drapes, and the staff: half of it at the table."""
    meshes = turned(operating_table(rng, table.height), table.heading, table.foot)
    for x in (-0.7, 0.0, 0.7):
        floor.take(*table.to_room(x, 0.0), 0.33)
    people: list[Person] = []
    if staffing.sample_patient(rng):
        patient = _patient(bank, table, rng)
        people.append(patient)
        if rng.random() < 0.88:
            meshes += _patient_drape(patient, table, rng, staffing)
    elif rng.random() < 0.4:
        bounds = (rng.uniform(-1.0, -0.6), rng.uniform(0.5, 1.0), -0.3, 0.3)
        colour = staffing.sample_drape(rng) if staffing.drapes else None  # drawn with the folds: seeds keep their rooms
        hang = None
        if staffing.drape_hang is not None:
            sides = staffing.sample_hang(rng, staffing.drape_hang)
            hang = (0.4, 0.4, sides, sides)
        drape = drape_over(np.zeros((0, 3)), bounds, table.height + 0.02, rng, hang, colour)
        meshes += turned(drape, table.heading, table.foot)
    people += _staff(bank, table, floor, room, rng, len(people) + 1, staffing)
    return people, meshes + _seats(people, rng)


def _staff(
    bank: BodyBank, table: TableFrame, floor: Floor, room: NDArray, rng: np.random.Generator, first: int,
    staffing: Staffing,
) -> list[Person]:  # fmt: skip
    staff: list[Person] = []
    team: Outfit | None = None
    places: list[tuple[float, float]] = []
    for _ in range(staffing.sample_number(rng)):
        at_table = staffing.sample_at_table(rng)
        request = _at_table(table, floor, places, rng) if at_table else _somewhere(floor, room, _ELSEWHERE, rng)
        if request is None:
            continue
        roles = ["surgeon", "assistant", "nurse"] if at_table else ["nurse", "anaesthetist", "visitor"]
        role = str(rng.choice(roles))
        outfit = staffing.sample_outfit(role, rng, team)
        team = team or outfit
        staff.append(_person(bank, request, outfit, role, rng, first + len(staff)))
    return staff


def _seats(people: list[Person], rng: np.random.Generator) -> list[Mesh]:
    return [mesh for person in people if person.request.kind == "sit" for mesh in stool_under(person.body, rng)]


def everyday(bank: BodyBank, floor: Floor, room: NDArray, rng: np.random.Generator) -> tuple[list[Person], list[Mesh]]:
    """People in street clothes, anywhere in the room, and what they sit on."""
    people: list[Person] = []
    for _ in range(int(rng.integers(1, 7))):
        request = _somewhere(floor, room, _EVERYDAY, rng)
        if request is not None:
            people.append(_person(bank, request, sample_outfit("street", rng), "visitor", rng, len(people) + 1))
    return people, _seats(people, rng)


def _person(
    bank: BodyBank, request: PoseRequest, outfit: Outfit, role: str, rng: np.random.Generator, instance: int
) -> Person:
    shape = int(rng.integers(bank.num_shapes))
    return clothed(bank, shape, pose_body(bank, shape, request, rng), request, outfit, role, instance)


def clothed(
    bank: BodyBank, shape: int, body: PosedBody, request: PoseRequest, outfit: Outfit, role: str, instance: int
) -> Person:
    """A person in a pose, with the meshes of clothes and of what is in the hand."""
    skirt = request.kind not in ("sit", "lie", "crouch")
    meshes = dress(bank, body, outfit, instance, skirt)
    hanging = meshes[-1] if skirt and hangs(outfit) else None
    rng = np.random.default_rng([outfit.fold_phase, 3])  # the same thing at every moment
    if rng.random() < _HOLDING.get(request.kind, 0.0):
        meshes += held(body, "right" if rng.random() < 0.7 else "left", request.kind, outfit.kind == "street", rng)
    return Person(instance, body, role, shape, request, outfit, meshes, hanging)


def _at_table(
    table: TableFrame, floor: Floor, places: list[tuple[float, float]], rng: np.random.Generator
) -> PoseRequest | None:
    """A place at a long side of the table, often shoulder to shoulder with one of `places` (x, side), which grow."""
    for _ in range(8):
        x, side = rng.uniform(-0.85, 0.85), rng.choice([-1.0, 1.0])
        if places and rng.random() < 0.65:
            x, side = places[rng.integers(len(places))]
            x += rng.choice([-1.0, 1.0]) * rng.uniform(*_BESIDE_M)
        px, py = table.to_room(x, side * rng.uniform(0.44, 0.66))
        if abs(x) > 1.1 or not floor.free(px, py, 0.1):
            continue
        floor.take(px, py, 0.16)
        places.append((float(x), float(side)))
        facing = table.heading + (180.0 if side < 0 else 0.0) + rng.normal(0, 15)
        kind = str(rng.choice(list(_AT_TABLE), p=list(_AT_TABLE.values())))
        hands = []
        over = (0.02, 0.1) if kind == "lean" else (0.08, 0.35)
        for sign in (-1, 1) if side > 0 else (1, -1):
            place = table.to_room(x + sign * rng.uniform(-0.05, 0.25), side * rng.uniform(-0.1, 0.2))
            hands.append((*place, table.height + rng.uniform(*over)))
        step = rng.choice([0.0, 0.0, 0.12])
        reaches = kind in ("reach", "bend", "lean")
        return PoseRequest(kind, np.array([px, py, step]), facing, np.array(hands) if reaches else None)
    return None


def _somewhere(floor: Floor, room: NDArray, kinds: dict[str, float], rng: np.random.Generator) -> PoseRequest | None:
    for _ in range(12):
        x, y = rng.uniform(-0.42, 0.42, 2) * room[:2]
        if not floor.free(x, y, 0.2):
            continue
        floor.take(x, y, 0.22)
        weights = np.array(list(kinds.values()))
        kind = str(rng.choice(list(kinds), p=weights / weights.sum()))
        return PoseRequest(kind, np.array([x, y, 0.0]), rng.uniform(0, 360))
    return None


def _patient(bank: BodyBank, table: TableFrame, rng: np.random.Generator) -> Person:
    """A patient on the back along the table."""
    # Lying turns the head towards the person's own back direction; 90 degrees lays it along the table's x axis.
    place = np.array([*table.to_room(rng.uniform(-0.15, 0.15), 0.0), table.height])
    request = PoseRequest("lie", place, table.heading + 90.0 * rng.choice([-1, 1]))
    return _person(bank, request, sample_outfit("patient", rng), "patient", rng, 1)


def _patient_drape(patient: Person, table: TableFrame, rng: np.random.Generator, staffing: Staffing) -> list[Mesh]:
    """A sheet from the chest or below to the feet or above, sometimes over the head as well; in some rooms another
    one held up before the face."""
    body = table.from_room(np.concatenate([mesh.vertices for mesh in patient.dressed]))
    head_x = float(table.from_room(patient.body.coco[:1])[0, 0])
    feet_x = float(body[:, 0].min() if head_x > 0 else body[:, 0].max())
    to_feet = float(np.sign(feet_x - head_x))
    over_head, over_feet = rng.random() < 0.2, rng.random() < 0.65
    upper = head_x + to_feet * (-0.2 if over_head else rng.uniform(0.22, 0.55))
    lower = feet_x + to_feet * (rng.uniform(0.03, 0.15) if over_feet else -rng.uniform(0.3, 0.75))
    sides = staffing.sample_hang(rng, usual=(0.2, 0.7))
    ends = (rng.uniform(0.1, 0.5) if over_head else 0.0, rng.uniform(0.1, 0.6) if over_feet else 0.0)
    half, colour = rng.uniform(0.31, 0.36), staffing.sample_drape(rng)
    low, high = (upper, lower) if upper < lower else (lower, upper)
    bounds, hang = (low, high, -half, half), (*(ends if upper < lower else ends[::-1]), sides, sides)
    drapes = drape_over(body, bounds, table.height + 0.01, rng, hang, colour)
    if not over_head and rng.random() < 0.35:
        top = table.height + rng.uniform(0.5, 0.8)
        drapes += screen_drape(upper, rng.uniform(0.8, 1.2), table.height + 0.15, top, colour, rng)
    return turned(drapes, table.heading, table.foot)
