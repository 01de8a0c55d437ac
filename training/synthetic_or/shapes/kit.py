"""Builds things from many simple parts: all boxes, rods and so on of one material become one mesh."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.shapes.materials import METAL, PLASTIC
from training.synthetic_or.shapes.meshes import Material, Mesh, box, grid_faces, grid_uv, turned

Triple = Sequence[float] | NDArray
_SEGMENTS = 14  # around a cylinder
_ZERO = (0.0, 0.0, 0.0)


class Kit:
    """Collects parts around the origin; `meshes()` gives one mesh a material.

    Places are the middle of a part's underside (m), colours linear; headings (degrees) turn a part about its z axis.
    """

    def __init__(self) -> None:
        self._parts: dict[Material, list[tuple[NDArray, NDArray, NDArray, NDArray]]] = defaultdict(list)

    def meshes(self) -> list[Mesh]:
        return [_joined(parts, material) for material, parts in self._parts.items()]

    def box(
        self, size: Triple, place: Triple, colour: NDArray, material: Material = PLASTIC, heading: float = 0.0,
        bevel: float = 0.0,
    ) -> None:  # fmt: skip
        """A box with sharp edges, or with edges `bevel` (m) wide that catch the light."""
        inset = 1.0 - 2.0 * np.minimum(bevel / np.maximum(np.asarray(size, float), 1e-6), 0.5)
        vertices = (_BOX_FACE + _BOX_SIDES * inset) * np.asarray(size, float) * 0.5
        vertices[:, 2] += size[2] * 0.5
        self._add(vertices, _BOX_FACES if bevel == 0 else _BEVEL_FACES, _BOX_UV, place, heading, colour, material)

    def cylinder(
        self, radius: float, height: float, place: Triple, colour: NDArray, material: Material = PLASTIC,
        top: float = 1.0,
    ) -> None:  # fmt: skip
        """Upright, with a lid; its upper radius is `top` times the lower one."""
        vertices = _CYLINDER * (radius, radius, height)
        vertices[_SEGMENTS:, :2] *= top
        self._add(vertices, _CYLINDER_FACES, _CYLINDER_UV, place, 0.0, colour, material)

    def sack(
        self, size: Triple, place: Triple, colour: NDArray, material: Material = PLASTIC, heading: float = 0.0,
        lumps: float = 0.0, phase: float = 0.0,
    ) -> None:  # fmt: skip
        """A rounded body: cushion, bag, bundle; `lumps` (share of its size) make it uneven."""
        vertices = _SACK.copy()
        if lumps:
            vertices *= 1.0 + lumps * np.sin(_SACK @ _LUMPS + phase).sum(1, keepdims=True)
        vertices = vertices * np.asarray(size, float) * 0.5
        vertices[:, 2] += size[2] * 0.5
        self._add(vertices, _SACK_FACES, _SACK_UV, place, heading, colour, material)

    def rod(
        self, start: Triple, end: Triple, radius: float, colour: NDArray, material: Material = METAL, sides: int = 6
    ) -> None:
        self.cable(np.array([start, end], float), radius, colour, material, sides)

    def cable(
        self, path: NDArray, radius: float, colour: NDArray, material: Material = PLASTIC, sides: int = 4
    ) -> None:
        """A tube along `path (P, 3)`, without lids."""
        along = np.empty_like(path)
        along[0], along[-1] = path[1] - path[0], path[-1] - path[-2]
        along[1:-1] = path[2:] - path[:-2]
        along /= np.maximum(np.sqrt((along * along).sum(1, keepdims=True)), 1e-9)
        helper = np.where(np.abs(along[:, 2:]) < 0.9, _UP, _SIDEWAYS)
        side = _cross(along, helper)
        side *= radius / np.maximum(np.sqrt((side * side).sum(1, keepdims=True)), 1e-9)
        up = _cross(side, along)
        (cosine, sine), faces, uv = _tube_parts(len(path), sides)
        vertices = (path[:, None] + side[:, None] * cosine + up[:, None] * sine).reshape(-1, 3)
        self._add(vertices, faces, uv, _ZERO, 0.0, colour, material)

    def plate(
        self, width: float, height: float, place: Triple, colour: NDArray, material: Material, heading: float = 0.0,
        tiles: tuple[float, float] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        """An upright picture without thickness that faces -y; `tiles` is how often its texture repeats."""
        vertices = np.array([(-0.5, 0, 0), (0.5, 0, 0), (0.5, 0, 1.0), (-0.5, 0, 1.0)]) * (width, 1.0, height)
        uv = np.array([(0, 1), (1, 1), (1, 0), (0, 0.0)]) * tiles
        self._add(vertices, _PLATE_FACES, uv, place, heading, colour, material)

    def sheet(self, grid: NDArray, colour: NDArray, material: Material, closed: bool = False) -> None:
        """Cloth through `grid (R, C, 3)`; `closed` joins the last column to the first."""
        rows, columns = grid.shape[:2]
        faces = grid_faces(rows, columns, closed)
        self._add(grid.reshape(-1, 3), faces, grid_uv(rows, columns), _ZERO, 0.0, colour, material)

    def put(self, meshes: list[Mesh], heading: float = 0.0, place: Triple = _ZERO) -> None:
        """Adds finished meshes, turned and moved."""
        for mesh in turned(meshes, heading, np.asarray(place, float)):
            self._parts[mesh.material].append((mesh.vertices, mesh.faces, mesh.colours, mesh.uv))

    def _add(
        self, vertices: NDArray, faces: NDArray, uv: NDArray, place: Triple, heading: float, colour: NDArray,
        material: Material,
    ) -> None:  # fmt: skip
        if heading:
            c, s = np.cos(np.radians(heading)), np.sin(np.radians(heading))
            vertices = vertices @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
        colours = np.broadcast_to(np.asarray(colour, float), (len(vertices), 3))
        self._parts[material].append((vertices + np.asarray(place, float), faces, colours, uv))


def _joined(parts: list[tuple[NDArray, NDArray, NDArray, NDArray]], material: Material) -> Mesh:
    offsets = np.cumsum([0] + [len(part[0]) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] + offset for part, offset in zip(parts, offsets, strict=True)]),
        np.concatenate([part[2] for part in parts]),
        np.concatenate([part[3] for part in parts]),
        material,
    )


def _cross(a: NDArray, b: NDArray) -> NDArray:
    return np.stack([
        a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1], a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
        a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
    ], axis=1)  # fmt: skip


@lru_cache(maxsize=256)
def _tube_parts(points: int, sides: int) -> tuple[NDArray, NDArray, NDArray]:
    """`(2, sides, 1)` cosines and sines around a tube, its faces and texture coordinates."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    around = np.stack([np.cos(angle), np.sin(angle)])
    return around, grid_faces(points, sides, closed=True), np.zeros((points * sides, 2))


def _outward(vertices: NDArray, faces: NDArray) -> NDArray:
    """The faces of a convex body around the origin, all turned outwards."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    inward = (np.cross(b - a, c - a) * (a + b + c)).sum(1) < 0
    return np.where(inward[:, None], faces[:, ::-1], faces)


def _bevel_faces(sides: NDArray, fixed: NDArray, faces: NDArray) -> NDArray:
    """The box's faces and those along its edges and corners, between its 24 vertices."""
    signs, axis = sides + fixed, np.abs(fixed).argmax(1)
    index = {(*(int(s) for s in sign), int(a)): i for i, (sign, a) in enumerate(zip(signs, axis, strict=True))}
    more: list[tuple[int, int, int]] = []
    for first, second, along in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        for one in (-1, 1):
            for two in (-1, 1):
                corners = []
                for third, a in ((-1, first), (1, first), (1, second), (-1, second)):
                    sign = [0, 0, 0]
                    sign[first], sign[second], sign[along] = one, two, third
                    corners.append(index[(sign[0], sign[1], sign[2], a)])
                more += [(corners[0], corners[1], corners[2]), (corners[0], corners[2], corners[3])]
    for x in (-1, 1):
        for y in (-1, 1):
            more += [tuple(index[(x, y, z, a)] for a in range(3)) for z in (-1, 1)]  # type: ignore[misc]
    return _outward(signs * 0.5 + fixed * 0.5, np.concatenate([faces, np.array(more)]))


def _unit_cylinder() -> tuple[NDArray, NDArray]:
    angle = np.linspace(0, 2 * np.pi, _SEGMENTS, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    vertices = np.concatenate([np.column_stack([ring, np.full(_SEGMENTS, z)]) for z in (0.0, 1.0, 1.0)])
    lid = len(vertices) - _SEGMENTS
    fan = np.array([(lid, lid + i, lid + i + 1) for i in range(1, _SEGMENTS - 1)])
    return vertices, np.concatenate([grid_faces(2, _SEGMENTS, closed=True), fan])


def _unit_sack(rows: int = 9, columns: int = 14, square: float = 0.55) -> NDArray:
    down = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]

    def bulged(values: NDArray) -> NDArray:
        return np.asarray(np.sign(values) * np.abs(values) ** square)

    grid = np.stack(
        [
            bulged(np.cos(down)) * bulged(np.cos(around)),
            bulged(np.cos(down)) * bulged(np.sin(around)),
            np.broadcast_to(bulged(np.sin(down)), (rows, columns)),
        ],
        axis=-1,
    )
    return grid.reshape(-1, 3)


_UP, _SIDEWAYS = np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]])
_PLATE_FACES = np.array([(0, 1, 2), (0, 2, 3)])
_UNIT_BOX = box((2.0, 2.0, 2.0), np.zeros(3))
_CORNERS = np.round(_UNIT_BOX.vertices - (0, 0, 1.0))
#: A box vertex is its side's own direction plus where it lies on that side, the part that a bevel makes smaller.
_BOX_FACE = np.repeat(np.array([np.eye(3)[a] * s for a in range(3) for s in (-1.0, 1.0)]), 4, axis=0)
_BOX_SIDES = _CORNERS - _BOX_FACE
_BOX_FACES, _BOX_UV = _UNIT_BOX.faces, _UNIT_BOX.uv
_BEVEL_FACES = _bevel_faces(_BOX_SIDES, _BOX_FACE, _BOX_FACES)
_CYLINDER, _CYLINDER_FACES = _unit_cylinder()
_CYLINDER_UV = np.column_stack([np.tile(np.linspace(0, 1, _SEGMENTS), 3), np.repeat([1.0, 0.0, 0.0], _SEGMENTS)])
_SACK = _unit_sack()
_SACK_FACES, _SACK_UV = grid_faces(9, 14, closed=True), grid_uv(9, 14)
_LUMPS = np.array([[3.1, -1.3, 0.7], [1.1, 2.9, -1.9], [-0.9, 1.7, 3.3]])
