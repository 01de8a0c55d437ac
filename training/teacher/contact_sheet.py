"""A picture to judge pseudo labels by: images in a grid, hard joints filled, joints of the soft set alone hollow."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import LabelledImage, PersonLabel
from orpose_models.draw import FAINT_BELOW, contact_sheet, draw_persons
from orpose_models.errors import InputError
from orpose_models.runtime.types import FrameResult, Person
from training.data.privacy import down_and_up
from training.teacher.labelling import read_picture
from training.teacher.results import read_shard

_TILES = 20


def write_contact_sheet(run: Path, path: Path, batches: int, downsample: float) -> None:
    """Draws up to 20 labelled images of the folder `run`, evenly spread, as the teacher saw them, into `path`.

    Raises:
        InputError: `path` cannot be written.
    """
    tiles, captions = [], []
    for image, people in _chosen(run, batches):
        picture = down_and_up(read_picture(run / image.file_name), downsample)
        persons = tuple(_as_drawn(person) for person in people)
        tiles.append(draw_persons(picture, FrameResult(persons, (image.width, image.height))))
        hard = sum(person.num_keypoints for person in people)
        captions.append(f"{Path(image.file_name).name}: {len(people)} people, {hard} hard joints")
    _, encoded = cv2.imencode(path.suffix.lower(), contact_sheet(tiles, captions))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --contact-sheet") from None


def _chosen(run: Path, batches: int) -> list[tuple[LabelledImage, list[PersonLabel]]]:
    """Images from shards spread evenly over the run."""
    places = np.linspace(0, batches, _TILES, endpoint=False)
    wanted: dict[int, list[float]] = {}
    for place in places:
        wanted.setdefault(int(place), []).append(place % 1)
    chosen = []
    for index, shares in wanted.items():
        images = read_shard(run, index)
        chosen += [images[number] for number in sorted({int(share * len(images)) for share in shares if images})]
    return chosen


def _as_drawn(person: PersonLabel) -> Person:
    """The soft set, with scores that make exactly the hard joints filled."""
    assert person.keypoints is not None and person.keypoints_soft is not None
    joints: NDArray[np.float32] = person.keypoints_soft.astype(np.float32)
    joints[:, 2] = np.where(person.keypoints[:, 2] > 0, 1.0, FAINT_BELOW / 2)
    return Person(float(person.score or 0), person.bbox.astype(np.float32), joints, np.zeros((17, 4), np.float32))
