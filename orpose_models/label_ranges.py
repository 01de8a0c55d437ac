"""What numbers labels may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orpose_models.errors import AnnotationError


def check_size(where: str, **sides_px: int) -> None:
    """Raises AnnotationError for a side below 1 px."""
    for name, side in sides_px.items():
        if side < 1:
            raise AnnotationError(f"{where}: {name}: expected a number above 0, got {side}")


def check_ranges(values: Mapping[str, Any], where: str) -> None:
    """Raises AnnotationError for a box of negative size, a visibility unknown to COCO, or a share outside [0, 1]."""
    if (values["bbox"][2:] < 0).any():
        raise AnnotationError(f"{where}: bbox: width and height must not be negative, got {values['bbox'].tolist()}")
    if "keypoints" in values:
        flags = values["keypoints"][:, 2]
        if (wrong := flags[~np.isin(flags, (0, 1, 2))]).size:
            raise AnnotationError(f"{where}: keypoints: v: expected 0, 1 or 2, got {wrong[0]:g}")
    shares = {
        "keypoints_soft: confidence": values["keypoints_soft"][:, 2] if "keypoints_soft" in values else (),
        "joint_weight": values.get("joint_weight", ()),
        "score": values.get("score", ()),
    }
    for name, share in shares.items():
        numbers = np.asarray(share, np.float64).ravel()
        if (wrong := numbers[(numbers < 0) | (numbers > 1)]).size:
            raise AnnotationError(f"{where}: {name}: expected 0 to 1, got {wrong[0]:g}")
