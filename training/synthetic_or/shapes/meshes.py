"""Triangle meshes with colours, texture coordinates and a material; the primitives that furniture is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        texture: Index into the texture stack, -1 for none; multiplied with the vertex colours.
        noise: Relative strength of smooth albedo variation.
        noise_frequency: Its cycles per metre.
        folds: Strength of the shading normal's disturbance (cloth folds), 0 for smooth.
        fold_scale: `(3,)` cycles per metre of the folds along the room axes.
        gloss: Strength of the highlight, 0 to 1.
        emission: Light the surface gives off itself, as a share of its albedo.
        alpha: Opacity. Below 1 what lies behind shows through (one layer) and the surface casts no shadow; below 0.5
            it counts as glass: depth and instance ids are those of what lies behind.
        sheen: Strength of the pale rim that fibres show at grazing angles (non-woven gowns about 0.3), 0 for none.
        wrinkle: Strength of fine, sharp creases in the shading (crumpled non-woven cloth about 0.4), 0 for smooth.
        wrinkle_scale: Their cycles per metre.
        mirror: Share of the room's reflection seen when looking straight at the surface; more at grazing angles.
            For level surfaces (polished floors about 0.04, steel trays 0.3), 0 for none.
    """

    texture: int = -1
    noise: float = 0.05
    noise_frequency: float = 3.0
    folds: float = 0.0
    fold_scale: tuple[float, float, float] = (6.0, 6.0, 2.0)
    gloss: float = 0.05
    emission: float = 0.0
    alpha: float = 1.0
    sheen: float = 0.0
    wrinkle: float = 0.0
    wrinkle_scale: float = 12.0
    mirror: float = 0.0


@dataclass(frozen=True)
class Mesh:
    """A surface in room coordinates: `vertices (V, 3)` m, `faces (F, 3)`, linear `colours (V, 3)`, `uv (V, 2)`.

    `instance` is the person it belongs to, 0 for everything else. Edges that should look sharp have doubled vertices.
    `pattern (V, 3)` m are the coordinates in which noise, folds and wrinkles are looked up, None for the vertices: give
    moving people their rest pose, or the cloth swims through a pattern that stands still in the room.
    """

    vertices: NDArray
    faces: NDArray
    colours: NDArray
    uv: NDArray
    material: Material = field(default_factory=Material)
    instance: int = 0
    pattern: NDArray | None = None

    @property
    def patterned(self) -> NDArray:
        """`(V, 3)` m: where noise, folds and wrinkles are looked up."""
        return self.vertices if self.pattern is None else self.pattern

    def moved(self, rotation: NDArray | None = None, offset: NDArray | tuple[float, float, float] = (0, 0, 0)) -> Mesh:
        vertices = self.vertices if rotation is None else self.vertices @ np.asarray(rotation).T
        return replace(self, vertices=vertices + np.asarray(offset))


def turned(meshes: list[Mesh], heading_deg: float, offset: tuple[float, float, float] | NDArray) -> list[Mesh]:
    c, s = np.cos(np.radians(heading_deg)), np.sin(np.radians(heading_deg))
    return [mesh.moved(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), offset) for mesh in meshes]


def linear(*srgb: float) -> NDArray:
    """Linear albedo `(3,)` of an sRGB colour given as three numbers in [0, 1] (power 2.2)."""
    return np.clip(np.asarray(srgb, float), 0.0, 1.0) ** 2.2


def surface(vertices: NDArray, faces: NDArray, colour: NDArray, material: Material, uv: NDArray | None = None) -> Mesh:
    """A mesh of one colour `(3,)` or of vertex colours `(V, 3)`."""
    colours = np.broadcast_to(np.asarray(colour, float), (len(vertices), 3))
    return Mesh(
        np.asarray(vertices, float), np.asarray(faces, int), colours,
        np.zeros((len(vertices), 2)) if uv is None else uv, material,
    )  # fmt: skip


def merged(meshes: list[Mesh]) -> Mesh:
    """One mesh of several that share the first one's material and instance."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return replace(
        meshes[0],
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        faces=np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
        colours=np.concatenate([mesh.colours for mesh in meshes]),
        uv=np.concatenate([mesh.uv for mesh in meshes]),
        pattern=None if all(mesh.pattern is None for mesh in meshes) else np.concatenate([m.patterned for m in meshes]),
    )


def grid_faces(rows: int, columns: int, closed: bool = False) -> NDArray:
    """Faces of a grid of `rows x columns` vertices (row-major); `closed` joins the last column to the first."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    a, b = r * columns + c, r * columns + (c + 1) % columns
    d, e = a + columns, b + columns
    return np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([b, e, d], -1).reshape(-1, 3)])


def grid_uv(rows: int, columns: int) -> NDArray:
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    return np.stack([u.ravel(), v.ravel()], axis=1)


#: Axis and sign of a box's sides; each has its own four corners, so that edges stay sharp.
_BOX_SIDES = tuple((axis, sign) for axis in range(3) for sign in (-1.0, 1.0))


def box(size: tuple[float, float, float], colour: NDArray, material: Material | None = None) -> Mesh:
    """A box of `size` (m) standing on z = 0, centred in x and y."""
    vertices: list[NDArray] = []
    faces, uv = [], []
    for axis, sign in _BOX_SIDES:
        u_axis, v_axis = [a for a in (0, 1, 2) if a != axis]
        corners = np.zeros((4, 3))
        corners[:, axis] = sign
        corners[:, u_axis], corners[:, v_axis] = (-1, 1, 1, -1), (-1, -1, 1, 1)
        start = len(vertices) * 4
        vertices.append(corners)
        faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
        uv.append([(0, 1), (1, 1), (1, 0), (0, 0)])
    points = np.concatenate(vertices) * 0.5 + (0, 0, 0.5)
    return surface(
        points * np.asarray(size), np.array(faces), colour, material or Material(), np.concatenate(uv).astype(float)
    )


def lathe(profile: NDArray, colour: NDArray, material: Material | None = None, segments: int = 24) -> Mesh:
    """A surface of revolution about z; `profile (N, 2)` holds radius and height (m)."""
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    vertices = np.concatenate([np.column_stack([ring * radius, np.full(segments, z)]) for radius, z in profile])
    return surface(
        vertices, grid_faces(len(profile), segments, closed=True), colour, material or Material(),
        grid_uv(len(profile), segments),
    )  # fmt: skip


def cylinder(radius: float, height: float, colour: NDArray, material: Material | None = None) -> Mesh:
    """An upright cylinder with lids, standing on z = 0."""
    profile = np.array([(0, 0), (radius, 0), (radius, 1e-3), (radius, height - 1e-3), (radius, height), (0, height)])
    return lathe(profile, colour, material)


def tube(
    path: NDArray, radius: NDArray | float, colour: NDArray, material: Material | None = None, sides: int = 8
) -> Mesh:
    """A tube of `radius` (m, scalar or one per point) along `path (N, 3)`."""
    tangents = np.gradient(path, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-9)
    helper = np.where(np.abs(tangents[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(tangents, helper)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    up = np.cross(side, tangents)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = side[:, None] * np.cos(angle)[None, :, None] + up[:, None] * np.sin(angle)[None, :, None]
    radii = np.broadcast_to(np.asarray(radius, float), (len(path),))[:, None, None]
    vertices = (path[:, None] + ring * radii).reshape(-1, 3)
    return surface(
        vertices, grid_faces(len(path), sides, closed=True), colour, material or Material(),
        grid_uv(len(path), sides),
    )  # fmt: skip


def bent_box(
    radius: float, start_deg: float, stop_deg: float, width: float, depth: float, colour: NDArray,
    material: Material | None = None,
) -> Mesh:  # fmt: skip
    """A bar bent along an arc in the x-z plane (C-arms): `radius` of its middle, cross-section width x depth (m)."""
    angle = np.radians(np.linspace(start_deg, stop_deg, 28))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.5
    parts = []
    for first, second in ((0, 1), (1, 2), (2, 3), (3, 0)):
        strip = []
        for a in angle:
            for radial, lateral in (corners[first], corners[second]):
                r = radius + radial * width
                strip.append((r * np.cos(a), lateral * depth, r * np.sin(a)))
        parts.append(
            surface(np.array(strip), grid_faces(len(angle), 2), colour, material or Material(), grid_uv(len(angle), 2))
        )
    return merged(parts)


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """`(V, 3)` area-weighted unit normals."""
    first = vertices.take(faces[:, 0], axis=0)
    (ax, ay, az), (bx, by, bz) = ((vertices.take(faces[:, k], axis=0) - first).T for k in (1, 2))
    face_normals = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)
    ones, starts = np.ones(faces.size, vertices.dtype), np.arange(0, faces.size + 1, 3)
    normals = csr_matrix((ones, faces.ravel(), starts), shape=(len(faces), len(vertices))).T @ face_normals
    return normals / np.maximum(np.sqrt(np.einsum("vc,vc->v", normals, normals))[:, None], 1e-12)
