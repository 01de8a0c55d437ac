"""A room with cameras and stick figures, projected without a renderer or a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera
from orpose_models.runtime.types import Person
from orpose_models.skeleton import H36M17, h36m17_from_coco17

#: COCO-17 of somebody 1.7 m tall who stands at the origin and looks along x; the left is at positive y. Metres.
STANDING = np.array([
    [.10, 0, 1.55], [.08, .03, 1.58], [.08, -.03, 1.58], [0, .07, 1.56], [0, -.07, 1.56],
    [0, .19, 1.40], [0, -.19, 1.40], [.05, .28, 1.12], [.05, -.28, 1.12], [.25, .22, 1.00], [.25, -.22, 1.00],
    [0, .11, .92], [0, -.11, .92], [.02, .12, .50], [.02, -.12, .50], [0, .12, .08], [0, -.12, .08],
])  # fmt: skip


def look_at(position: Sequence[float], target: Sequence[float]) -> NDArray[np.float64]:
    """room_from_camera `(4, 4)`, the image upright."""
    forward = np.subtract(target, position) / np.linalg.norm(np.subtract(target, position))
    right = np.cross(forward, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = position
    return pose


class Room:
    """Three cameras around the origin: two plumb_bob, one of them with distortion, and a fisheye at the ceiling."""

    def __init__(self) -> None:
        def camera(name: str, model: str, focal: float, distortion: tuple[float, ...], position, target) -> Camera:
            pose = look_at(position, target)
            return Camera(name, model, (640, 480), focal, focal, 320, 240, distortion, pose)

        self.cameras = {
            "cam1": camera("cam1", "plumb_bob", 520, (), (3.0, 0.2, 2.3), (0, 0, 0.9)),
            "cam2": camera("cam2", "plumb_bob", 400, (-0.05, 0.004, 0.0, 0.0, 0.0), (-1.5, 2.6, 2.4), (0, 0, 0.9)),
            "cam3": camera("cam3", "equidistant", 300, (), (-0.6, -2.2, 2.6), (0, 0, 0.9)),
        }

    def standing(self, x: float, y: float, turn_deg: float = 0.0) -> NDArray[np.float64]:
        """COCO-17 joints `(17, 3)` in the room, m."""
        c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
        return STANDING @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + (x, y, 0)

    def person(
        self, camera: Camera, joints: NDArray[np.float64], rng: np.random.Generator | None = None, px: float = 0.0
    ) -> Person:
        """What a perfect network, or one with some px of noise, sees of joints in the room."""
        rotation, position = camera.room_from_camera[:3, :3], camera.room_from_camera[:3, 3]
        in_camera = (joints - position) @ rotation
        pixels = camera.lens.project(in_camera)
        if rng is not None:
            pixels = pixels + rng.normal(0, px, pixels.shape)
        lifted = h36m17_from_coco17(in_camera) * 1000
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        return Person(
            score=0.9,
            bbox_xywh=np.concatenate([low, high - low]).astype(np.float32),
            keypoints=np.column_stack([pixels, np.full(17, 0.9)]).astype(np.float32),
            keypoints_3d=np.column_stack([lifted - lifted[H36M17.root], np.full(17, 0.9)]).astype(np.float32),
        )
