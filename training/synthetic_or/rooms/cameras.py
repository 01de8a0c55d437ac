"""Cameras of the synthetic room: lenses, poses, and the families seen in real rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orpose_models.lens import Lens

#: How often the cameras of an operating room are of each family: MVOR's, wide lenses at the ceiling, overhead
#: fisheyes, and between the first two.
_SHARES = {"mvor": 0.38, "ceiling": 0.38, "fisheye": 0.1, "between": 0.14}


@dataclass(frozen=True)
class Camera:
    """A camera in the room.

    Attributes:
        image_size: Width, height in px.
        fx, fy, cx, cy: Intrinsics in px.
        distortion: Coefficients of `model`, in the order of ROS' CameraInfo.
        room_from_camera: `(4, 4)` pose in metres; camera axes x right, y down, z forward.
        model: `plumb_bob`, `rational_polynomial` or `equidistant`.
    """

    image_size: tuple[int, int]
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...]
    room_from_camera: NDArray
    model: str = "plumb_bob"

    @cached_property
    def lens(self) -> Lens:
        return Lens(self.model, self.fx, self.fy, self.cx, self.cy, self.distortion)

    def resized(self, image_size: tuple[int, int]) -> Camera:
        """The same view in another number of pixels."""
        sx, sy = image_size[0] / self.image_size[0], image_size[1] / self.image_size[1]
        return replace(self, image_size=image_size, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy)

    def camera_points_from_room(self, points_in_room: NDArray) -> NDArray:
        """`(N, 3)` m in the camera frame."""
        rotation, position = self.room_from_camera[:3, :3], self.room_from_camera[:3, 3]
        return (np.asarray(points_in_room) - position) @ rotation

    def project(self, points_in_camera: NDArray) -> NDArray:
        """`(N, 2)` px of camera-frame points; NaN where the lens does not see them."""
        return self.lens.project(points_in_camera)

    @cached_property
    def rays(self) -> Rays:
        """The rays through the pixel centres; worked out once a camera."""
        width, height = self.image_size
        x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
        directions = self.lens.rays(np.stack([np.tile(x, height), np.repeat(y, width)], axis=1))
        seen = np.isfinite(directions[:, 2])
        if seen.all():
            return Rays(directions.astype(np.float32), np.arange(len(directions)))
        return Rays(directions[seen].astype(np.float32), np.flatnonzero(seen))


@dataclass(frozen=True)
class Rays:
    """What a camera looks along: unit `directions (M, 3)` in its frame, and the M pixels, `row * width + column`.

    Pixels outside the image circle of a fisheye have no ray.
    """

    directions: NDArray[np.float32]
    pixels: NDArray[np.int64]


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


def sample_families(cameras: str, domain: str, views: int, rng: np.random.Generator) -> list[str]:
    """The family of each of a scene's `views` cameras, where `cameras` asks for one of them or for a mixture."""
    if cameras != "mixed":
        return [cameras] * views
    if domain == "everyday":
        return ["eye"] * views
    family = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    if family != "fisheye":
        return [family] * views
    # A fisheye on the ceiling mostly supplements ordinary cameras.
    return [family] + [str(rng.choice(["fisheye", "ceiling"])) for _ in range(views - 1)]


def sample_cameras(
    families: Sequence[str], image_size: tuple[int, int], table: NDArray, room_size: NDArray, rng: np.random.Generator
) -> list[Camera]:
    """One camera of each of `families`, all around `table (3,)` in a room of `room_size (3,)` m."""
    start = rng.uniform(0, 360)
    cameras = []
    for view, family in enumerate(families):
        azimuth_deg = start + 360.0 * view / max(len(families), 3) + rng.normal(0, 20)
        if family == "fisheye":
            cameras.append(_sample_fisheye(image_size, table, room_size, rng))
        else:
            cameras.append(_sample_pinhole(family, azimuth_deg, image_size, table, room_size, rng))
    return cameras


def _sample_fisheye(
    image_size: tuple[int, int], table: NDArray, room_size: NDArray, rng: np.random.Generator
) -> Camera:
    """An equidistant lens of nearly 180 degrees at the ceiling, looking down; its image round or cut by the frame."""
    width, height = image_size
    short = min(width, height)
    radius = short * (rng.uniform(0.46, 0.52) if rng.random() < 0.4 else rng.uniform(0.6, 0.95))
    distortion = (rng.uniform(-0.04, 0.03), rng.uniform(-0.004, 0.004), 0.0, 0.0)
    focal = radius / Lens("equidistant", 1.0, 1.0, 0.0, 0.0, distortion).widest_radius
    away, around = 1.8 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    position = np.array([table[0] + away * np.cos(around), table[1] + away * np.sin(around), 0.0])
    position[:2] = np.clip(position[:2], -room_size[:2] / 2 + 0.6, room_size[:2] / 2 - 0.6)
    position[2] = room_size[2] - rng.uniform(0.05, 0.2)
    tilt = np.tan(np.radians(np.clip(rng.normal(0, 4, 2), -10, 10)))
    pose = look_at(position, position + np.array([*tilt, -1.0]), rng.uniform(0, 360))
    cx, cy = np.array([width, height]) / 2 + rng.normal(0, 0.01 * short, 2)
    return Camera(image_size, focal, focal * rng.uniform(0.995, 1.005), cx, cy, distortion, pose, "equidistant")


def _sample_pinhole(
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
    heading = np.arctan2(table[1] - position[1], table[0] - position[0]) + np.radians(
        rng.normal(0, 8 if family == "mvor" else 12)
    )
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
        return focal, camera_height, rng.uniform(1.9, 3.2), rng.uniform(26, 40), 0.0, 0.0
    if family == "ceiling":
        focal, camera_height = rng.uniform(300, 340), rng.uniform(2.45, 3.2)
        pitch = rng.uniform(28, 80)
        distance = (camera_height - 1.0) / np.tan(np.radians(pitch)) + rng.normal(0, 0.4)
        # With k2 above 0.45 k1^2 the polynomial never turns back: every point of the image has one ray.
        k1, k2_ratio = rng.uniform(-0.16, -0.02), rng.uniform(0.55, 1.1)
        return focal, camera_height, distance, pitch, k1, k2_ratio * k1**2
    if family == "eye":
        focal, camera_height = rng.uniform(450, 750), rng.uniform(1.2, 1.9)
        return focal, camera_height, rng.uniform(2.5, 4.5), rng.uniform(-3, 14), 0.0, 0.0
    if family != "between":
        raise ValueError(f"family: expected mvor, ceiling, fisheye, between or eye, got {family!r}")
    focal, camera_height = rng.uniform(320, 620), rng.uniform(1.6, 3.0)
    return focal, camera_height, rng.uniform(1.5, 3.6), rng.uniform(10, 55), rng.uniform(-0.08, 0.02), 0.0
