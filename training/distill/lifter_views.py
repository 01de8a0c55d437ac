"""The same poses seen by other cameras: labels of a few views give lifters any number of them, without rendering.

A pose is turned about the vertical and put before a camera of the families that rooms have (synthetic_or/rooms/
cameras.py): MVOR's, wide lenses at the ceiling, between them, at eye level, and overhead fisheyes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: A person is farther from the camera than this, m.
_NEAREST_M = 0.8
#: So many of the 17 joints are in the image.
_MIN_INSIDE = 9
_FRAME = (640.0, 480.0)
#: At most so many draws; poses that no camera has shown by then stay where the last one put them.
_TRIES = 12


@dataclass(frozen=True)
class Family:
    """Ranges of a family's cameras: focal length (px at 640x480), height, horizontal distance (m), pitch (degrees)."""

    share: float
    focal: tuple[float, float]
    height_m: tuple[float, float]
    distance_m: tuple[float, float]
    pitch_deg: tuple[float, float]
    is_fisheye: bool = False


FAMILIES = (
    Family(0.3, (500, 570), (1.9, 2.7), (0.8, 4.5), (18, 48)),
    Family(0.25, (290, 360), (2.3, 3.2), (0.2, 4.0), (28, 85)),
    Family(0.15, (320, 620), (1.6, 3.0), (0.8, 4.5), (5, 60)),
    Family(0.2, (430, 750), (1.1, 1.9), (1.8, 5.5), (-5, 16)),
    Family(0.1, (140, 260), (2.5, 3.3), (0.1, 3.0), (80, 100), is_fisheye=True),
)


def random_views(in_room: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Each pose before a camera of its own.

    Args:
        in_room: `(N, 17, 3)` m, z up, the floor at 0. Joint 0 is the pelvis.
        generator: Of the cameras.

    Returns:
        px `(N, 17, 2)` of a 640x480 frame, which of them lie within it `(N, 17)`, and points in the camera's axes
        `(N, 17, 3)` m.
    """
    pixels, inside, points = _one_view(in_room, generator)
    for _ in range(_TRIES):
        bad = inside.sum(dim=1) < _MIN_INSIDE
        if not bad.any():
            break
        pixels[bad], inside[bad], points[bad] = _one_view(in_room[bad], generator)
    return pixels, inside, points


def _one_view(in_room: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    count = len(in_room)
    shares = torch.tensor([family.share for family in FAMILIES])
    family = torch.multinomial(shares, count, replacement=True, generator=generator)

    def ranged(name: str) -> Tensor:
        limits = torch.tensor([getattr(each, name) for each in FAMILIES])[family]  # N, 2
        return limits[:, 0] + torch.rand(count, generator=generator) * (limits[:, 1] - limits[:, 0])

    def normal(deviation: float) -> Tensor:
        return torch.randn(count, generator=generator) * deviation

    fisheye = torch.tensor([each.is_fisheye for each in FAMILIES])[family]
    around = in_room - torch.cat([in_room[:, :1, :2], torch.zeros(count, 1, 1)], dim=2)
    turned = torch.einsum("nij,nkj->nki", _about_z(torch.rand(count, generator=generator) * 2 * math.pi), around)
    # The camera stands at (-distance, 0) and looks along x, a little past the person.
    position = torch.stack([-ranged("distance_m"), torch.zeros(count), ranged("height_m")], dim=1)
    pan, pitch = normal(math.radians(18)), ranged("pitch_deg").deg2rad()
    any_roll = torch.rand(count, generator=generator) * 2 * math.pi
    axes = _axes(pan, pitch, torch.where(fisheye, any_roll, normal(math.radians(4))))
    points = torch.einsum("nij,nkj->nki", axes, turned - position[:, None])
    pixels, in_front = _project(points, ranged("focal"), fisheye)
    inside = in_front & (pixels >= 0).all(dim=-1) & (pixels < pixels.new_tensor(_FRAME)).all(dim=-1)
    near = points.norm(dim=-1).amin(dim=1) < _NEAREST_M
    return pixels, inside & ~near[:, None], points


def _about_z(angle: Tensor) -> Tensor:
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero, zero, zero, one]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def _axes(pan: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """`(N, 3, 3)` camera_from_room: right, down and forward of cameras that look along x, `pitch` down, `pan` aside."""
    forward = torch.stack([pan.cos() * pitch.cos(), pan.sin() * pitch.cos(), -pitch.sin()], dim=1)
    right = torch.stack([pan.sin(), -pan.cos(), torch.zeros_like(pan)], dim=1)
    down = torch.linalg.cross(forward, right, dim=1)
    cos, sin = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack([cos * right + sin * down, cos * down - sin * right, forward], dim=1)


def _project(points: Tensor, focal: Tensor, fisheye: Tensor) -> tuple[Tensor, Tensor]:
    sideways, depth = points[..., :2].norm(dim=-1).clamp(min=1e-6), points[..., 2]
    angle = torch.atan2(sideways, depth)
    radius = torch.where(fisheye[:, None], angle, sideways / depth.clamp(min=0.05))
    pixels = points[..., :2] / sideways[..., None] * (radius * focal[:, None])[..., None]
    return pixels + pixels.new_tensor(_FRAME) / 2, torch.where(fisheye[:, None], angle < 1.55, depth > 0.05)
