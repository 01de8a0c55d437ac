"""What numbers a person's labels may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orpose_models.errors import AnnotationError


def check_ranges(values: Mapping[str, Any], where: str) -> None:
    """Raises AnnotationError for a visibility that COCO does not have, or a share outside [0, 1]."""
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
