"""Cameras of the synthetic room: intrinsics with lens distortion, poses, and the families seen in real rooms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

#: Fixed-point steps that bend a pixel ray back through a lens with tangential distortion.
_TANGENTIAL_STEPS = 10
#: Radii of the table that inverts radial distortion; linear between them, an error below 1e-4 px.
_TABLE_SIZE = 4096


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with plumb_bob distortion.

    Attributes:
        image_size: Width, height in px.
        fx, fy, cx, cy: Intrinsics in px.
        distortion: k1, k2, p1, p2, k3 (OpenCV's order).
        room_from_camera: `(4, 4)` pose in metres; camera axes x right, y down, z forward.
    """

    image_size: tuple[int, int]
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, float, float, float, float]
    room_from_camera: NDArray

    def camera_points_from_room(self, points_in_room: NDArray) -> NDArray:
        """`(N, 3)` m in the camera frame."""
        rotation, position = self.room_from_camera[:3, :3], self.room_from_camera[:3, 3]
        return (np.asarray(points_in_room) - position) @ rotation

    def project(self, points_in_camera: NDArray) -> NDArray:
        """`(N, 2)` px of camera-frame points; NaN behind the camera (z < 5 cm)."""
        depth = np.where(points_in_camera[:, 2] > 0.05, points_in_camera[:, 2], np.nan)
        normalised = self._distort(points_in_camera[:, :2] / depth[:, None])
        return normalised * (self.fx, self.fy) + (self.cx, self.cy)

    def _distort(self, xy: NDArray) -> NDArray:
        return xy * self._radial((xy * xy).sum(1))[:, None] + self._tangential(xy)

    def _radial(self, r2: NDArray) -> NDArray:
        k1, k2, _, _, k3 = self.distortion
        # Beyond the radius where the polynomial turns back, real lenses show nothing: hold it there.
        r2 = np.minimum(r2, self._largest_r2)
        return 1 + r2 * (k1 + r2 * (k2 + r2 * k3))

    def _tangential(self, xy: NDArray) -> NDArray:
        _, _, p1, p2, _ = self.distortion
        x, y = xy[:, 0], xy[:, 1]
        r2 = np.minimum(x * x + y * y, self._largest_r2)
        return np.stack([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=1)

    @cached_property
    def _largest_r2(self) -> float:
        k1, k2, _, _, k3 = self.distortion
        r2 = np.linspace(0, 9, 400)
        slope = 1 + 3 * k1 * r2 + 5 * k2 * r2**2 + 7 * k3 * r2**3
        bad = np.flatnonzero(slope < 0.05)
        return float(r2[bad[0]]) if len(bad) else 9.0

    def pixel_rays(self) -> NDArray:
        """`(H * W, 3)` directions in the camera frame with z = 1, through the pixel centres, row-major."""
        width, height = self.image_size
        x = (np.arange(width) + 0.5 - self.cx) / self.fx
        y = (np.arange(height) + 0.5 - self.cy) / self.fy
        wanted = np.stack([np.tile(x, height), np.repeat(y, width)], axis=1)
        xy = self._undistort(wanted) if any(self.distortion) else wanted
        return np.column_stack([xy, np.ones(len(xy))])

    def _undistort(self, wanted: NDArray) -> NDArray:
        """The points that `_distort` sends to `wanted (N, 2)`: radially by a table, tangentially by iteration."""
        xy = self._straighten(wanted)
        for _ in range(_TANGENTIAL_STEPS if any(self.distortion[2:4]) else 0):
            xy = self._straighten(wanted - self._tangential(xy))
        return xy

    def _straighten(self, points: NDArray) -> NDArray:
        radius = np.append(np.linspace(0, np.sqrt(self._largest_r2), _TABLE_SIZE), 100.0)
        r = np.sqrt(np.einsum("nc,nc->n", points, points))
        straight = np.interp(r, radius * self._radial(radius**2), radius)
        return points * (straight / np.maximum(r, 1e-12))[:, None]


def look_at(position: NDArray, target: NDArray, roll_deg: float) -> NDArray:
    """`(4, 4)` room_from_camera of a camera at `position` that looks at `target` (m), turned by `roll_deg`."""
    forward = target - position
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    length = float(np.linalg.norm(right))
    right = right / length if length > 1e-6 else np.array([1.0, 0.0, 0.0])
    down = np.cross(forward, right)
    roll = np.radians(roll_deg)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
    pose[:3, 1] = -np.sin(roll) * right + np.cos(roll) * down
    pose[:3, 2] = forward
    pose[:3, 3] = position
    return pose


def sample_cameras(
    domain: str, views: int, image_size: tuple[int, int], table: NDArray, room_size: NDArray, rng: np.random.Generator
) -> list[Camera]:
    """Cameras around `table (3,)` in a room of `room_size (3,)` m: MVOR's family, wide ceiling lenses, or eye level."""
    family = "eye" if domain == "everyday" else str(rng.choice(["mvor", "wide", "mixed"], p=[0.42, 0.40, 0.18]))
    start = rng.uniform(0, 360)
    return [
        _sample_camera(
            family, start + 360.0 * view / max(views, 3) + rng.normal(0, 20), image_size, table, room_size, rng
        )
        for view in range(views)
    ]


def _sample_camera(
    family: str, azimuth_deg: float, image_size: tuple[int, int], table: NDArray, room_size: NDArray,
    rng: np.random.Generator,
) -> Camera:  # fmt: skip
    width, height = image_size
    focal, camera_height, distance, pitch, k1, k2 = _sample_family(family, rng)
    azimuth = np.radians(azimuth_deg)
    distance = float(np.clip(distance, 0.4, 4.6))
    position = np.array([table[0] + distance * np.cos(azimuth), table[1] + distance * np.sin(azimuth), camera_height])
    margin = 0.15
    position[:2] = np.clip(position[:2], -room_size[:2] / 2 + margin, room_size[:2] / 2 - margin)
    position[2] = min(position[2], room_size[2] - 0.1)
    heading = np.arctan2(table[1] - position[1], table[0] - position[0]) + np.radians(rng.normal(0, 12))
    direction = np.array([np.cos(heading), np.sin(heading), -np.tan(np.radians(pitch))])
    pose = look_at(position, position + direction, rng.normal(0, 4))
    scale = width / 640.0
    return Camera(
        image_size, focal * scale, focal * scale * rng.uniform(0.995, 1.005),
        width / 2 + rng.normal(0, 4) * scale, height / 2 + rng.normal(0, 4) * scale, (k1, k2, 0.0, 0.0, 0.0), pose,
    )  # fmt: skip


def _sample_family(family: str, rng: np.random.Generator) -> tuple[float, float, float, float, float, float]:
    """Focal length (px at 640x480), height and distance from the table (m), pitch (degrees), k1, k2."""
    if family == "mvor":
        focal, camera_height = rng.uniform(520, 555), rng.uniform(2.05, 2.5)
        return focal, camera_height, rng.uniform(1.9, 3.2), rng.uniform(24, 42), 0.0, 0.0
    if family == "wide":
        focal, camera_height = rng.uniform(300, 340), rng.uniform(2.45, 3.2)
        pitch = rng.uniform(28, 80)
        distance = (camera_height - 1.0) / np.tan(np.radians(pitch)) + rng.normal(0, 0.4)
        # With k2 above 0.45 k1^2 the polynomial never turns back: every point of the image has one ray.
        k1, k2_ratio = rng.uniform(-0.16, -0.02), rng.uniform(0.55, 1.1)
        return focal, camera_height, distance, pitch, k1, k2_ratio * k1**2
    if family == "eye":
        focal, camera_height = rng.uniform(450, 750), rng.uniform(1.2, 1.9)
        return focal, camera_height, rng.uniform(2.5, 4.5), rng.uniform(-3, 14), 0.0, 0.0
    focal, camera_height = rng.uniform(320, 620), rng.uniform(1.6, 3.0)
    return focal, camera_height, rng.uniform(1.5, 3.6), rng.uniform(10, 55), rng.uniform(-0.08, 0.02), 0.0
