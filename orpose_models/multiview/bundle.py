"""Bundle adjustment: camera poses and points that fit what was seen best. Needs scipy (the extra `calibrate`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix
from scipy.spatial.transform import Rotation

from orpose_models.annotations import Camera

#: Residuals beyond this many px count less and less (soft L1), at least.
_LEAST_SCALE_PX = 1.0
_MAX_EVALUATIONS = 200
#: A point behind a camera is this far off, px.
_UNSEEN_PX = 1e3


class Observations(NamedTuple):
    """M sightings of N points."""

    camera: NDArray[np.int64]
    """`(M,)` index of the camera."""
    point: NDArray[np.int64]
    """`(M,)` index of the point."""
    pixels: NDArray[np.float64]
    """`(M, 2)` px."""
    weights: NDArray[np.float64]
    """`(M,)`."""


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The best fit, in the frame of the first camera, whose pose is kept.

    Attributes:
        cameras: With their poses (`room_from_camera`).
        points: `(N, 3)` m.
        errors_px: `(M,)` distance of each sighting from its projected point.
    """

    cameras: dict[str, Camera]
    points: NDArray[np.float64]
    errors_px: NDArray[np.float64]


def adjust(
    cameras: Mapping[str, Camera],
    points: NDArray[np.float64],
    seen: Observations,
    rigid: Sequence[NDArray[np.int64]] = (),
) -> Adjusted:
    """Moves all cameras but the first, and the points, until they fit.

    Args:
        cameras: With first guesses of their poses.
        points: `(N, 3)` first guesses.
        seen: What was seen; every point by two cameras at least, or as part of a rigid body.
        rigid: Index sets of points that move as one body each (a board in one image), all points or none.
    """
    names = list(cameras)
    first_cameras = np.concatenate([_vector(_pose(cameras[name])) for name in names[1:]])
    bodies = [points[body] - points[body].mean(axis=0) for body in rigid]
    if rigid:
        first_structure = np.concatenate([np.r_[np.zeros(3), points[body].mean(axis=0)] for body in rigid])
    else:
        first_structure = points.ravel()

    def split(vector: NDArray[np.float64]) -> tuple[dict[str, Camera], NDArray[np.float64]]:
        moved = dict(cameras)
        for index, name in enumerate(names[1:]):
            moved[name] = replace(cameras[name], room_from_camera=_matrix(vector[6 * index : 6 * index + 6]))
        structure = vector[len(first_cameras) :]
        if not rigid:
            return moved, structure.reshape(-1, 3)
        placed = np.array(points)
        for body, shape, pose in zip(rigid, bodies, structure.reshape(-1, 6), strict=True):
            placed[body] = Rotation.from_rotvec(pose[:3]).apply(shape) + pose[3:]
        return moved, placed

    def residuals(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        moved, placed = split(vector)
        return (_offsets(list(moved.values()), placed, seen) * np.sqrt(seen.weights)[:, None]).ravel()

    start = np.concatenate([first_cameras, first_structure])
    scale_px = max(_LEAST_SCALE_PX, float(np.median(np.abs(residuals(start)))))
    pattern = _pattern(len(names), len(points), seen, rigid)
    for _ in range(2):  # the second time with the scale of what is left
        fit = least_squares(
            residuals, start, jac_sparsity=pattern, x_scale="jac", loss="soft_l1", f_scale=scale_px, method="trf",
            max_nfev=_MAX_EVALUATIONS, ftol=1e-6, xtol=1e-8,
        )  # fmt: skip
        start = fit.x
        scale_px = max(_LEAST_SCALE_PX, float(np.median(np.abs(residuals(start)))))
    moved, placed = split(start)
    errors = np.sqrt((_offsets(list(moved.values()), placed, seen) ** 2).sum(axis=1))
    return Adjusted(moved, placed, errors)


def _offsets(cameras: Sequence[Camera], points: NDArray[np.float64], seen: Observations) -> NDArray[np.float64]:
    """`(M, 2)` px from where a point was seen to where it should be."""
    offsets = np.empty((len(seen.camera), 2))
    for index, camera in enumerate(cameras):
        own = seen.camera == index
        offsets[own] = project(camera, points[seen.point[own]]) - seen.pixels[own]
    return np.clip(np.nan_to_num(offsets, nan=_UNSEEN_PX), -_UNSEEN_PX, _UNSEEN_PX)


def project(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(N, 2)` px of `(N, 3)` points in the room; NaN where the camera does not see."""
    pose = _pose(camera)
    return camera.lens.project((points - pose[:3, 3]) @ pose[:3, :3])


def triangulate(cameras: Sequence[Camera], pixels: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray:
    """`(N, 3)` points nearest to the rays of `(V, N, 2)` px in V cameras, weighted `(V, N)`.

    Points need two rays of weight that are not parallel.
    """
    blocks, pulls = np.zeros((pixels.shape[1], 3, 3)), np.zeros((pixels.shape[1], 3))
    for camera, own, own_weights in zip(cameras, pixels, weights, strict=True):
        pose = _pose(camera)
        rays = camera.lens.rays(own) @ pose[:3, :3].T
        known = np.isfinite(rays).all(axis=1)
        across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
        across = np.where(known[:, None, None], across, 0.0) * own_weights[:, None, None]
        blocks += across
        pulls += across @ pose[:3, 3]
    return np.linalg.solve(blocks + 1e-9 * np.eye(3), pulls[..., None])[..., 0]


def _pattern(cameras: int, points: int, seen: Observations, rigid: Sequence[NDArray[np.int64]]) -> lil_matrix:
    """Which residuals depend on which unknowns."""
    first_structure = 6 * (cameras - 1)
    width = 6 if rigid else 3
    owner = np.arange(points)
    for number, body in enumerate(rigid):
        owner[body] = number
    pattern = lil_matrix((2 * len(seen.camera), first_structure + width * (len(rigid) or points)), dtype=np.int8)
    for row, (camera, point) in enumerate(zip(seen.camera, seen.point, strict=True)):
        if camera > 0:
            pattern[2 * row : 2 * row + 2, 6 * (camera - 1) : 6 * camera] = 1
        column = first_structure + width * owner[point]
        pattern[2 * row : 2 * row + 2, column : column + width] = 1
    return pattern


def _pose(camera: Camera) -> NDArray[np.float64]:
    assert camera.room_from_camera is not None
    return np.asarray(camera.room_from_camera)


def _vector(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.r_[Rotation.from_matrix(pose[:3, :3]).as_rotvec(), pose[:3, 3]]


def _matrix(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(vector[:3]).as_matrix(), vector[3:]
    return pose
