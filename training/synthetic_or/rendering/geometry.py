"""Meshes in Embree: what rays hit, what blocks them, and vertex values there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.synthetic_or.shapes.meshes import Mesh, vertex_normals


@dataclass(frozen=True)
class Hits:
    """Where N of the traced rays hit something.

    Attributes:
        rays: `(N,)` their places among the traced rays, rising.
        face: `(N,)` what each hits.
        weights: `(N, 3)` barycentric coordinates.
        length: `(N,)` from the origin, in lengths of the ray's direction.
    """

    rays: NDArray[np.int64]
    face: NDArray[np.int32]
    weights: NDArray[np.float32]
    length: NDArray[np.float32]

    def __getitem__(self, which: NDArray) -> Hits:
        return Hits(self.rays[which], self.face[which], self.weights[which], self.length[which])


class Geometry:
    """Some of a scene's meshes: `meshes` with their numbers in the scene (`numbers`)."""

    def __init__(self, meshes: Sequence[Mesh], numbers: NDArray[np.int64]) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
        self.vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float32)
        self._faces = np.concatenate([mesh.faces + o for mesh, o in zip(meshes, offsets, strict=True)]).astype(np.int32)
        colours = np.concatenate([mesh.colours for mesh in meshes])
        #: `(V, 6)`: colour and normal.
        self.looks = np.hstack([colours, vertex_normals(self.vertices, self._faces)]).astype(np.float32)
        self.uv = np.concatenate([mesh.uv for mesh in meshes]).astype(np.float32)
        self.pattern = np.concatenate([mesh.patterned for mesh in meshes]).astype(np.float32)
        self._mesh_of_face = np.repeat(np.asarray(numbers, np.int32), [len(mesh.faces) for mesh in meshes])
        self._embree = EmbreeScene()
        TriangleMesh(self._embree, self.vertices, self._faces)

    def trace(self, origins: NDArray, directions: NDArray) -> Hits:
        """The first hits of rays from `origins (M, 3)` along `directions (M, 3)`."""
        hit = self._embree.run(np.ascontiguousarray(origins), np.ascontiguousarray(directions), output=True)
        rays = np.flatnonzero(hit["primID"] >= 0)
        u, v = hit["u"][rays], hit["v"][rays]
        return Hits(rays, hit["primID"][rays], np.stack([1 - u - v, u, v], axis=1), hit["tfar"][rays])

    def blocked(self, origins: NDArray, directions: NDArray, lengths: NDArray) -> NDArray[np.bool_]:
        """`(M,)` whether something lies within `lengths (M,)` on rays as in `trace`."""
        found = self._embree.run(
            np.ascontiguousarray(origins), np.ascontiguousarray(directions), dists=lengths, query="OCCLUDED"
        )
        return np.asarray(found != -1)

    def meshes_of(self, hits: Hits) -> NDArray[np.int32]:
        """`(N,)` the number of the mesh that each ray hits."""
        return self._mesh_of_face.take(hits.face)

    def interpolated(self, values: NDArray, hits: Hits) -> NDArray[np.float32]:
        """`(C, N)` vertex `values (V, C)` where rays hit. A sparse product: four times faster than indexing."""
        starts = np.arange(0, 3 * len(hits.face) + 1, 3, dtype=np.int32)
        corners = self._faces.take(hits.face, axis=0).ravel()
        mixture = csr_matrix((hits.weights.ravel(), corners, starts), shape=(len(hits.face), len(self.vertices)))
        return np.ascontiguousarray((mixture @ values).T)

    def uv_per_metre(self, hits: Hits) -> NDArray[np.float32]:
        """`(N,)` how fast texture coordinates change over the faces that rays hit."""
        corners = self._faces.take(hits.face, axis=0)
        a, b, c = (self.vertices.take(corners[:, k], axis=0) for k in range(3))
        normal = np.cross(b - a, c - a)
        (du, dv), (eu, ev) = ((self.uv[corners[:, k]] - self.uv[corners[:, 0]]).T for k in (1, 2))
        area = np.sqrt(np.einsum("nc,nc->n", normal, normal))
        return np.asarray(np.sqrt(np.abs(du * ev - dv * eu) / np.maximum(area, 1e-12)))
