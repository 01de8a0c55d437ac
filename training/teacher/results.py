"""A run's labels as results (COCO results format), so that `orpose evaluate` can judge the teacher itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orpose_models.annotations import LabelledImage, PersonLabel, annotations_from_dict
from orpose_models.files import cannot_be_written, remove_if_possible, temporary_path
from orpose_models.runtime.results import entries_from_persons
from orpose_models.runtime.types import Person
from orpose_models.skeleton import h36m17_scores_from_coco17
from training.teacher.labelling import shard_path

RESULTS = "results.json"


def write_teacher_results(run: Path, batches: int) -> Path:
    """Writes the soft sets of the folder `run` as `results.json` in it, one entry a line.

    Only people above the run's box threshold are in it: for average precision label with a low one.
    """
    path = run / RESULTS
    temporary = temporary_path(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write("[\n")
            for number, entry in enumerate(_entries(run, batches)):
                file.write((",\n" if number else "") + json.dumps(entry, separators=(",", ":"), allow_nan=False))
            file.write("\n]\n")
        os.replace(temporary, path)
    except OSError as error:
        remove_if_possible(temporary)
        raise cannot_be_written(path, error) from None
    return path


def read_shard(run: Path, index: int) -> list[tuple[LabelledImage, list[PersonLabel]]]:
    """The images of one batch, each with its people."""
    path = shard_path(run, index)
    labels = annotations_from_dict(json.loads(path.read_text(encoding="utf-8")), source=str(path))
    people = labels.persons_by_image()
    return [(image, people[image.image_id]) for image in labels.images]


def _entries(run: Path, batches: int) -> Iterator[dict[str, Any]]:
    for index in range(batches):
        for image, people in read_shard(run, index):
            persons = [_as_found(person) for person in people]
            yield from entries_from_persons(image.image_id, image.file_name, persons)


def _as_found(label: PersonLabel) -> Person:
    assert label.keypoints_soft is not None and label.keypoints_3d_soft is not None
    joints_3d = label.keypoints_3d_soft.copy()
    joints_3d[:, 3] = h36m17_scores_from_coco17(label.keypoints_soft[:, 2])
    return Person(
        float(label.score or 0),
        label.bbox.astype("float32"),
        label.keypoints_soft.astype("float32"),
        joints_3d.astype("float32"),
    )
