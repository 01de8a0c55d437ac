"""Furniture of operating rooms. Each function makes one thing standing around the origin, its front towards -y."""

from __future__ import annotations

import numpy as np

from training.synthetic_or.rooms.clutter import STEEL, scatter
from training.synthetic_or.rooms.walls import cables
from training.synthetic_or.shapes.drapes import drape_colour, drape_material, drape_over
from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import CLOTH, METAL, PLASTIC, Rng, grey, painted, vivid
from training.synthetic_or.shapes.meshes import Material, Mesh, lathe, linear
from training.synthetic_or.shapes.textures import Textures

_WHITE = linear(1, 1, 1)


def operating_table(rng: Rng, height: float) -> list[Mesh]:
    """A table of about 2.0 x 0.55 m along x with its surface at `height` (m), white or dark, on a pedestal."""
    kit = Kit()
    white = rng.random() < 0.6
    colour = grey(rng, 0.85, 1.0) if white else grey(rng, 0.05, 0.25)
    length, width = rng.uniform(1.9, 2.3), rng.uniform(0.5, 0.68)
    cushion = Material(noise=0.03, folds=0.06, gloss=0.25)
    for x, share in ((-0.36, 0.27), (0.02, 0.47), (0.395, 0.26)) if rng.random() < 0.6 else ((0.0, 1.0),):
        kit.box((length * share, width, 0.09), (x * length, 0, height - 0.09), colour, cushion, bevel=0.03)
    kit.box((length * 0.97, width * 0.9, 0.05), (0, 0, height - 0.14), grey(rng, 0.3, 0.8), METAL)
    if rng.random() < 0.6:  # rails and seams, seen lengthwise
        for y in (-width / 2 - 0.03, width / 2 + 0.03):
            kit.box((length * 0.9, 0.02, 0.04), (0, y, height - 0.12), grey(rng, 0.5, 0.9), STEEL)
        strap = grey(rng, 0.05, 0.3) if white else grey(rng, 0.3, 0.8)
        kit.box((length, 0.03, 0.006), (0, rng.uniform(-0.1, 0.1), height), strap)
    if white and rng.random() < 0.5:  # a sheet and a pillow
        kit.box((length * 0.9, width + 0.04, 0.02), (0, 0, height - 0.005), grey(rng, 0.9, 1.0), CLOTH, bevel=0.01)
        side = rng.choice([-1, 1]) * (length / 2 - 0.25)
        kit.sack((0.35, width * 0.8, 0.1), (side, 0, height), grey(rng, 0.85, 1.0), CLOTH)
    foot = grey(rng, 0.5, 0.95)
    kit.box((0.42, 0.34, height - 0.12), (0, 0, 0), foot, METAL, bevel=0.03)
    kit.box((1.0, 0.5, 0.16), (0, 0, 0), foot * rng.uniform(0.5, 1.0), METAL, bevel=0.03)
    return kit.meshes()


def instrument_table(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A side table, draped or bare steel, with instruments, bowls and packs."""
    kit = Kit()
    size, height = (rng.uniform(0.6, 1.4), rng.uniform(0.4, 0.65)), rng.uniform(0.75, 1.0)
    draped = rng.random() < 0.6
    if draped:
        half = (-size[0] / 2, size[0] / 2, -size[1] / 2, size[1] / 2)
        kit.put(drape_over(np.zeros((0, 3)), half, height - 0.015, rng))
    else:
        kit.box((*size, 0.03), (0, 0, height - 0.03), grey(rng, 0.5, 0.9), STEEL, bevel=0.01)
        kit.box((size[0] * 0.95, size[1] * 0.9, 0.02), (0, 0, 0.25), grey(rng, 0.5, 0.9), STEEL)
        _legs(kit, size, height, grey(rng, 0.5, 0.9))
    scatter(kit, rng, textures, size, height, int(rng.integers(2, 13)), sterile=draped or rng.random() < 0.4)
    return kit.meshes()


def _legs(kit: Kit, size: tuple[float, float], height: float, colour: np.ndarray) -> None:
    for x in (-0.46, 0.46):
        for y in (-0.44, 0.44):
            place = (x * size[0], y * size[1])
            kit.rod((*place, 0.05), (*place, height), 0.014, colour)
            kit.sack((0.06, 0.06, 0.07), (*place, 0.0), colour * 0.15)


def cart(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A drawer cart or a tower of devices on shelves, often with a screen and cables."""
    kit = Kit()
    width, depth, height = rng.uniform(0.42, 0.7), rng.uniform(0.4, 0.6), rng.uniform(0.8, 1.35)
    shell = grey(rng, 0.75, 1.0, 0.03) if rng.random() < 0.7 else vivid(rng)
    for x in (-0.4, 0.4):
        for y in (-0.4, 0.4):
            kit.sack((0.08, 0.08, 0.1), (x * width, y * depth, 0.0), grey(rng, 0.02, 0.2))
    if rng.random() < 0.55:
        height = min(height, 1.05)
        kit.box((width, depth, height - 0.1), (0, 0, 0.1), shell, PLASTIC, bevel=0.02)
        front = painted("drawers" if rng.random() < 0.7 else "fronts", textures, rng)
        kit.plate(width - 0.04, height - 0.16, (0, -depth / 2 - 0.003, 0.13), _WHITE, front)
        kit.rod(
            (width / 2 + 0.05, -0.15, height - 0.1), (width / 2 + 0.05, 0.15, height - 0.1), 0.012, grey(rng, 0.5, 0.8)
        )
    else:
        for x in (-0.47, 0.47):
            for y in (-0.45, 0.45):
                kit.box((0.04, 0.04, height - 0.05), (x * width, y * depth, 0.05), shell)
        for z in np.linspace(0.12, height - 0.05, int(rng.integers(3, 6))):
            kit.box((width, depth, 0.025), (0, 0, z), shell)
            if rng.random() < 0.85:
                size = (width * rng.uniform(0.6, 0.9), depth * 0.8, rng.uniform(0.08, 0.2))
                kit.box(size, (0, 0, z + 0.025), grey(rng, 0.1, 0.95), painted("device", textures, rng), bevel=0.01)
        cables(kit, rng, (0.0, -depth / 2, height * 0.7), width, int(rng.integers(1, 8)))
        cables(kit, rng, (0.0, depth / 2 + 0.1, height * 0.7), width, int(rng.integers(2, 8)))
    scatter(kit, rng, textures, (width, depth), height, int(rng.integers(0, 6)))
    if rng.random() < 0.45:
        _screen_on_stand(kit, rng, textures, height, depth)
    return kit.meshes()


def _screen_on_stand(kit: Kit, rng: Rng, textures: Textures, height: float, depth: float) -> None:
    wide = rng.uniform(0.32, 0.55)
    heading, z = rng.uniform(-35, 35), height + rng.uniform(0.08, 0.3)
    kit.rod((0, depth * 0.2, height), (0, depth * 0.2, z + 0.1), 0.02, grey(rng, 0.3, 0.9))
    picture = painted("screen" if rng.random() < 0.8 else "xray", textures, rng, 0.3, float(rng.uniform(0.0, 1.5)))
    monitor = Kit()
    monitor.box((wide, 0.05, wide * 0.7), (0, 0, 0), grey(rng, 0.03, 0.9), PLASTIC, bevel=0.012)
    monitor.plate(wide - 0.04, wide * 0.7 - 0.05, (0, -0.027, 0.03), _WHITE, picture)
    kit.put(monitor.meshes(), heading, (0, depth * 0.2 - 0.03, z))


def rack(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """An open wire rack: shelves of devices, cartons and packs, dozens of cables hanging out."""
    kit = Kit()
    width, depth, height = rng.uniform(0.7, 1.4), rng.uniform(0.35, 0.5), rng.uniform(1.4, 2.1)
    steel = grey(rng, 0.4, 0.95)
    for x in (-0.5, 0.5):
        for y in (-0.5, 0.5):
            kit.rod((x * width, y * depth, 0), (x * width, y * depth, height), 0.014, steel)
    for z in np.linspace(0.12, height - 0.02, int(rng.integers(3, 6))):
        kit.box((width, depth, 0.02), (0, 0, z), steel, METAL)
        scatter(kit, rng, textures, (width * 0.9, depth * 0.8), z + 0.02, int(rng.integers(2, 7)))
    for _ in range(rng.integers(1, 4)):
        cables(kit, rng, (0.0, -depth / 2, rng.uniform(0.6, height)), width, int(rng.integers(2, 12)))
    return kit.meshes()


def device_rack(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """Poles beside one another with pumps, monitors, leads and coiled cables clamped to them."""
    kit = Kit()
    width = rng.uniform(0.7, 1.3)
    steel = grey(rng, 0.5, 0.95)
    for x in np.linspace(-0.5, 0.5, int(rng.integers(2, 5))) * width:
        height = rng.uniform(1.3, 1.9)
        kit.rod((x, 0, 0.05), (x, 0, height), 0.016, steel)
        kit.box((0.07, 0.55, 0.06), (x, 0, 0.03), steel, METAL)
        for z in np.arange(rng.uniform(0.5, 0.9), height - 0.15, rng.uniform(0.18, 0.35)):
            size = rng.uniform((0.12, 0.1, 0.1), (0.3, 0.2, 0.26))
            colour = grey(rng, 0.75, 1.0) if rng.random() < 0.7 else grey(rng, 0.02, 0.4)
            shell = painted("device", textures, rng)
            kit.box(size, (x, -size[1] / 2, z), colour, shell, rng.normal(0, 15), bevel=0.012)
        cables(kit, rng, (x, -0.15, height * 0.7), 0.3, int(rng.integers(3, 12)))
    return kit.meshes()


def cabinet(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A sideboard with things on it, or a tall cupboard, often with glass doors."""
    kit = Kit()
    width = rng.uniform(0.9, 2.0)
    tall = rng.random() < 0.45
    height = rng.uniform(1.7, 2.1) if tall else rng.uniform(0.8, 1.0)
    colour = grey(rng, 0.7, 1.0, 0.03) if rng.random() < 0.85 else vivid(rng)
    kit.box((width, 0.48, height), (0, 0, 0), colour, PLASTIC)
    doors, share = ("glass_cabinet", 0.65) if tall else ("drawers", 0.25)
    kind = doors if rng.random() < share else "fronts"
    front = painted(kind, textures, rng, gloss=0.35 if kind == "glass_cabinet" else 0.15)
    for i in range(count := max(1, round(width / 0.9))):
        place = ((i + 0.5) / count * width - width / 2, -0.243, 0.06)
        kit.plate(width / count - 0.01, height - 0.08, place, colour**0.3 if kind != "glass_cabinet" else _WHITE, front)
    if not tall:
        kit.box(
            (width + 0.03, 0.52, 0.035), (0, 0, height), grey(rng, 0.3, 0.95), STEEL if rng.random() < 0.3 else PLASTIC
        )
    scatter(kit, rng, textures, (width, 0.42), height + 0.035 * (not tall), int(rng.integers(1, 5 if tall else 14)))
    return kit.meshes()


def bin_or_bucket(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A bin, round or square, with a bag over its rim, or a sack in a stand."""
    kit = Kit()
    height, top = rng.uniform(0.35, 0.8), rng.uniform(0.16, 0.26)
    kind = rng.random()
    colour = linear(0.85, 0.75, 0.2) if kind < 0.4 else grey(rng, 0.3, 0.95) if kind < 0.8 else vivid(rng)
    bag = colour * rng.uniform(0.6, 1.2) if rng.random() < 0.3 else grey(rng, 0.03, 1.0)
    foil = Material(noise=0.1, folds=0.45, gloss=0.3)
    if rng.random() < 0.25:
        kit.box((top * 2, top * 1.7, height * 0.88), (0, 0, 0), colour, PLASTIC, bevel=0.03)
        kit.box(
            (top * 2.1, top * 1.8, 0.07), (0, 0, height * 0.88), colour * rng.uniform(0.4, 1.0), PLASTIC, bevel=0.02
        )
        return kit.meshes()
    if rng.random() < 0.3:  # a sack in a ring on legs
        kit.sack((top * 1.9, top * 1.9, height), (0, 0, 0.08), bag, foil, lumps=0.05, phase=rng.uniform(0, 6))
        for angle in (0.5, 2.6, 4.7):
            foot = np.array([np.cos(angle), np.sin(angle)]) * top * 1.1
            kit.rod((*foot, 0), (*foot, height), 0.01, grey(rng, 0.5, 0.9))
        return kit.meshes()
    sides = np.array([
        (0, 0), (top * 0.8, 0), (top, height), (top * 1.05, height), (top * 0.9, height * 0.98),
        (top * 0.8, height * 0.85), (0, height * rng.uniform(0.5, 0.9)),
    ])  # fmt: skip
    kit.put([lathe(sides, colour, PLASTIC, segments=18)])
    rim = np.array([(top * 1.06, height * 0.8), (top * 1.08, height), (top * 0.9, height * 1.01)])
    kit.put([lathe(rim, bag, foil, segments=18)])
    return kit.meshes()


def stool(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A round stool on a disc or a star of castors."""
    kit = Kit()
    height, steel = rng.uniform(0.45, 0.7), grey(rng, 0.4, 0.8)
    seat = grey(rng, 0.03, 0.3) if rng.random() < 0.7 else vivid(rng)
    kit.cylinder(rng.uniform(0.16, 0.2), 0.07, (0, 0, height), seat, PLASTIC)
    kit.cylinder(0.025, height, (0, 0, 0), steel, STEEL)
    star_base(kit, rng, steel)
    return kit.meshes()


def star_base(kit: Kit, rng: Rng, colour: np.ndarray) -> None:
    """Five feet on castors, or a disc."""
    if rng.random() < 0.25:
        kit.cylinder(0.24, 0.05, (0, 0, 0), colour, STEEL, top=0.8)
        return
    for angle in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
        tip = np.array([np.cos(angle), np.sin(angle)]) * 0.28
        kit.rod((0, 0, 0.12), (*tip, 0.07), 0.02, colour, METAL, sides=4)
        kit.sack((0.06, 0.06, 0.06), (*tip, 0.0), grey(rng, 0.02, 0.1))


def pole(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A drip stand with bags, pumps, sometimes a cloth or a gown thrown over it."""
    kit = Kit()
    height, steel = rng.uniform(1.4, 2.1), grey(rng, 0.5, 0.9)
    kit.cylinder(0.013, height, (0, 0, 0), steel, STEEL)
    star_base(kit, rng, steel)
    kit.rod((-0.15, 0, height), (0.15, 0, height), 0.006, steel)
    bag = Material(noise=0.05, gloss=0.5, alpha=0.75)
    for x in (-0.14, 0.14):
        if rng.random() < 0.7:
            colour = linear(0.55, 0.05, 0.05) if rng.random() < 0.12 else grey(rng, 0.75, 1.0)
            kit.sack((0.12, 0.05, rng.uniform(0.18, 0.28)), (x, 0, height - 0.3), colour, bag)
            drop = np.linspace(0, 1, 12)
            tube = np.stack([x * (1 - drop), -0.25 * drop, height - 0.3 - drop * (height - 0.9)], 1)
            kit.cable(tube + 0.05 * np.sin(drop * 6)[:, None], 0.003, grey(rng, 0.8, 1.0))
    for z in np.arange(0.9, height - 0.5, 0.22)[: rng.integers(0, 4)]:
        kit.box((0.24, 0.16, 0.14), (0, -0.08, z), grey(rng, 0.8, 1.0), painted("device", textures, rng), bevel=0.012)
    if rng.random() < 0.2:
        angle, t = np.linspace(0, 2 * np.pi, 20, endpoint=False), np.linspace(0, 1, 9)[:, None]
        radius = (0.03 + 0.22 * t**0.6) * (1 + 0.2 * t * np.sin(5 * angle + 1))
        z = np.broadcast_to(height + 0.02 - t * rng.uniform(0.5, 1.1), radius.shape)
        grid = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], -1)
        kit.sheet(grid, drape_colour(rng), drape_material(rng), closed=True)
    return kit.meshes()


def folding_screen(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """One to three upright panels on feet, blue, teal or white, in a light frame."""
    kit = Kit()
    height, width = rng.uniform(1.6, 2.0), rng.uniform(0.5, 0.95)
    palette = (
        (0.12, 0.22, 0.6),
        (0.1, 0.25, 0.65),
        (0.2, 0.5, 0.55),
        (0.9, 0.9, 0.88),
        (0.55, 0.7, 0.85),
        (0.75, 0.7, 0.6),
    )
    colour = linear(*(np.array(palette[rng.integers(6)]) + rng.normal(0, 0.03, 3)))
    frame = grey(rng, 0.5, 0.95)
    cloth = Material(noise=0.05, folds=float(rng.choice([0.0, 0.15])), gloss=0.1)
    count = int(rng.choice([1, 1, 2, 3]))
    for i in range(count):
        leaf = Kit()
        leaf.box((width, 0.03, height), (0, 0, 0.06), frame, METAL)
        leaf.box((width - 0.06, 0.034, height - 0.06), (0, 0, 0.09), colour, cloth)
        for x in (-0.4, 0.4):
            leaf.box((0.04, 0.4, 0.05), (x * width, 0, 0.0), frame, METAL)
        kit.put(leaf.meshes(), rng.uniform(-25, 25), ((i - (count - 1) / 2) * width * 0.97, 0, 0))
    return kit.meshes()


def lead_shield(rng: Rng, textures: Textures, ceiling: float) -> list[Mesh]:
    """A mobile shield: a pane of lead glass over an opaque lower half, on castors."""
    kit = Kit()
    width, height, sill = rng.uniform(0.6, 0.9), rng.uniform(1.7, 2.0), rng.choice([0.25, rng.uniform(0.8, 1.1)])
    frame = grey(rng, 0.5, 0.95)
    for x in (-0.5, 0.5):
        kit.box((0.04, 0.05, height), (x * width, 0, 0), frame, METAL)
        kit.box((0.06, 0.6, 0.06), (x * width, 0, 0.0), frame, METAL)
    kit.box((width, 0.04, 0.04), (0, 0, height), frame, METAL)
    kit.box((width, 0.04, sill - 0.1), (0, 0, 0.1), grey(rng, 0.4, 0.95))
    glass = Material(noise=0.0, gloss=0.6, alpha=float(rng.uniform(0.12, 0.3)))
    kit.box((width, 0.015, height - sill), (0, 0, sill), linear(0.8, 0.85, 0.7), glass)
    return kit.meshes()
