"""Wheeled medical devices and transport: each function makes one standing around the origin, its front towards -y."""

from __future__ import annotations

import numpy as np

from training.synthetic_or.rooms.clutter import STEEL, scatter
from training.synthetic_or.rooms.walls import cables
from training.synthetic_or.shapes.drapes import drape_over
from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import CLOTH, METAL, PLASTIC, Rng, grey, painted, vivid
from training.synthetic_or.shapes.meshes import Material, Mesh, linear
from training.synthetic_or.shapes.textures import Textures

_WHITE = linear(1, 1, 1)
#: Clear foil over microscopes and C-arms.
_FOIL = Material(noise=0.02, folds=0.5, gloss=0.6, alpha=0.35)


def _screen(
    kit: Kit, rng: Rng, textures: Textures, width: float, place: tuple[float, float, float], heading: float
) -> None:
    monitor = Kit()
    monitor.box((width, 0.05, width * 0.72), (0, 0, 0), grey(rng, 0.03, 0.9), PLASTIC, bevel=0.012)
    kind = "screen" if rng.random() < 0.75 else "xray"
    picture = painted(kind, textures, rng, 0.3, float(rng.uniform(0.0, 1.5)))
    monitor.plate(width - 0.04, width * 0.72 - 0.05, (0, -0.027, 0.03), _WHITE, picture)
    kit.put(monitor.meshes(), heading, place)


def _castors(kit: Kit, rng: Rng, width: float, depth: float) -> None:
    for x in (-0.45, 0.45):
        for y in (-0.45, 0.45):
            kit.sack((0.07, 0.1, 0.12), (x * width, y * depth, 0.0), grey(rng, 0.02, 0.25))


def anaesthesia_machine(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A drawer body with a work top, bellows, two screens, gas bottles behind and pale corrugated hoses."""
    kit = Kit()
    width, depth, top = rng.uniform(0.7, 0.95), rng.uniform(0.55, 0.7), rng.uniform(0.8, 0.9)
    shell = grey(rng, 0.75, 0.98, 0.03)
    _castors(kit, rng, width, depth)
    kit.box((width * 0.7, depth, top - 0.12), (width * 0.12, 0, 0.1), shell, PLASTIC, bevel=0.025)
    kit.plate(
        width * 0.6, top - 0.25, (width * 0.12, -depth / 2 - 0.003, 0.15), _WHITE, painted("drawers", textures, rng)
    )
    kit.box((width, depth * 1.05, 0.04), (0, 0, top - 0.04), grey(rng, 0.4, 0.95), PLASTIC, bevel=0.012)
    kit.box(
        (width * 0.9, depth * 0.45, 0.55), (0, depth * 0.25, top), shell, painted("device", textures, rng), bevel=0.02
    )
    kit.cylinder(0.08, 0.25, (-width * 0.35, -depth * 0.2, top), grey(rng, 0.05, 0.4), Material(gloss=0.5, alpha=0.8))
    for z in np.linspace(0.02, 0.2, 7):
        kit.cylinder(0.075, 0.014, (-width * 0.35, -depth * 0.2, top + z), grey(rng, 0.02, 0.15))
    for x in (-0.3, 0.3):
        place = (x * width, depth * 0.1, top + rng.uniform(0.45, 0.6))
        _screen(kit, rng, textures, rng.uniform(0.32, 0.42), place, rng.uniform(-25, 25))
    for x, colour in ((-0.2, linear(0.9, 0.9, 0.9)), (0.0, grey(rng, 0.1, 0.6)), (0.2, linear(0.2, 0.35, 0.6))):
        kit.cylinder(0.07, 0.8, (x, depth / 2 + 0.1, 0.15), colour, METAL)
    t = np.linspace(0, 1, 22)
    for side in (-0.04, 0.06):  # breathing hoses
        reach = rng.uniform(0.3, 0.8)
        path = np.stack(
            [
                -width * 0.45 - 0.15 * np.sin(np.pi * t) + side,
                -depth * 0.4 - reach * t,
                top + 0.1 - 0.35 * np.sin(np.pi * t),
            ],
            1,
        )
        kit.cable(path, 0.018, grey(rng, 0.75, 0.98) if rng.random() < 0.7 else linear(0.5, 0.7, 0.9), sides=6)
    kit.sack(
        (0.16, 0.12, 0.28),
        (-width * 0.5, -depth * 0.4, top - 0.3),
        linear(0.15, 0.35, 0.3) if rng.random() < 0.5 else grey(rng, 0.03, 0.1),
    )
    cables(kit, rng, (0.0, -depth / 2, top + 0.4), width, int(rng.integers(3, 10)))
    scatter(kit, rng, textures, (width, depth * 0.5), top, int(rng.integers(1, 5)))
    return kit.meshes()


def ultrasound(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A slim white cart with a keyboard at waist height, a screen on an arm and probes on cables."""
    kit = Kit()
    shell = grey(rng, 0.7, 0.97)
    _castors(kit, rng, 0.5, 0.6)
    kit.box((0.45, 0.6, 0.18), (0, 0, 0.1), shell, PLASTIC, bevel=0.04)
    kit.box((0.36, 0.4, 0.55), (0, 0.08, 0.28), shell * 0.9, painted("device", textures, rng), bevel=0.03)
    kit.box((0.48, 0.42, 0.07), (0, -0.12, 0.85), grey(rng, 0.4, 0.95), PLASTIC, bevel=0.02)
    kit.box((0.42, 0.3, 0.004), (0, -0.14, 0.92), _WHITE, painted("keys", textures, rng))
    kit.rod((0, 0.1, 0.9), (0, 0.1, 1.1), 0.03, grey(rng, 0.3, 0.8))
    _screen(kit, rng, textures, rng.uniform(0.34, 0.46), (0, 0.05, 1.05), rng.uniform(-25, 25))
    cables(kit, rng, (0.25, -0.1, 0.85), 0.1, int(rng.integers(2, 6)))
    return kit.meshes()


def microscope(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A floor microscope: a tall column, an arm reaching forward, the head often in a clear drape."""
    kit = Kit()
    shell = grey(rng, 0.75, 1.0, 0.02)
    height, reach = rng.uniform(1.6, 1.95), rng.uniform(0.6, 1.1)
    kit.box((0.7, 0.7, 0.14), (0, 0.1, 0.04), shell * 0.9, PLASTIC, bevel=0.04)
    _castors(kit, rng, 0.75, 0.75)
    kit.box((0.35, 0.35, 0.75), (0, 0.15, 0.15), shell, painted("device", textures, rng), bevel=0.03)
    kit.cylinder(0.1, height - 0.2, (0, 0.15, 0.2), shell, PLASTIC, top=0.8)
    drop = rng.uniform(0.1, 0.5)
    arm = np.array(
        [(0, 0.15, height), (0, -0.3 * reach, height + 0.1), (0, -reach, height - 0.05), (0, -reach, height - drop)]
    )
    kit.cable(arm, 0.075, shell, PLASTIC, sides=8)
    kit.sack((0.26, 0.32, 0.34), (0, -reach, height - drop - 0.25), shell, PLASTIC)
    for x in (-0.07, 0.07):
        kit.rod(
            (x, -reach - 0.1, height - drop),
            (x, -reach - 0.3, height - drop + 0.1),
            0.025,
            grey(rng, 0.03, 0.2),
            PLASTIC,
        )
    if rng.random() < 0.6:
        angle, t = np.linspace(0, 2 * np.pi, 20, endpoint=False), np.linspace(0, 1, 9)[:, None]
        radius = np.interp(t, [0, 0.3, 1], [0.1, 0.2, 0.25]) * (1 + 0.15 * np.sin(4 * angle + 3 * t))
        z = np.broadcast_to(height + 0.1 - t * (drop + 0.6), radius.shape)
        kit.sheet(np.stack([radius * np.cos(angle), radius * np.sin(angle) - reach, z], -1), _WHITE, _FOIL, closed=True)
    cables(kit, rng, (0.0, -0.1, height), 0.4, int(rng.integers(1, 4)))
    return kit.meshes()


def stretcher(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A bed on wheels along x with rails, a mattress, blankets and pillows in a heap; nobody in it."""
    kit = Kit()
    length, width, height = rng.uniform(1.9, 2.1), rng.uniform(0.65, 0.9), rng.uniform(0.55, 0.85)
    frame, linen = grey(rng, 0.5, 0.9), grey(rng, 0.85, 1.0)
    _castors(kit, rng, length * 0.85, width)
    kit.box((length, width * 0.9, 0.08), (0, 0, height - 0.2), frame, METAL)
    kit.box((length * 0.5, width * 0.4, height - 0.25), (0, 0, 0.08), frame * 0.6, METAL)
    kit.box((length * 0.97, width * 0.93, 0.13), (0, 0, height - 0.12), linen, CLOTH, bevel=0.04)
    for side in (-0.5, 0.5):
        for z in (0.1, 0.22, 0.34):
            kit.rod(
                (-length * 0.3, side * width, height + z - 0.1),
                (length * 0.25, side * width, height + z - 0.1),
                0.014,
                frame,
            )
        kit.box((0.04, width, 0.45), (side * length, 0, height - 0.1), grey(rng, 0.4, 0.95), PLASTIC, bevel=0.015)
    if rng.random() < 0.7:
        kit.sack((0.4, width * 0.75, 0.16), (-length * 0.38, 0, height), linen, CLOTH, 0.0, 0.05)
    kind = rng.random()
    if kind < 0.35:  # a blanket over a heap, as long as somebody lying
        body = rng.uniform((-0.6, -0.15, 0.0), (0.9, 0.15, 1.0), (120, 3))
        body[:, 2] = height + rng.uniform(0.05, 0.2) * body[:, 2]
        bounds = (-rng.uniform(0.3, 0.7), length * 0.45, -width / 2, width / 2)
        kit.put(drape_over(body, bounds, height + 0.02, rng))
    elif kind < 0.75:
        colour = linen if rng.random() < 0.5 else vivid(rng) ** 0.6
        size = rng.uniform((0.5, 0.4, 0.12), (1.1, 0.7, 0.3))
        kit.sack(size, (rng.uniform(-0.2, 0.5), 0, height), colour, Material(noise=0.06, folds=0.8), 0.0, 0.08, 1.0)
    return kit.meshes()


def wheelchair(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    colour, steel = grey(rng, 0.02, 0.2) if rng.random() < 0.7 else vivid(rng), grey(rng, 0.4, 0.8)
    angle = np.linspace(0, 2 * np.pi, 22)
    for x in (-0.29, 0.29):
        for radius in (0.3, 0.26):
            wheel = np.stack([np.full(22, x), 0.1 + radius * np.cos(angle), 0.3 + radius * np.sin(angle)], 1)
            kit.cable(wheel, 0.013, grey(rng, 0.02, 0.3), PLASTIC)
        kit.rod((x * 0.85, 0.25, 0.5), (x * 0.85, 0.3, 0.95), 0.014, steel)
        kit.rod((x * 0.85, -0.25, 0.5), (x * 0.85, -0.4, 0.12), 0.014, steel)
        kit.box((0.05, 0.35, 0.03), (x * 0.85, 0.05, 0.72), grey(rng, 0.02, 0.2))
    kit.box((0.45, 0.45, 0.05), (0, 0, 0.48), colour, CLOTH, bevel=0.02)
    kit.box((0.45, 0.04, 0.42), (0, 0.26, 0.52), colour, CLOTH, bevel=0.015)
    return kit.meshes()


def gas_bottles(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """One to three tall cylinders with shoulders and valves: narrow trunks with small heads."""
    kit = Kit()
    palette = ((0.9, 0.9, 0.9), (0.15, 0.2, 0.25), (0.2, 0.35, 0.6), (0.15, 0.4, 0.25), (0.5, 0.5, 0.5))
    for x in (np.arange(rng.integers(1, 4)) - 1) * 0.27:
        height, radius = rng.uniform(0.8, 1.4), rng.uniform(0.09, 0.12)
        colour = linear(*palette[rng.integers(5)])
        kit.cylinder(radius, height, (x, 0, 0.05), colour, METAL)
        kit.cylinder(radius, 0.14, (x, 0, height + 0.05), linear(*palette[rng.integers(5)]), METAL, top=0.35)
        kit.sack((0.09, 0.09, 0.1), (x, 0, height + 0.18), grey(rng, 0.4, 0.9), METAL)
    return kit.meshes()


def draped_machine(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A tall device under a sheet or clear foil, as wide as somebody with outstretched arms."""
    kit = Kit()
    width, depth, height = rng.uniform(0.4, 0.8), rng.uniform(0.35, 0.6), rng.uniform(1.1, 1.7)
    kit.box(
        (width, depth, height * 0.7), (0, 0, 0.06), grey(rng, 0.4, 0.95), painted("device", textures, rng), bevel=0.02
    )
    kit.sack((width * 0.5, depth * 0.6, height * 0.3), (0, 0, height * 0.68), grey(rng, 0.4, 0.95))
    if rng.random() < 0.4:
        angle, t = np.linspace(0, 2 * np.pi, 24, endpoint=False), np.linspace(0, 1, 8)[:, None]
        swell = np.interp(t, [0, 0.2, 1], [0.2, 0.55, 0.62]) * (1 + 0.06 * np.sin(5 * angle + 4 * t))
        z = np.broadcast_to(height * (1 - 0.8 * t) + 0.02, swell.shape)
        kit.sheet(
            np.stack([swell * width * np.cos(angle), swell * depth * np.sin(angle), z], -1), _WHITE, _FOIL, closed=True
        )
    else:
        corners = rng.uniform((-0.3, -0.25, 0.0), (0.3, 0.25, 1.0), (60, 3)) * (width, depth, 0.0)
        corners[:, 2] = height
        bounds = (-width / 2, width / 2, -depth / 2, depth / 2)
        kit.put(drape_over(corners, bounds, height * 0.75, rng))
    _castors(kit, rng, width, depth)
    return kit.meshes()


def control_console(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A workstation on a column: joystick desk, one or two screens; an image intensifier's or a robot's."""
    kit = Kit()
    shell = grey(rng, 0.6, 0.97, 0.03)
    _castors(kit, rng, 0.7, 0.6)
    kit.box((0.7, 0.55, 0.75), (0, 0.05, 0.1), shell, PLASTIC, bevel=0.05)
    kit.box((0.75, 0.4, 0.05), (0, -0.22, 0.86), grey(rng, 0.1, 0.9), PLASTIC, bevel=0.02)
    kit.box((0.5, 0.18, 0.004), (0, -0.25, 0.912), _WHITE, painted("keys", textures, rng))
    kit.rod((0, 0.15, 0.85), (0, 0.15, 1.3), 0.05, shell, PLASTIC)
    for x in (-0.24, 0.24) if rng.random() < 0.6 else (0.0,):
        _screen(kit, rng, textures, 0.46, (x, 0.1, rng.uniform(1.05, 1.2)), x * -40)
    scatter(kit, rng, textures, (0.7, 0.3), 0.91, int(rng.integers(0, 4)))
    return kit.meshes()


def step_stool(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    kit = Kit()
    kit.box((0.5, 0.3, 0.03), (0, 0, 0.19), grey(rng, 0.4, 0.9), STEEL)
    for x in (-0.22, 0.22):
        for y in (-0.12, 0.12):
            kit.rod((x * 1.1, y * 1.1, 0), (x, y, 0.2), 0.012, grey(rng, 0.4, 0.9))
    return kit.meshes()
