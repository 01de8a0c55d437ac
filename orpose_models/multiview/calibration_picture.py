"""A picture to judge a calibration by: what was seen and where it should be in each camera, and the room from above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera
from orpose_models.errors import InputError
from orpose_models.multiview.bundle import Observations, project

_TILE = (640, 480)
_SEEN, _EXPECTED, _TEXT, _PAPER = (80, 220, 80), (60, 60, 250), (235, 235, 235), (32, 32, 32)
_CAMERA, _POINT = (60, 220, 240), (200, 160, 90)


def write_picture(
    path: Path,
    cameras: Mapping[str, Camera],
    images: Mapping[str, NDArray[np.uint8]],
    points: NDArray[np.float64],
    seen: Observations,
    shown: Mapping[str, NDArray[np.bool_]],
) -> None:
    """Writes a PNG or JPEG.

    Args:
        path: The file.
        cameras: In the room.
        images: Camera -> an image of it, of the whole frame at the resolution that privacy allows.
        points: `(N, 3)` in the room, m.
        seen: All sightings.
        shown: Camera -> which sightings `(M,)` are of that image.

    Raises:
        InputError: It cannot be written.
    """
    tiles = [
        _view(camera, images[name], points, seen, shown[name], name)
        for name, camera in cameras.items()
        if name in images
    ]
    tiles.append(_plan(cameras, points))
    columns = int(np.ceil(np.sqrt(len(tiles))))
    while len(tiles) % columns:
        tiles.append(np.full((_TILE[1], _TILE[0], 3), _PAPER, np.uint8))
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise InputError(f"{path}: cannot be written; choose another --picture")


def _view(
    camera: Camera, image: NDArray[np.uint8], points: NDArray, seen: Observations, shown: NDArray[np.bool_], name: str
) -> NDArray[np.uint8]:
    """The image with green crosses where points were seen and red circles where they should be."""
    canvas = np.asarray(cv2.resize(image, _TILE, interpolation=cv2.INTER_LINEAR), np.uint8)
    scale = np.array(_TILE) / camera.image_size
    expected = project(camera, points[seen.point[shown]])
    for pixels, color in ((seen.pixels[shown], _SEEN), (expected, _EXPECTED)):
        for x, y in pixels[np.isfinite(pixels).all(axis=1)] * scale:
            center = (round(float(x)), round(float(y)))
            if color == _SEEN:
                cv2.drawMarker(canvas, center, color, cv2.MARKER_CROSS, 8, 1, cv2.LINE_AA)
            elif abs(x) < 1e4 and abs(y) < 1e4:
                cv2.circle(canvas, center, 4, color, 1, cv2.LINE_AA)
    cv2.putText(canvas, f"{name}: + seen, o expected", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _TEXT, 1, cv2.LINE_AA)
    return canvas


def _plan(cameras: Mapping[str, Camera], points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The room from above, 1 m between lines: cameras with the way they look, and points."""
    places = np.array([_pose(camera)[:3, 3] for camera in cameras.values()])
    everything = np.concatenate([places, points[np.isfinite(points).all(axis=1)]])[:, :2]
    low, high = np.percentile(everything, 1, axis=0) - 0.7, np.percentile(everything, 99, axis=0) + 0.7
    low, high = np.minimum(low, places[:, :2].min(axis=0) - 0.5), np.maximum(high, places[:, :2].max(axis=0) + 0.5)
    scale = min(_TILE[0] / (high[0] - low[0]), _TILE[1] / (high[1] - low[1]))
    canvas = np.full((_TILE[1], _TILE[0], 3), _PAPER, np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(float((x - low[0]) * scale)), round(float(_TILE[1] - (y - low[1]) * scale))

    for metre in range(int(np.floor(low.min())), int(np.ceil(high.max())) + 1):
        cv2.line(canvas, at(metre, low[1]), at(metre, high[1]), (60, 60, 60), 1)
        cv2.line(canvas, at(low[0], metre), at(high[0], metre), (60, 60, 60), 1)
    for x, y, _ in points[np.isfinite(points).all(axis=1)]:
        cv2.circle(canvas, at(x, y), 1, _POINT, -1)
    for name, camera in cameras.items():
        x, y = _pose(camera)[:2, 3]
        ahead = _pose(camera)[:2, 2] * 0.6
        cv2.arrowedLine(canvas, at(x, y), at(x + ahead[0], y + ahead[1]), _CAMERA, 2, cv2.LINE_AA, tipLength=0.25)
        cv2.putText(canvas, name, at(x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _TEXT, 1, cv2.LINE_AA)
    title = "from above, 1 m between lines"
    cv2.putText(canvas, title, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _TEXT, 1, cv2.LINE_AA)
    return canvas


def _pose(camera: Camera) -> NDArray[np.float64]:
    assert camera.room_from_camera is not None
    return np.asarray(camera.room_from_camera)


def sightings_of(seen: Observations, camera: int, chosen: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
    """`(M,)` those of a camera (index) that are of the chosen points."""
    return (seen.camera == camera) & np.isin(seen.point, chosen)
