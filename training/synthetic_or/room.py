"""The empty room: floor, walls, ceiling, what hangs on the walls, curtains and cables on the floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.materials import DRAPE_COLOURS, PLASTIC, Rng, grey, painted, vivid
from training.synthetic_or.meshes import Material, Mesh, box, grid_faces, grid_uv, linear, surface, tube, turned
from training.synthetic_or.textures import Textures


def room_shell(rng: Rng, textures: Textures, room: NDArray) -> list[Mesh]:
    """Floor, walls, ceiling of `room (3,)` m, with posters, doors, panels and strips on the walls."""
    width, depth, height = room
    floor_colour = grey(rng, 0.5, 0.85, 0.03) if rng.random() < 0.8 else linear(*rng.uniform(0.25, 0.8, 3))
    wall_colour = grey(rng, 0.6, 1.0, 0.03) if rng.random() < 0.75 else linear(*rng.uniform(0.3, 0.9, 3))
    floor_texture = textures.pick("tiles", rng) if rng.random() < 0.3 else -1
    parts = [
        _plane(
            (width, depth),
            floor_colour,
            Material(texture=floor_texture, noise=0.05, noise_frequency=0.8, gloss=rng.uniform(0.05, 0.5)),
            2.0,
        )
    ]
    ceiling = _plane((width, depth), grey(rng, 0.7, 1.0), Material(noise=0.03), 2.0)
    parts.append(ceiling.moved(np.diag([1.0, -1.0, -1.0]), (0, 0, height)))
    tiled = rng.random() < 0.35
    for i, (length, distance) in enumerate(((width, depth), (depth, width), (width, depth), (depth, width))):
        wall_texture = textures.pick("tiles", rng) if tiled else -1
        material = Material(texture=wall_texture, noise=0.04, noise_frequency=0.7, gloss=0.1)
        upright = _plane((length, height), wall_colour, material, 1.2)
        wall = [upright.moved(np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]]), (0, distance / 2, height / 2))]
        for _ in range(rng.integers(0, 5)):
            wall += _wall_thing(rng, textures, length, distance)
        parts += turned(wall, 90.0 * i, (0, 0, 0))
    return parts


def _plane(size: tuple[float, float], colour: NDArray, material: Material, tile: float) -> Mesh:
    x, y = size[0] / 2, size[1] / 2
    vertices = np.array([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)])
    uv = vertices[:, :2] / tile
    return surface(vertices, np.array([(0, 1, 2), (0, 2, 3)]), colour, material, uv)


def _wall_thing(rng: Rng, textures: Textures, length: float, distance: float) -> list[Mesh]:
    kind = str(rng.choice(["paper", "panel", "screen", "drawers", "rack", "stripes", "plain", "plain"]))
    size = (rng.uniform(0.2, 1.4), rng.uniform(0.02, 0.3), rng.uniform(0.2, 1.3))
    bottom = rng.uniform(0.7, 1.8)
    if rng.random() < 0.25:  # a door, doorway or radiator down to the floor
        size, bottom = (rng.uniform(0.5, 1.4), 0.04, rng.uniform(1.2, 2.2)), 0.0
    colour = linear(1, 1, 1)
    if kind == "plain" or bottom == 0.0:
        colour = grey(rng, 0.02, 1.0) if rng.random() < 0.6 else vivid(rng)
    material = Material(noise=0.05, gloss=0.2) if kind == "plain" else painted(kind, textures, rng)
    place = (rng.uniform(-0.45, 0.45) * length, distance / 2 - size[1] / 2, bottom)
    return [box(size, colour, material).moved(offset=place)]


def curtain(rng: Rng, textures: Textures) -> list[Mesh]:
    length, height = rng.uniform(0.8, 2.2), rng.uniform(1.6, 2.4)
    x = np.linspace(-length / 2, length / 2, 60)
    y = 0.05 * np.sin(x * rng.uniform(18, 40)) + 0.02 * np.sin(x * 55)
    vertices = np.concatenate(
        [np.column_stack([x, y * (0.6 + 0.4 * t), np.full(60, height * (1 - t) + 0.05)]) for t in np.linspace(0, 1, 6)]
    )
    colour = linear(*(np.array(DRAPE_COLOURS[rng.integers(len(DRAPE_COLOURS))]) * rng.uniform(0.5, 1.1)))
    return [surface(vertices, grid_faces(6, 60), colour, Material(noise=0.08, folds=0.2), grid_uv(6, 60))]


def floor_cables(rng: Rng, room: NDArray) -> list[Mesh]:
    parts = []
    for _ in range(rng.integers(0, 5)):
        heading = np.cumsum(rng.normal(0, 0.35, 40)) + rng.uniform(0, 6.28)
        steps = (
            np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1) * 0.08, 0) + rng.uniform(-0.4, 0.4, 2) * room[:2]
        )
        path = np.column_stack([np.clip(steps, -room[:2] / 2, room[:2] / 2), np.full(40, 0.012)])
        parts.append(
            tube(
                path,
                rng.uniform(0.006, 0.018),
                grey(rng, 0.02, 0.3) if rng.random() < 0.7 else vivid(rng),
                PLASTIC,
                sides=5,
            )
        )
    return parts
