"""A picture of a labelled data set: images in a grid, skeletons and boxes drawn on every other one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models import annotations as ann
from orpose_models.errors import InputError
from orpose_models.skeleton import COCO17

_COLUMNS, _ROWS, _TILE = 4, 5, (400, 300)
_JPEG_QUALITY = 82
_BOX, _IGNORED, _LIMB, _SEEN, _HIDDEN = (0, 220, 255), (128, 128, 128), (80, 200, 80), (0, 255, 0), (0, 0, 255)


def write_contact_sheet(dataset: Path, out: Path) -> None:
    """Draws up to 20 images of `dataset` (a folder with annotations.json), evenly spread, into `out` (PNG or JPEG).

    Raises:
        InputError: An image cannot be read or `out` cannot be written.
    """
    labels = ann.read_annotations(dataset / "annotations.json")
    people = labels.persons_by_image()
    count = min(_COLUMNS * _ROWS, len(labels.images))
    chosen = [labels.images[i * len(labels.images) // count] for i in range(count)]
    tiles = [
        _tile(dataset / image.file_name, people[image.image_id] if number % 2 else [])
        for number, image in enumerate(chosen)
    ]
    blank = np.zeros((_TILE[1], _TILE[0], 3), np.uint8)
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    _write(out, np.vstack(rows))


def _write(out: Path, picture: NDArray[np.uint8]) -> None:
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{out}: expected a file name that ends in .png or .jpg")
    _, encoded = cv2.imencode(out.suffix.lower(), picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(encoded.tobytes())
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another --contact-sheet") from None


def _tile(path: Path, people: list[ann.PersonLabel]) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    if picture is None:
        raise InputError(f"{path}: not a readable image; use an empty --out and render again")
    scale = min(_TILE[0] / picture.shape[1], _TILE[1] / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[: _TILE[1], : _TILE[0]]
    tile = np.zeros((_TILE[1], _TILE[0], 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    for person in people:
        _draw(tile, person, scale)
    return tile


def _draw(tile: NDArray[np.uint8], person: ann.PersonLabel, scale: float) -> None:
    x, y, w, h = (person.bbox * scale).round().astype(int)
    cv2.rectangle(tile, (x, y), (x + w, y + h), _IGNORED if person.is_crowd else _BOX, 1)
    if person.keypoints is None or person.is_crowd:
        return
    points = (person.keypoints[:, :2] * scale).round().astype(int).tolist()
    seen = person.keypoints[:, 2]
    for a, b in COCO17.limbs:
        if seen[a] > 0 and seen[b] > 0:
            cv2.line(tile, points[a], points[b], _LIMB, 1, cv2.LINE_AA)
    for point, v in zip(points, seen, strict=True):
        if v > 0:
            cv2.circle(tile, point, 2, _SEEN if v == 2 else _HIDDEN, -1)
