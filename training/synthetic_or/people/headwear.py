"""Heads: hair, caps, masks, glasses and shields, as pieces in the rest pose that move with the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people import bodies as b
from training.synthetic_or.people.outfits import Outfit
from training.synthetic_or.people.tailor import Cut, Measures, Piece, cut_piece
from training.synthetic_or.shapes.meshes import Material, Mesh, cylinder, grid_faces, linear, merged, surface, tube

_RINGS, _COLUMNS = 11, 30
_HAIR = Material(noise=0.35, noise_frequency=14.0, folds=0.25, fold_scale=(22.0, 22.0, 7.0), gloss=0.08)
_CAP = Material(noise=0.08, folds=0.35, fold_scale=(14.0, 14.0, 14.0), wrinkle=0.25, wrinkle_scale=20.0, sheen=0.15)
_BOUFFANT = Material(
    noise=0.22, noise_frequency=9.0, folds=0.45, fold_scale=(14.0, 14.0, 14.0), wrinkle=0.5, wrinkle_scale=26.0,
    sheen=0.35, alpha=0.62,
)  # fmt: skip
_MASK = Material(noise=0.03, folds=0.1, wrinkle=0.15, wrinkle_scale=30.0)
_FRAME = Material(gloss=0.4)
_SHIELD = Material(gloss=0.7, alpha=0.16)


class _Head:
    """Landmarks of one rest body's head (m): the skull as half an ellipsoid, eyes, ears, nose."""

    def __init__(self, measures: Measures) -> None:
        coco = measures.bank.coco_rest[measures.shape]
        self.nose, self.eyes, self.ears = coco[0], coco[1:3], coco[3:5]
        hair = measures.rest[measures.regions == b.HAIR]
        low, high = np.quantile(hair, 0.02, axis=0), hair.max(0)
        self.centre = np.array([0.0, (low[1] + high[1]) / 2, self.ears[0, 2] + 0.02])
        half = np.array([abs(self.ears[:, 0]).mean() - 0.004, (high[1] - low[1]) / 2, high[2] - self.centre[2]])
        self.scalp = hair - self.centre
        self.half = half * float(np.quantile(np.linalg.norm(self.scalp / half, axis=1), 0.8))

    def shell(self, edge_deg: NDArray, offset: NDArray) -> NDArray:
        """`(R * C, 3)`: rings from the crown to `edge_deg (C,)` below the vertical, `offset (R, C)` m off the skull.

        Column 0 is the left ear, a quarter on the back of the head, three quarters on the forehead."""
        around = np.linspace(0, 2 * np.pi, _COLUMNS, endpoint=False)
        polar = np.radians(np.linspace(0.001, 1, _RINGS)[:, None] * edge_deg[None])
        direction = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
        half = self.half * np.where(direction[..., 2:] < 0, [1.0, 1.0, 1.6], 1.0)
        radius = np.maximum(1.0 / np.sqrt(((direction / half) ** 2).sum(-1)), self._scalp_radius(direction))
        return (self.centre + direction * (radius + offset)[..., None]).reshape(-1, 3)

    def _scalp_radius(self, direction: NDArray) -> NDArray:
        """`(R, C)` m from the centre to the scalp near each direction `(R, C, 3)`, 0 where there is none."""
        length = np.linalg.norm(self.scalp, axis=1)
        near = direction.reshape(-1, 3) @ (self.scalp / length[:, None]).T > 0.975
        return np.where(near, length, 0.0).max(1).reshape(direction.shape[:2])


def _edge(front: float, side: float, back: float) -> NDArray:
    """`(C,)` degrees below the vertical of a hairline or hem, smooth around the head."""
    return np.interp(np.linspace(0, 360, _COLUMNS, endpoint=False), [0, 90, 180, 250, 270, 290, 360],
                     [side, back, side, front + 3, front, front + 3, side])  # fmt: skip


def _with_bone(measures: Measures, meshes: list[Mesh], material: Material, bone: str = "head") -> Piece:
    """Rest-pose meshes as one piece that moves rigidly with a bone."""
    mesh = merged(meshes)
    weights = np.zeros((len(mesh.vertices), len(b.BONE)), np.float32)
    weights[:, b.BONE[bone]] = 1.0
    return Piece(
        mesh.vertices.astype(np.float32), mesh.faces, weights, mesh.colours, material, np.zeros(len(mesh.vertices))
    )


def headwear(measures: Measures, outfit: Outfit, rng: np.random.Generator) -> tuple[list[Piece], list[NDArray]]:
    """What is on the head (hair or cap, mask, brows, sometimes glasses, a shield or loupes) and, for the mask, which
    vertices `(V,)` are deep under it."""
    deep: list[NDArray] = []
    head = _Head(measures)
    pieces = [_brows(measures, head, outfit)]
    if outfit.cap is None or (outfit.bouffant and outfit.hair_length > 0.3):
        pieces += _hair(measures, head, outfit, rng)
    if outfit.cap is not None:
        pieces += _cap(measures, head, outfit, rng)
    if outfit.mask is not None:
        worn, under = _mask(measures, head, outfit, rng)
        pieces += worn
        deep.append(under)
    if outfit.eyewear is not None:
        pieces += _eyewear(measures, head, outfit.eyewear, rng)
    return pieces, deep


def _shell_piece(measures: Measures, points: NDArray, colours: NDArray, material: Material) -> Piece:
    faces = grid_faces(_RINGS, _COLUMNS, closed=True)
    return _with_bone(measures, [surface(points, faces, colours, material)], material)


def _hair(measures: Measures, head: _Head, outfit: Outfit, rng: np.random.Generator) -> list[Piece]:
    length = outfit.hair_length
    if length < 0.05:  # shaved: painted only
        return []
    capped = outfit.cap is not None
    down = np.linspace(0, 1, _RINGS)[:, None]
    edge = _edge(rng.uniform(50, 60), 84 + 50 * max(0.0, length - 0.45), 112 + 38 * max(0.0, length - 0.3))
    thick = (0.006 if capped else rng.uniform(0.01, 0.024)) * (1 - 0.75 * down**4)
    around = np.linspace(0, 2 * np.pi, _COLUMNS, endpoint=False)
    lumps = 0.003 * np.sin(around * rng.integers(3, 8) + 7 * down) * down
    shade = 1.0 + 0.25 * rng.standard_normal(_COLUMNS)[None] * down
    colours = (outfit.hair * np.clip(np.broadcast_to(shade, (_RINGS, _COLUMNS)), 0.5, 1.5)[..., None]).reshape(-1, 3)
    pieces = [_shell_piece(measures, head.shell(edge, thick + (0 if capped else 1) * lumps), colours, _HAIR)]
    if length > 0.75 and not capped:
        back = head.centre + np.array([0, head.half[1] + 0.01, 0.0])
        path = back + np.array(
            [[0, -0.02, 0.02], [0, 0.035, 0.0], [0, 0.03, -0.1], [0, 0.01, -rng.uniform(0.16, 0.28)]]
        )
        pieces.append(_with_bone(measures, [tube(path, np.array([0.02, 0.03, 0.028, 0.008]), outfit.hair)], _HAIR))
    return pieces


def _cap(measures: Measures, head: _Head, outfit: Outfit, rng: np.random.Generator) -> list[Piece]:
    assert outfit.cap is not None
    down = np.linspace(0, 1, _RINGS)[:, None]
    around = np.linspace(0, 2 * np.pi, _COLUMNS, endpoint=False)
    if outfit.bouffant:
        puff = rng.uniform(0.022, 0.042) * (1 + 0.35 * np.sin(around - rng.uniform(-0.5, 0.5)))
        profile = np.clip(1 - down**5, 0, 1) * (0.75 + 0.5 * np.sin(np.pi * down))
        gathers = np.sin(around * rng.integers(9, 14) + rng.uniform(0, 6)) * 0.006 * np.sin(np.pi * down**1.5)
        lumps = 0.006 * np.sin(around * rng.integers(2, 5) + 5 * down + rng.uniform(0, 6))
        offset = 0.004 + puff * profile + gathers + lumps * np.sin(np.pi * down)
        points = head.shell(_edge(rng.uniform(54, 64), rng.uniform(84, 100), rng.uniform(112, 124)), offset)
        band = np.clip(down - 0.9, 0, 0.1) * 10
        mixed = outfit.cap * (0.82 + 0.3 * band)[..., None] * np.ones((_RINGS, _COLUMNS, 1))
        return [_shell_piece(measures, points, mixed.clip(0, 1).reshape(-1, 3), _BOUFFANT)]
    offset = 0.009 + rng.uniform(0, 0.012) * (1 - down) + 0.002 * np.sin(around * 6 + 4 * down) * down
    points = head.shell(_edge(rng.uniform(60, 68), rng.uniform(72, 86), rng.uniform(104, 116)), offset)
    colours = np.broadcast_to(outfit.cap, points.shape).copy()
    if rng.random() < 0.25:  # printed cotton
        dots = rng.random(len(points)) < 0.25
        colours[dots] = linear(*rng.uniform(0.1, 0.95, 3))
    back = head.centre + np.array([0, head.half[1] + 0.008, -0.045])
    tails = [
        tube(back + np.array([[0, 0, 0], [side * 0.02, 0.02, -0.03], [side * 0.03, 0.02, -rng.uniform(0.07, 0.13)]]),
             0.006, outfit.cap, sides=4)
        for side in (-1.0, 1.0)
    ]  # fmt: skip
    return [_shell_piece(measures, points, colours, _CAP), _with_bone(measures, tails, _CAP)]


def _mask(measures: Measures, head: _Head, outfit: Outfit, rng: np.random.Generator) -> tuple[list[Piece], NDArray]:
    assert outfit.mask is not None
    x, y, z = measures.rest.T
    on_head = np.isin(measures.regions, (b.FACE, b.MASK, b.NECK)) & (measures.arm < -0.5)
    top, bottom = head.nose[2] + rng.uniform(0.008, 0.02), head.nose[2] - rng.uniform(0.085, 0.1)
    back = head.ears[0, 1] - rng.uniform(0.03, 0.045)
    up = np.array([0.0, 0.0, 1.0])
    cuts = [
        Cut(np.where(on_head, z - top - 0.35 * np.abs(x) * (np.abs(x) < 0.02), 1.0), np.broadcast_to(-up, (len(z), 3))),
        Cut(np.where(on_head, bottom - z, 1.0), np.broadcast_to(up, (len(z), 3))),
        Cut(np.where(on_head, y - back, 1.0), np.broadcast_to([0.0, -1.0, 0.0], (len(z), 3))),
    ]
    beak = rng.random() < 0.25
    middle = np.exp(-(((x / 0.03) ** 2) + ((z - head.nose[2] + 0.03) / 0.04) ** 2))
    pleated = 0.0025 * np.sin((z - bottom) * 2 * np.pi / 0.028) * (not beak)
    loose = 0.008 + (0.016 if beak else 0.004) * middle + pleated
    piece, deep = cut_piece(measures, cuts, loose, outfit.mask, _MASK, rounds=5)
    loops = []
    for side, ear in zip((1.0, -1.0), head.ears, strict=True):
        for height in (top - 0.012, bottom + 0.015):
            start = np.array([side * (abs(ear[0]) - 0.012), back - 0.002, height])
            stop = ear + np.array([side * 0.008, 0.004, 0.01 if height > ear[2] - 0.03 else -0.02])
            loops.append((start, stop))
    loop = _wires(np.array(loops), np.full(2, 0.0014), linear(0.92, 0.93, 0.94))
    return [piece, _with_bone(measures, [loop], _MASK)], deep


def _brows(measures: Measures, head: _Head, outfit: Outfit) -> Piece:
    side = np.sign(head.eyes[:, :1]) * np.array([[-0.016, 0.0, 0.018]])
    shape = np.broadcast_to(np.array([[-0.013, 0.017], [-0.0135, 0.022], [-0.004, 0.017]]), (2, 3, 2))
    paths = head.eyes[:, None] + np.concatenate([side[..., None], shape], axis=-1)
    return _with_bone(measures, [_wires(paths, np.array([0.003, 0.0035, 0.0015]), outfit.hair * 0.8)], _HAIR)


def _wires(paths: NDArray, radii: NDArray, colour: NDArray) -> Mesh:
    """Thin wires along `paths (W, P, 3)` with `radii (P,)` (m), all at once: four sides each."""
    wires, steps, _ = paths.shape
    tangents = np.gradient(paths, axis=1)
    side = np.cross(tangents, [0.31, 0.47, 0.83])
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    up = np.cross(side, tangents)
    up /= np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-9)
    ring = np.stack([side, up, -side, -up], axis=2) * radii[None, :, None, None]
    one = grid_faces(steps, 4, closed=True)
    faces = (one[None] + np.arange(wires)[:, None, None] * (steps * 4)).reshape(-1, 3)
    return surface((paths[:, :, None] + ring).reshape(-1, 3), faces, colour, _FRAME)


def _eyewear(measures: Measures, head: _Head, kind: str, rng: np.random.Generator) -> list[Piece]:
    eyes, side_x = head.eyes, abs(head.ears[:, 0]).mean()
    front_y = eyes[:, 1].min() - 0.022
    if kind == "shield":
        across, down = np.linspace(-1, 1, 11), np.linspace(0, 1, 5)
        angle = across * 1.25
        points = np.stack([
            np.broadcast_to(np.sin(angle) * (side_x + 0.025), (5, 11)),
            np.broadcast_to(head.centre[1] - np.cos(angle) * (head.half[1] + 0.05), (5, 11)),
            np.broadcast_to((eyes[0, 2] + 0.05 - down * 0.2)[:, None], (5, 11)),
        ], axis=-1).reshape(-1, 3)  # fmt: skip
        band = tube(points[:11] + np.array([0, 0, 0.005]), 0.006, linear(0.3, 0.5, 0.8), sides=4)
        glass = surface(points, grid_faces(5, 11), linear(0.9, 0.95, 1.0), _SHIELD)
        return [_with_bone(measures, [glass], _SHIELD), _with_bone(measures, [band], _FRAME)]
    colour = linear(*(np.full(3, rng.choice([0.05, 0.15, 0.5])) + rng.normal(0, 0.02, 3)))
    turn = np.linspace(0, 2 * np.pi, 9)
    sides = np.sign(eyes[:, 0])
    wide, tall = 0.024 * np.cos(turn), 0.018 * np.sin(turn)
    rims = np.stack([np.column_stack([eye[0] + wide, np.full(9, front_y), eye[2] + tall]) for eye in eyes])
    rims[..., 1] += 0.25 * np.abs(rims[..., 0]) - 0.008
    hinges = np.column_stack([eyes[:, 0] + 0.024 * sides, np.full(2, front_y + 0.008), eyes[:, 2] + 0.006])
    ends = head.ears + np.column_stack([0.006 * sides, np.zeros(2), np.full(2, 0.03)])
    temples = np.stack([hinges, ends], axis=1)
    parts = [_wires(rims, np.full(9, 0.0022), colour), _wires(temples, np.full(2, 0.0022), colour)]
    if kind == "loupes":
        tilt = np.array([[1.0, 0, 0], [0, 0.25, -0.97], [0, 0.97, 0.25]])
        barrel = cylinder(0.011, 0.035, linear(0.08, 0.08, 0.09))
        parts += [barrel.moved(tilt, (eye[0] * 0.8, front_y, eye[2] - 0.004)) for eye in eyes]
    return [_with_bone(measures, parts, _FRAME)]
