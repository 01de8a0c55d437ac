"""Drapes: sheets over a patient, a table or a frame, whose sides hang in folds. Table frame: x along it, z up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, grey_closing, map_coordinates, maximum_filter

from training.synthetic_or.shapes.cloth import creases, pleats
from training.synthetic_or.shapes.materials import METAL, Rng, grey
from training.synthetic_or.shapes.meshes import Material, Mesh, cylinder, grid_faces, grid_uv, linear, surface

#: sRGB of drapes and how often: teal, green and light blue; white sheets and blankets.
_COLOURS = (
    ((0.25, 0.55, 0.58), 3.0), ((0.33, 0.60, 0.60), 2.0), ((0.22, 0.46, 0.40), 1.5), ((0.45, 0.65, 0.82), 2.5),
    ((0.30, 0.48, 0.80), 1.5), ((0.62, 0.80, 0.82), 1.0), ((0.88, 0.90, 0.92), 2.0), ((0.95, 0.96, 0.97), 1.2),
)  # fmt: skip
_CELL_M = 0.035  # of the lying part
_PLEAT_CELL_M = 0.026  # along the hanging part's edge
_RINGS = 11
_THICKNESS_M = 0.02
_CORNER_M = 0.3  # of cloth's edge that is gathered at each corner


def drape_material(rng: Rng) -> Material:
    """Non-woven paper or cotton: fine wrinkles, a faint sheen on some."""
    return Material(
        noise=0.05, folds=rng.uniform(0.25, 0.5), fold_scale=(7.0, 7.0, 2.0), gloss=float(rng.uniform(0.02, 0.1))
    )


def drape_colour(rng: Rng) -> NDArray:
    weights = np.array([weight for _, weight in _COLOURS])
    colour = np.array(_COLOURS[rng.choice(len(_COLOURS), p=weights / weights.sum())][0])
    return linear(*(colour + rng.normal(0, 0.03, 3) + rng.normal(0, 0.03)))


def drape_over(
    points: NDArray, bounds: tuple[float, float, float, float], table_height: float, rng: Rng,
    hang: tuple[float, float, float, float] | None = None, colour: NDArray | None = None,
) -> list[Mesh]:  # fmt: skip
    """A sheet over `points (N, 3)` (m), hanging down outside `bounds` (x0, x1, y0, y1).

    Args:
        points: What lies under it; may be empty.
        bounds: The table's edges, m.
        table_height: Of its surface, m.
        rng: Draws folds and what is not given.
        hang: How far it hangs down at each of the bounds, m; 0 ends it there, lying.
        colour: `(3,)` linear.
    """
    if hang is None:
        both, ends = rng.uniform(0.2, 0.65), rng.uniform(0.15, 0.6)
        hang = (ends, ends, both, both)
    colour = drape_colour(rng) if colour is None else colour
    xs, ys, height = _lying(points, bounds, table_height, rng)
    grid = np.stack([*np.meshgrid(xs, ys, indexing="ij"), height], axis=-1)
    material = drape_material(rng)
    shape = (len(xs), len(ys))
    top = surface(grid.reshape(-1, 3), grid_faces(*shape), colour, material, grid_uv(*shape))
    return [top, _hanging(xs, ys, height, hang, colour, material, rng)]


def _lying(
    points: NDArray, bounds: tuple[float, float, float, float], table_height: float, rng: Rng
) -> tuple[NDArray, NDArray, NDArray]:
    """Grid lines `(X,)`, `(Y,)` and heights `(X, Y)` of the part that lies: it spans hollows like a tent."""
    x0, x1, y0, y1 = bounds
    xs = np.linspace(x0, x1, max(3, round((x1 - x0) / _CELL_M)))
    ys = np.linspace(y0, y1, max(3, round((y1 - y0) / _CELL_M)))
    height = np.full((len(xs), len(ys)), table_height)
    inside = (points[:, 0] > x0) & (points[:, 0] < x1) & (points[:, 1] > y0 - 0.06) & (points[:, 1] < y1 + 0.06)
    ix = np.searchsorted(xs, points[inside, 0]).clip(0, len(xs) - 1)
    iy = np.searchsorted(ys, points[inside, 1]).clip(0, len(ys) - 1)
    np.maximum.at(height, (ix, iy), points[inside, 2])
    # Widened before it is smoothed, so that what lies under it does not come through.
    raised = maximum_filter(grey_closing(height, (5, 7), mode="nearest"), 3, mode="nearest")
    height = gaussian_filter(raised, 0.9, mode="nearest") + _THICKNESS_M
    ruffled = gaussian_filter(rng.standard_normal(height.shape), (rng.uniform(1, 3), rng.uniform(1, 3)))
    height += 0.006 * np.abs(ruffled) / max(float(ruffled.std()), 1e-9)
    if rng.random() < 0.5:
        height += 0.005 * creases(xs, rng)[:, None] + 0.005 * creases(ys, rng)[None]
    return xs, ys, height


def _hanging(
    xs: NDArray, ys: NDArray, height: NDArray, hang: tuple[float, float, float, float], colour: NDArray,
    material: Material, rng: Rng,
) -> Mesh:  # fmt: skip
    """The part around the edge: sides fall in pleats, corners in cones that reach lower."""
    edge, outward, length, gathered = _outline(xs, ys, hang)
    step = np.maximum(np.linalg.norm(np.roll(edge, -1, axis=0) - edge, axis=1), _CORNER_M / 13)
    around = np.cumsum(step) - step
    down = np.linspace(0, 1, _RINGS) ** 0.8
    wave = pleats(around, down, rng.uniform(0.09, 0.17), rng, period=float(step.sum()))
    depth = down[:, None] * length
    swing = 0.08 + 0.03 * gathered + (rng.uniform(0.16, 0.3) - 0.04 * gathered) * wave
    out = _THICKNESS_M * np.minimum(depth / 0.03, 1) + depth * swing
    out = np.maximum(out, np.minimum(0.004 + 0.01 * down[:, None], 0.3 * depth + 0.002))
    ix = np.interp(edge[:, 0], xs, np.arange(len(xs)))
    iy = np.interp(edge[:, 1], ys, np.arange(len(ys)))
    start = map_coordinates(height, [ix, iy], order=1, mode="nearest")
    # Cloth that goes outwards in a fold does not reach down as far.
    z = start + 0.001 - depth * (1 - 0.04 * np.clip(wave, 0, 1)) + 0.2 * (out - 0.02).clip(0) * down[:, None]
    x, y = (edge[:, axis] + outward[:, axis] * out for axis in (0, 1))
    vertices = np.stack([x, y, np.maximum(z, 0.015)], axis=-1).reshape(-1, 3)
    shape = (_RINGS, len(edge))
    return surface(vertices, grid_faces(*shape, closed=True), colour, material, grid_uv(*shape))


def _outline(
    xs: NDArray, ys: NDArray, hang: tuple[float, float, float, float]
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Around the lying part: points `(E, 2)`, outward directions `(E, 2)`, lengths that hang there `(E,)`, m, and how
    much of a corner's gathered cloth each point is, 0 to 1."""
    x0, x1, y0, y1 = xs[0], xs[-1], ys[0], ys[-1]
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    normals = np.array([(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)])
    hangs = (hang[2], hang[1], hang[3], hang[0])
    parts: list[tuple[NDArray, NDArray, NDArray, NDArray]] = []
    turn = np.linspace(0, np.pi / 2, 14)[1:-1]
    for side in range(4):
        start, stop, after = corners[side], corners[(side + 1) % 4], (side + 1) % 4
        share = np.linspace(0, 1, max(4, round(float(np.linalg.norm(stop - start)) / _PLEAT_CELL_M)))[:, None]
        straight = start + (stop - start) * share
        flat = np.zeros(len(share))
        parts.append((straight, np.broadcast_to(normals[side], straight.shape), flat + hangs[side], flat))
        direction = np.cos(turn)[:, None] * normals[side] + np.sin(turn)[:, None] * normals[after]
        length = np.cos(turn) ** 2 * hangs[side] + np.sin(turn) ** 2 * hangs[after]
        length = length + 0.25 * min(hangs[side], hangs[after]) * np.sin(2 * turn)
        parts.append((np.repeat(stop[None], len(turn), axis=0), direction, length, np.sin(2 * turn)))
    points, outward, length, gathered = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return points, outward, length, gathered


def screen_drape(x: float, width: float, bottom: float, top: float, colour: NDArray, rng: Rng) -> list[Mesh]:
    """The sheet between anaesthetist and surgeons: clipped to two posts across the table at `x`, sagging between."""
    rows, columns = 14, 44
    down, across = np.linspace(0, 1, rows), np.linspace(-1, 1, columns)
    wave = pleats(across + 1, down, 0.16, rng, period=2.5)
    sag = rng.uniform(0.01, 0.06)
    z = top - sag * (1 - across**2)[None] * (1 - down[:, None]) - down[:, None] * (top - bottom)
    lean = rng.normal(0, 0.08)
    px = x + lean * (1 - down)[:, None] + 0.05 * wave
    py = np.broadcast_to(across * width / 2, px.shape)
    vertices = np.stack([px, py, z], axis=-1).reshape(-1, 3)
    cloth = surface(vertices, grid_faces(rows, columns), colour, drape_material(rng), grid_uv(rows, columns))
    posts = [
        cylinder(0.012, top - bottom + 0.25, grey(rng, 0.4, 0.8), METAL).moved(
            offset=(x, side * width / 2, bottom - 0.25)
        )
        for side in (-1.0, 1.0)
    ]
    return [cloth, *posts]
