"""Pictures of a labelled data set: images in a grid with and without their labels, and side by side with others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models import annotations as ann
from orpose_models.errors import InputError
from orpose_models.files import check_picture_name
from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.frames import Frame
from orpose_models.runtime.images import to_bgr8
from orpose_models.runtime.sources import open_source
from orpose_models.skeleton import COCO17

_COLUMNS, _ROWS, _TILE = 4, 5, (400, 300)
_JPEG_QUALITY = 82
_BOX, _IGNORED, _LIMB, _SEEN, _HIDDEN = (0, 220, 255), (128, 128, 128), (80, 200, 80), (0, 255, 0), (0, 0, 255)
_KINDS = ("image", "labels", "depth", "instances")
_FARTHEST_MM = 6000.0
#: Side by side: images of each kind, at 1x and at 12x, in two columns; the picture's gaps and captions, px.
_COMPARED, _COMPARE_COLUMNS, _COMPARE_WIDTH, _FACTOR = 6, 2, 320, 12
_GAP, _CAPTION = 6, 26

Picture = NDArray[np.uint8]


def write_contact_sheet(dataset: Path, out: Path) -> None:
    """Writes the `contact_sheet` of `dataset` (a folder with annotations.json) to `out` (PNG or JPEG).

    Raises:
        InputError: There are no images, one cannot be read, or `out` cannot be written.
    """
    _write(out, contact_sheet(dataset))


def contact_sheet(dataset: Path) -> Picture:
    """Up to 20 tiles of images of `dataset`, evenly spread, every other one with its labels.

    Where there are depth and instance ids, the last rows show an image each: as it is, labelled, its depth (near is
    bright) and its instances.

    Raises:
        InputError: There are no images or one cannot be read.
    """
    labels = ann.read_annotations(dataset / "annotations.json")
    people = labels.persons_by_image()
    rows = -(-min(_COLUMNS * _ROWS, len(labels.images)) // _COLUMNS)
    has_depth = all(image.depth_file_name and image.instances_file_name for image in labels.images)
    whole = min(2, rows // 2) if has_depth else 0
    kinds = ["image", "labels"] * (_COLUMNS // 2 * (rows - whole))
    images = _spread(labels.images, min(len(labels.images), len(kinds) + whole), dataset)
    shown = list(zip(images[: len(images) - whole], kinds, strict=False))
    shown += [(image, kind) for image in images[len(images) - whole :] for kind in _KINDS]
    return _grid([_tile(dataset, image, people[image.image_id], kind) for image, kind in shown], _COLUMNS)


def write_comparison(dataset: Path, others: Sequence[Path], out: Path) -> None:
    """Writes images of `others` (folders, or pictures such as contact sheets) beside those of `dataset`, in columns.

    Above at full size, below downsampled 12 times and enlarged again.

    Raises:
        InputError: A folder has no images, one cannot be read, or `out` cannot be written.
    """
    labels = ann.read_annotations(dataset / "annotations.json")
    ours = [_read(dataset / image.file_name) for image in _spread(labels.images, _COMPARED, dataset)]
    columns = [_column(dataset.name, ours)] + [_column(other.name, _images_of(other)) for other in others]
    height = max(column.shape[0] for column in columns)
    padded = [np.pad(c, ((0, height - c.shape[0]), (0, 2 * _GAP), (0, 0)), constant_values=255) for c in columns]
    _write(out, np.hstack(padded))


def _images_of(path: Path) -> list[Picture]:
    """Evenly spread images of a folder, video or bag; a single picture alone."""
    source = open_source(path)
    wanted = {index * len(source) // _COMPARED for index in range(_COMPARED)}
    images = []
    for index, frame in enumerate(source):
        if index not in wanted:
            continue
        if not isinstance(frame, Frame):
            raise InputError(f"{path}: {frame.name}: {frame.reason}; remove it or choose another --compare")
        images.append(to_bgr8(frame.image))
    return images


def _column(name: str, images: list[Picture]) -> Picture:
    """Images at full size, and below them as they look at 12x, two in a row; a single picture is only scaled."""
    if len(images) == 1:
        width = _COMPARE_COLUMNS * (_COMPARE_WIDTH + _GAP)
        return np.vstack([_caption(name, width), _fitted(images[0], width)])
    at_12x = [privacy_downsample(image, _FACTOR) for image in images]
    parts = []
    if any(small.shape != image.shape for small, image in zip(at_12x, images, strict=True)):
        parts += [_caption(f"{name}, 1x", 0), _rows(images)]
    parts += [_caption(f"{name}, {_FACTOR}x", 0), _rows(at_12x)]
    width = max(part.shape[1] for part in parts)
    return np.vstack([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in parts])


def _rows(images: list[Picture]) -> Picture:
    tiles = [_fitted(image, _COMPARE_WIDTH) for image in images]
    height = max(tile.shape[0] for tile in tiles)
    tiles = [np.pad(t, ((0, height - t.shape[0] + _GAP), (0, _GAP), (0, 0)), constant_values=255) for t in tiles]
    return _grid(tiles, _COMPARE_COLUMNS, background=255)


def _fitted(image: Picture, width: int) -> Picture:
    """`width` px wide; pixels of what is enlarged stay visible."""
    height = round(image.shape[0] * width / image.shape[1])
    how = cv2.INTER_NEAREST if width > image.shape[1] else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def _caption(text: str, width: int) -> Picture:
    bar = np.full((_CAPTION, max(width, _COMPARE_WIDTH), 3), 255, np.uint8)
    cv2.putText(bar, text, (4, _CAPTION - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return bar


def _spread(images: Sequence[ann.LabelledImage], count: int, dataset: Path) -> list[ann.LabelledImage]:
    if not images:
        raise InputError(f"{dataset / 'annotations.json'}: has no images; render some with orpose synth")
    count = min(count, len(images))
    return [images[i * len(images) // count] for i in range(count)]


def _grid(tiles: list[Picture], columns: int, background: int = 0) -> Picture:
    tiles = tiles + [np.full_like(tiles[0], background)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def _write(out: Path, picture: Picture) -> None:
    check_picture_name(out)
    options = [] if out.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, encoded = cv2.imencode(out.suffix.lower(), picture, options)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(encoded.tobytes())
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another --contact-sheet") from None


def _read(path: Path, flags: int = cv2.IMREAD_COLOR) -> NDArray:
    picture = cv2.imread(str(path), flags)
    if picture is None:
        raise InputError(f"{path}: not a readable image; use an empty --out and render again")
    return picture


def _tile(dataset: Path, image: ann.LabelledImage, people: list[ann.PersonLabel], kind: str) -> Picture:
    if kind == "depth":
        picture = _depth_colours(_read(dataset / str(image.depth_file_name), cv2.IMREAD_UNCHANGED))
    elif kind == "instances":
        picture = _instance_colours(_read(dataset / str(image.instances_file_name), cv2.IMREAD_UNCHANGED))
    else:
        picture = _read(dataset / image.file_name)
    scale = min(_TILE[0] / picture.shape[1], _TILE[1] / picture.shape[0])
    size = (max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale)))
    tile = np.zeros((_TILE[1], _TILE[0], 3), np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    for person in people if kind in ("labels", "instances") else ():
        _draw(tile, person, scale, skeleton=kind == "labels")
    return tile


def _depth_colours(depth_mm: NDArray[np.uint16]) -> Picture:
    """Near is bright; black where there is nothing."""
    near = (255 * (1 - np.clip(depth_mm / _FARTHEST_MM, 0, 1) * 0.95)).astype(np.uint8)
    picture = np.asarray(cv2.applyColorMap(near, cv2.COLORMAP_INFERNO), np.uint8)
    picture[depth_mm == 0] = 0
    return picture


def _instance_colours(instances: NDArray[np.uint16]) -> Picture:
    """A hue for each id, dark grey for the background."""
    hue = (instances.astype(np.uint32) * 47 % 180).astype(np.uint8)
    hsv = np.dstack([hue, np.full_like(hue, 170), np.full_like(hue, 235)])
    picture = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)
    picture[instances == 0] = 40
    return picture


def _draw(tile: Picture, person: ann.PersonLabel, scale: float, skeleton: bool) -> None:
    x, y, w, h = (person.bbox * scale).round().astype(int)
    cv2.rectangle(tile, (x, y), (x + w, y + h), _IGNORED if person.is_crowd else _BOX, 1)
    if person.keypoints is None or person.is_crowd or not skeleton:
        return
    points = (person.keypoints[:, :2] * scale).round().astype(int).tolist()
    seen = person.keypoints[:, 2]
    for a, b in COCO17.limbs:
        if seen[a] > 0 and seen[b] > 0:
            cv2.line(tile, points[a], points[b], _LIMB, 1, cv2.LINE_AA)
    for point, v in zip(points, seen, strict=True):
        if v > 0:
            cv2.circle(tile, point, 2, _SEEN if v == 2 else _HIDDEN, -1)
