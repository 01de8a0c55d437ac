"""Labels drawn beside what was found: white boxes, joints as crosses."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel

_COLOR = (255, 255, 255)
_CROSS_PX = 7


def draw_labels(
    picture: NDArray[np.uint8], labels: Sequence[PersonLabel], frame_size: tuple[int, int]
) -> NDArray[np.uint8]:
    """A copy of the picture with the labels on it; people who are iscrowd are left out.

    Args:
        picture: `(H, W, 3)` BGR of the whole frame at any resolution.
        labels: In px of the frame.
        frame_size: Width and height of the frame, px.
    """
    canvas = picture.copy()
    scale = canvas.shape[1] / frame_size[0]
    for label in labels:
        if label.is_crowd:
            continue
        left, top, width, height = (round(float(side) * scale) for side in label.bbox)
        cv2.rectangle(canvas, (left, top), (left + width, top + height), _COLOR, 1, cv2.LINE_AA)
        for x, y, visibility in () if label.keypoints is None else label.keypoints:
            if visibility > 0:
                center = (round(float(x) * scale), round(float(y) * scale))
                cv2.drawMarker(canvas, center, _COLOR, cv2.MARKER_TILTED_CROSS, _CROSS_PX, 1, cv2.LINE_AA)
    return canvas
