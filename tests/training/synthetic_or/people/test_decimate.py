"""Decimation keeps a closed surface closed and where it was."""

from __future__ import annotations

import numpy as np

from training.synthetic_or.people.decimate import decimated


def torus(rings: int, sides: int) -> tuple[np.ndarray, np.ndarray]:
    """A torus of radii 1 and 0.4: vertices and faces, closed both ways."""
    u, v = np.meshgrid(*(np.linspace(0, 2 * np.pi, n, endpoint=False) for n in (rings, sides)), indexing="ij")
    radius = 1 + 0.4 * np.cos(v)
    vertices = np.stack([radius * np.cos(u), radius * np.sin(u), 0.4 * np.sin(v)], axis=-1).reshape(-1, 3)
    i, j = (index.ravel() for index in np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij"))
    a, b = i * sides + j, i * sides + (j + 1) % sides
    c, d = (i + 1) % rings * sides + j, (i + 1) % rings * sides + (j + 1) % sides
    return vertices, np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def test_a_torus_stays_a_torus():
    vertices, faces = torus(40, 24)
    fewer = decimated(vertices, faces, 700)
    assert 690 <= len(fewer) <= 700
    edges = np.sort(np.concatenate([fewer[:, [0, 1]], fewer[:, [1, 2]], fewer[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    assert (count == 2).all()  # closed, no edge with three faces
    assert len(np.unique(fewer)) - len(unique) + len(fewer) == 0  # Euler's characteristic of a torus
    centres = vertices[fewer].mean(1)
    to_surface = np.hypot(np.hypot(centres[:, 0], centres[:, 1]) - 1, centres[:, 2]) - 0.4
    assert np.abs(to_surface).max() < 0.06


def test_faces_keep_their_side():
    vertices, faces = torus(30, 16)
    fewer = decimated(vertices, faces, 400)
    a, b, c = (vertices[fewer[:, corner]] for corner in range(3))
    middle = (a + b + c) / 3
    ring = middle * [1, 1, 0] / np.linalg.norm(middle[:, :2], axis=1, keepdims=True)
    assert (np.einsum("fc,fc->f", np.cross(b - a, c - a), middle - ring) > 0).all()
