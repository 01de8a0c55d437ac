"""A picture of a labelled data set: the first images in a grid, skeletons and boxes drawn on every other one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from orpose_models import annotations as ann
from orpose_models.errors import InputError
from orpose_models.skeleton import COCO17

_COLUMNS, _ROWS, _TILE = 4, 5, (400, 300)


def write_contact_sheet(dataset: Path, out: Path) -> None:
    """Draws up to 20 images of `dataset` (a folder with annotations.json) into `out` (PNG or JPEG)."""
    labels = ann.read_annotations(dataset / "annotations.json")
    tiles = []
    for number, image in enumerate(labels.images[: _COLUMNS * _ROWS]):
        picture = cv2.imread(str(dataset / image.file_name))
        if picture is None:
            raise InputError(f"{dataset / image.file_name}: not a readable image; run `orpose synth` again to mend it")
        scale = _TILE[0] / picture.shape[1]
        tile = cv2.resize(picture, _TILE, interpolation=cv2.INTER_AREA)
        if number % 2:
            for person in (p for p in labels.persons if p.image_id == image.image_id):
                _draw(tile, person, scale)
        tiles.append(tile)
    blank = np.zeros((_TILE[1], _TILE[0], 3), np.uint8)
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(out), np.vstack(rows)):
        raise InputError(f"{out}: could not be written; give a file name that ends in .png or .jpg")


def _draw(tile: np.ndarray, person: ann.PersonLabel, scale: float) -> None:
    x, y, w, h = (person.bbox * scale).round().astype(int)
    cv2.rectangle(tile, (x, y), (x + w, y + h), (128, 128, 128) if person.is_crowd else (0, 220, 255), 1)
    if person.keypoints is None or person.is_crowd:
        return
    points = (person.keypoints[:, :2] * scale).round().astype(int)
    seen = person.keypoints[:, 2]
    for a, b in COCO17.limbs:
        if seen[a] > 0 and seen[b] > 0:
            cv2.line(tile, tuple(map(int, points[a])), tuple(map(int, points[b])), (80, 200, 80), 1, cv2.LINE_AA)
    for point, v in zip(points, seen, strict=True):
        if v > 0:
            cv2.circle(tile, tuple(map(int, point)), 2, (0, 255, 0) if v == 2 else (0, 0, 255), -1)
