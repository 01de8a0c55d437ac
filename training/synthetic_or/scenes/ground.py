"""The floor as walkers see it: where they can stand, ways around things, and a doorway to leave by."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from training.synthetic_or.shapes.meshes import Mesh

_CELL_M = 0.1
#: Things between these heights are in a walker's way.
_LOW_M, _HIGH_M = 0.06, 1.75
#: Half a walker's width and a little more.
CLEARANCE_M = 0.27
_SAMPLE_M = 0.05  # spacing of the points that stand for a large triangle
_STEPS = tuple((i, j, float(np.hypot(i, j))) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
_SMOOTHING_M = 0.6


class Ground:
    """A grid of 10 cm cells over the room's floor, with the distance (m) of each cell from the nearest thing."""

    def __init__(self, furniture: Sequence[Mesh], room: NDArray) -> None:
        """`room (3,)`: its size (m); the origin is the middle of the floor."""
        self.half = np.asarray(room, float)[:2] / 2
        self.shape = (int(2 * self.half[0] / _CELL_M) + 1, int(2 * self.half[1] / _CELL_M) + 1)
        taken = np.zeros(self.shape, bool)
        for mesh in furniture:
            cells = self._cells(_points_of(mesh))
            inside = ((cells >= 0) & (cells < self.shape)).all(1)
            taken[cells[inside, 0], cells[inside, 1]] = True
        taken[[0, -1]], taken[:, [0, -1]] = True, True
        self.clearance = np.asarray(distance_transform_edt(~taken)) * _CELL_M
        self.centres = np.stack(np.meshgrid(*(np.arange(n) for n in self.shape), indexing="ij"), -1) * _CELL_M
        self.centres = self.centres - self.half + _CELL_M / 2

    def _cells(self, places: NDArray) -> NDArray[np.intp]:
        return np.floor((np.atleast_2d(places)[:, :2] + self.half) / _CELL_M).astype(np.intp)

    def cell(self, place: NDArray) -> tuple[int, int]:
        i, j = np.clip(self._cells(place)[0], 0, np.array(self.shape) - 1)
        return int(i), int(j)

    def open_cells(self, avoid: Sequence[tuple[NDArray, float]]) -> NDArray[np.bool_]:
        """Cells where a walker fits, none within the given distances (m) of the given places `(2,)`."""
        is_open = self.clearance > CLEARANCE_M
        for place, distance in avoid:
            is_open &= np.hypot(*np.moveaxis(self.centres - place[:2], -1, 0)) > distance
        return is_open

    def path(self, start: NDArray, goal: NDArray, is_open: NDArray[np.bool_]) -> NDArray | None:
        """`(N, 2)` m: a smooth way from `start` to `goal` over open cells, preferring the middle of gaps; or None.

        The start may be in a tight spot (somebody stands at the table): the cells around it count as open, at a price.
        """
        first, last = self.cell(start), self.cell(goal)
        if not is_open[last]:
            return None
        near_start = np.hypot(*np.moveaxis(self.centres - start[:2], -1, 0)) < 0.45
        passable = is_open | (near_start & (self.clearance > 0.12))
        passable[first] = True
        price = np.where(is_open, 1.0, 4.0) + 0.5 * np.clip(0.5 - self.clearance, 0, None) / 0.5
        cells = _cheapest(first, last, passable, price)
        if cells is None:
            return None
        way = np.array([self.centres[cell] for cell in cells])
        way[0], way[-1] = start[:2], goal[:2]
        return _smoothed(way, lambda places: self._all_passable(places, passable))

    def _all_passable(self, places: NDArray, passable: NDArray[np.bool_]) -> bool:
        cells = np.clip(self._cells(places), 0, np.array(self.shape) - 1)
        return bool(passable[cells[:, 0], cells[:, 1]].all())

    def doorway(self, rng: np.random.Generator) -> tuple[NDArray, NDArray] | None:
        """A place on a wall `(2,)` m with room to walk to it, and the direction out `(2,)`; None if there is none."""
        found = []
        for axis, sign in ((0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0)):
            outward = np.zeros(2)
            outward[axis] = sign
            for along in np.arange(-self.half[1 - axis] + 0.7, self.half[1 - axis] - 0.7, 0.2):
                place = outward * self.half[axis]
                place[1 - axis] = along
                if self._reachable_wall(place, outward):
                    found.append((place, outward))
        return found[int(rng.integers(len(found)))] if found else None

    def _reachable_wall(self, place: NDArray, outward: NDArray) -> bool:
        """Whether nothing but the wall itself is within half a metre of the last metre before `place`."""
        inside = np.linspace(0.25, 1.1, 8)
        cells = self._cells(place - inside[:, None] * outward)
        return bool((self.clearance[cells[:, 0], cells[:, 1]] > np.minimum(inside - 0.15, 0.45)).all())


def _points_of(mesh: Mesh) -> NDArray:
    """`(N, 2)` points that cover the parts of a mesh that are in the way."""
    corners = np.asarray(mesh.vertices)[mesh.faces]
    heights = corners[:, :, 2]
    corners = corners[(heights.max(1) > _LOW_M) & (heights.min(1) < _HIGH_M)]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    counts = 2 ** np.ceil(np.log2(np.maximum(edges / _SAMPLE_M, 1))).astype(int)
    points = []
    for count in np.unique(counts):
        u, v = (grid.ravel() / count for grid in np.meshgrid(np.arange(count + 1), np.arange(count + 1)))
        weights = np.stack([u, v, 1 - u - v], axis=1)[u + v <= 1 + 1e-9]
        points.append(np.einsum("pk,fkc->fpc", weights, corners[counts == count]).reshape(-1, 3))
    every = np.concatenate(points) if points else np.zeros((0, 3))
    return every[(every[:, 2] > _LOW_M) & (every[:, 2] < _HIGH_M), :2]


def _cheapest(
    first: tuple[int, int], last: tuple[int, int], passable: NDArray[np.bool_], price: NDArray
) -> list[tuple[int, int]] | None:
    """Dijkstra's shortest way from cell to cell, diagonals included."""
    passable = np.pad(passable, 1)  # a rim, so that neighbours need no bounds check
    cost = {first: 0.0}
    came_from: dict[tuple[int, int], tuple[int, int]] = {}
    queue = [(0.0, first)]
    while queue:
        so_far, cell = heapq.heappop(queue)
        if cell == last:
            way = [cell]
            while way[-1] != first:
                way.append(came_from[way[-1]])
            return way[::-1]
        if so_far > cost[cell]:
            continue
        for i, j, length in _STEPS:
            other = (cell[0] + i, cell[1] + j)
            if not passable[other[0] + 1, other[1] + 1]:
                continue
            total = so_far + length * float(price[other])
            if total < cost.get(other, np.inf):
                cost[other], came_from[other] = total, cell
                heapq.heappush(queue, (total, other))
    return None


def _smoothed(way: NDArray, passable: Callable[[NDArray], bool]) -> NDArray:
    """The way without corners: cut short where the straight line is free, then averaged over half a metre or so."""
    corners = [0]
    while corners[-1] < len(way) - 1:
        start = corners[-1]
        reach = range(len(way) - 1, start, -1)
        corners.append(next((k for k in reach if passable(resampled(way[[start, k]], 0.05))), start + 1))
    short = resampled(way[corners], 0.05)
    for width_m in (_SMOOTHING_M, _SMOOTHING_M / 2, _SMOOTHING_M / 4):
        half = max(1, int(width_m / 0.05 / 2))
        padded = np.concatenate([short[:1].repeat(half, 0), short, short[-1:].repeat(half, 0)])
        kernel = np.ones(2 * half + 1) / (2 * half + 1)
        smooth = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)
        smooth[0], smooth[-1] = short[0], short[-1]
        if passable(smooth):
            return smooth
    return short


def resampled(way: NDArray, spacing_m: float) -> NDArray:
    """Points about `spacing_m` apart along a way `(N, 2)`; the ends stay."""
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))]
    along = np.linspace(0, lengths[-1], max(2, int(lengths[-1] / spacing_m) + 1))
    return np.stack([np.interp(along, lengths, way[:, axis]) for axis in (0, 1)], axis=1)
