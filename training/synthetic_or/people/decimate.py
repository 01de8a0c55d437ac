"""Fewer triangles for the body bank: edges collapse where that changes the surface least (quadric error metrics).

Only vertices of the input survive, so that rest shapes and skinning weights are rows of the full body's.
Reference: Garland and Heckbert, "Surface simplification using quadric error metrics", 1997.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

#: Long edges cost more by this much (m^2 of error per m^2 of length): flat cloth keeps vertices to fold at.
_LENGTH_COST = 2e-3
_SMALLEST_TURN = 0.2  # cosine: a collapse that turns a face more than this is not done


def decimated(vertices: NDArray, faces: NDArray, num_faces: int) -> NDArray:
    """`(F, 3)` faces, about `num_faces` of them, over a subset of `vertices (V, 3)`."""
    mesh = _Mesh(vertices, faces)
    heap = [entry for u in range(len(vertices)) for entry in mesh.collapses(u) if entry[1] == u]
    heapq.heapify(heap)
    while heap and mesh.num_faces > num_faces:
        _, u, v, version = heapq.heappop(heap)
        if version != mesh.version[u] + mesh.version[v] or not mesh.may_collapse(u, v):
            continue
        for entry in mesh.collapses(mesh.collapse(u, v)):
            heapq.heappush(heap, entry)
    return mesh.faces()


class _Mesh:
    """A triangle mesh that can collapse edges. `_around[v]` holds the ids of v's faces."""

    def __init__(self, vertices: NDArray, faces: NDArray) -> None:
        self._vertices = vertices.astype(np.float64)
        self._faces: dict[int, tuple[int, int, int]] = {i: tuple(map(int, face)) for i, face in enumerate(faces)}  # type: ignore[misc]
        self._around: list[set[int]] = [set() for _ in vertices]
        self._quadrics = np.zeros((len(vertices), 4, 4))
        self.version = [0] * len(vertices)
        for i, face in self._faces.items():
            normal = self._normal(face)
            length = float(np.linalg.norm(normal))
            plane = np.append(normal, -normal @ self._vertices[face[0]]) / max(length, 1e-12)
            for vertex in face:
                self._around[vertex].add(i)
                self._quadrics[vertex] += np.outer(plane, plane) * length

    @property
    def num_faces(self) -> int:
        return len(self._faces)

    def faces(self) -> NDArray:
        return np.array(list(self._faces.values()))

    def collapses(self, u: int) -> list[tuple[float, int, int, int]]:
        """Cost, u, v and version of moving `u` onto each neighbour `v`, and of each neighbour onto `u`."""
        entries = []
        for v in self._neighbours(u):
            quadric = self._quadrics[u] + self._quadrics[v]
            length = self._vertices[u] - self._vertices[v]
            extra = _LENGTH_COST * float(length @ length) ** 2
            version = self.version[u] + self.version[v]
            for start, stop in ((u, v), (v, u)):
                place = np.append(self._vertices[stop], 1.0)
                entries.append((float(place @ quadric @ place) + extra, start, stop, version))
        return entries

    def may_collapse(self, u: int, v: int) -> bool:
        """Whether the surface stays a surface, keeps its borders and does not fold over."""
        common = self._around[u] & self._around[v]
        if len(common) != 2 or len(self._neighbours(u) & self._neighbours(v)) != 2:
            return False
        if len(self._neighbours(u)) != len(self._around[u]):  # on a border
            return False
        for i in self._around[u] - common:
            before = self._normal(self._faces[i])
            after = self._normal(self._moved(self._faces[i], u, v))
            if before @ after < _SMALLEST_TURN * np.linalg.norm(before) * np.linalg.norm(after) + 1e-16:
                return False
        return True

    def collapse(self, u: int, v: int) -> int:
        """Moves `u` onto `v`; returns `v`, whose costs changed."""
        for i in list(self._around[u]):
            face = self._faces.pop(i)
            for vertex in face:
                self._around[vertex].discard(i)
            if v not in face:
                self._faces[i] = self._moved(face, u, v)
                for vertex in self._faces[i]:
                    self._around[vertex].add(i)
        self._quadrics[v] += self._quadrics[u]
        self.version[v] += 1
        return v

    def _neighbours(self, vertex: int) -> set[int]:
        return {other for i in self._around[vertex] for other in self._faces[i]} - {vertex}

    @staticmethod
    def _moved(face: tuple[int, int, int], u: int, v: int) -> tuple[int, int, int]:
        a, b, c = (v if vertex == u else vertex for vertex in face)
        return a, b, c

    def _normal(self, face: tuple[int, int, int]) -> NDArray:
        a, b, c = self._vertices[list(face)]
        return np.array(_cross(b - a, c - a)) * 0.5


def _cross(a: NDArray, b: NDArray) -> tuple[float, float, float]:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
