"""How lenses bend light: pixels of points and rays of pixels for the camera models of label files. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

#: Camera model -> how many distortion coefficients it may have, in the order of ROS' CameraInfo and OpenCV.
COEFFICIENTS = {"plumb_bob": (0, 4, 5), "rational_polynomial": (8,), "equidistant": (0, 4)}

#: Nearer than this to the camera's plane (m) a pinhole camera sees nothing.
_NEAREST_M = 0.05
#: An equidistant lens sees this far off its axis: a hair less than a half space, so that depth stays positive.
_WIDEST_RAD = np.radians(89.5)
#: A pinhole camera's polynomial holds up to this x / z (71 degrees off the axis).
_WIDEST_PINHOLE = 3.0
#: Fixed-point steps that bend a ray back through a lens with tangential distortion.
_TANGENTIAL_STEPS = 10
#: Radii or angles of the table that inverts distortion; linear between them, an error below 1e-4 px.
_TABLE_SIZE = 4096
#: A lens ends where its polynomial grows more slowly than this: beyond, one pixel would have several rays.
_SMALLEST_SLOPE = 0.05


@dataclass(frozen=True)
class Lens:
    """Intrinsics of a camera; the camera frame is x right, y down, z forward, pixels count from the image's edge.

    Attributes:
        model: `plumb_bob` and `rational_polynomial` (k1, k2, p1, p2, k3[, k4, k5, k6]) or `equidistant`, OpenCV's
            fisheye: k1 to k4, radius = f (angle + k1 angle^3 + k2 angle^5 + k3 angle^7 + k4 angle^9).
        fx, fy, cx, cy: Focal lengths and principal point, px.
        distortion: Coefficients; none: a perfect lens.

    Raises:
        ValueError: Unknown model, wrong number of coefficients, a focal length that is not positive.
    """

    model: str
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.model not in COEFFICIENTS:
            raise ValueError(f"model: expected one of {', '.join(COEFFICIENTS)}, got {self.model!r}")
        counts = COEFFICIENTS[self.model]
        if len(self.distortion) not in counts:
            expected = " or ".join(map(str, counts))
            raise ValueError(f"distortion: expected {expected} numbers for {self.model}, got {len(self.distortion)}")
        if not (self.fx > 0 and self.fy > 0):
            raise ValueError(f"fx, fy: expected focal lengths above 0 px, got {self.fx:g}, {self.fy:g}")

    def project(self, points_in_camera: NDArray) -> NDArray:
        """`(N, 2)` px of `(N, 3)` camera-frame points; NaN behind the camera or outside a fisheye's image circle."""
        points = np.asarray(points_in_camera, np.float64)
        bent = self._bend_fisheye(points) if self.model == "equidistant" else self._bend_pinhole(points)
        return bent * (self.fx, self.fy) + (self.cx, self.cy)

    def rays(self, pixels: NDArray) -> NDArray:
        """`(N, 3)` unit directions in the camera frame of pixels `(N, 2)`; NaN outside a fisheye's image circle."""
        bent = (np.asarray(pixels, np.float64) - (self.cx, self.cy)) / (self.fx, self.fy)
        if self.model == "equidistant":
            return self._straight_fisheye(bent)
        straight = np.column_stack([self._straight_pinhole(bent), np.ones(len(bent))])
        return straight / np.sqrt(np.einsum("nc,nc->n", straight, straight))[:, None]

    @property
    def widest_radius(self) -> float:
        """How far from the principal point this lens shows something, in focal lengths."""
        return float(self._table[1][-1])

    # ------------------------------------------------------------------------------------------------------- fisheye

    def _bend_fisheye(self, points: NDArray) -> NDArray:
        sideways = np.hypot(points[:, 0], points[:, 1])
        angle = np.arctan2(sideways, points[:, 2])
        radius = np.where(angle <= self._table[0][-1], self._radius_at(angle), np.nan)
        return points[:, :2] * (radius / np.maximum(sideways, 1e-12))[:, None]

    def _straight_fisheye(self, bent: NDArray) -> NDArray:
        angles, radii = self._table
        radius = np.sqrt(np.einsum("nc,nc->n", bent, bent))
        angle = np.interp(radius, radii, angles, right=np.nan)
        return np.column_stack([bent * (np.sin(angle) / np.maximum(radius, 1e-12))[:, None], np.cos(angle)])

    def _radius_at(self, angle: NDArray) -> NDArray:
        k1, k2, k3, k4 = self.distortion or (0.0,) * 4
        a2 = angle * angle
        return angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))

    # ------------------------------------------------------------------------------------------------------- pinhole

    def _bend_pinhole(self, points: NDArray) -> NDArray:
        xy = points[:, :2] / np.where(points[:, 2] > _NEAREST_M, points[:, 2], np.nan)[:, None]
        if not any(self.distortion):
            return xy
        radius = np.sqrt(np.einsum("nc,nc->n", xy, xy))
        return xy * self._scale_at(radius)[:, None] + self._tangential(xy)

    def _straight_pinhole(self, bent: NDArray) -> NDArray:
        if not any(self.distortion):
            return bent
        xy = self._without_radial(bent)
        for _ in range(_TANGENTIAL_STEPS if any(self.distortion[2:4]) else 0):
            xy = self._without_radial(bent - self._tangential(xy))
        return xy

    def _without_radial(self, points: NDArray) -> NDArray:
        straight, bent = self._table
        radius = np.sqrt(np.einsum("nc,nc->n", points, points))
        # Beyond the table the lens goes on with the scale that it has at the table's end.
        inside = np.interp(radius, bent, straight, right=np.nan)
        found = np.where(np.isnan(inside), radius * (straight[-1] / bent[-1]), inside)
        return points * (found / np.maximum(radius, 1e-12))[:, None]

    def _scale_at(self, radius: NDArray) -> NDArray:
        return self._scale(np.minimum(radius, self._table[0][-1]) ** 2)

    def _scale(self, r2: NDArray) -> NDArray:
        k1, k2, _, _, k3, k4, k5, k6 = (*self.distortion, *(0.0,) * (8 - len(self.distortion)))
        return (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))

    def _tangential(self, xy: NDArray) -> NDArray:
        p1, p2 = self.distortion[2:4]
        x, y = xy[:, 0], xy[:, 1]
        r2 = np.minimum(x * x + y * y, self._table[0][-1] ** 2)
        return np.stack([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=1)

    @cached_property
    def _table(self) -> tuple[NDArray, NDArray]:
        """Angles (fisheye, rad) or radii (pinhole, x / z) before the lens and radii behind it, both growing."""
        if self.model == "equidistant":
            before = np.linspace(0, _WIDEST_RAD, _TABLE_SIZE)
            after = self._radius_at(before)
        else:
            before = np.linspace(0, _WIDEST_PINHOLE, _TABLE_SIZE)
            after = before * self._scale(before**2)
        turns = np.flatnonzero(np.diff(after) < _SMALLEST_SLOPE * before[1])
        end = int(turns[0]) + 1 if len(turns) else _TABLE_SIZE
        return before[:end], after[:end]
