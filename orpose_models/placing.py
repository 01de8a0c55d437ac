"""Where to show a 3D skeleton whose distance nobody measured: for looking at only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orpose_models.runtime.types import Person
from orpose_models.skeleton import H36M17, h36m17_from_coco17
from orpose_models.units import MILLIMETRES_PER_METRE

#: Focal length over image width of an ordinary lens (58 degrees horizontally).
FOCAL_OVER_WIDTH = 0.9
_DISTANCE_LIMITS_M = (0.3, 15.0)


def shown_joints_m(person: Person, image_size: tuple[int, int]) -> NDArray[np.float64]:
    """Human3.6M-17 joints `(17, 3)` m in the camera frame: measured, or about the pelvis.

    Args:
        person: Joints in px and in mm, places in m.
        image_size: Width and height of the image, px.
    """
    pelvis_m = pelvis_guess_m(person, image_size) if person.root is None else person.root.position_m
    joints_m = person.keypoints_3d[:, :3] / MILLIMETRES_PER_METRE + pelvis_m
    if person.keypoints_3d_metric is None:
        return joints_m
    measured_m = person.keypoints_3d_metric[:, :3].astype(np.float64)
    return np.where(np.isfinite(measured_m), measured_m, joints_m)


def pelvis_guess_m(person: Person, image_size: tuple[int, int]) -> NDArray[np.float64]:
    """Where the pelvis may be, `(3,)` m in camera axes: as far away as the ratio of 3D to 2D extent says.

    Args:
        person: Joints in px and in mm.
        image_size: Width and height of the image, px.
    """
    focal_px = FOCAL_OVER_WIDTH * image_size[0]
    joints_px = h36m17_from_coco17(person.keypoints[:, :2].astype(np.float64))
    extent_px = np.sqrt(joints_px.var(axis=0).sum())
    extent_m = np.sqrt(person.keypoints_3d[:, :2].astype(np.float64).var(axis=0).sum()) / MILLIMETRES_PER_METRE
    distance_m = np.clip(focal_px * extent_m / max(extent_px, 1e-6), *_DISTANCE_LIMITS_M)
    pelvis_px = joints_px[H36M17.root] - np.array(image_size) / 2
    return np.append(pelvis_px / focal_px, 1.0) * distance_m
