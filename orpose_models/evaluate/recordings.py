"""Labelled recordings with what was found in them: frames of one camera in order of time, people paired by boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.assignment import cheapest_pairs
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.results import Result
from orpose_models.tracking import box_ious

#: A found box is a labelled person from this overlap on (intersection over union), as everywhere in tracking.
MIN_IOU = 0.5


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame.

    Attributes:
        time_s: When; NaN where the label file has no stamps.
        labels: Who counts.
        found: Results, without those that lie on somebody who does not count (iscrowd) and on nobody who does.
        overlap: `(labels, found)` intersection over union.
    """

    time_s: float
    labels: list[PersonLabel]
    found: list[Result]
    overlap: NDArray[np.float64]

    def pairs(self) -> list[tuple[int, int]]:
        """(label, found) of at least `MIN_IOU`, one to one, of the greatest total overlap."""
        cost = np.where(self.overlap >= MIN_IOU, 1.0 - self.overlap, 1e3)
        return [pair for pair in cheapest_pairs(cost) if self.overlap[pair] >= MIN_IOU]


def recordings(annotations: AnnotationSet, results: Sequence[Result]) -> list[list[Moment]]:
    """The recordings of a label file, one for each sequence and camera.

    Raises:
        AnnotationError: No image says which sequence it is of.
    """
    found: dict[int, list[Result]] = {}
    for result in results:
        found.setdefault(int(result["image_id"]), []).append(result)
    labels = annotations.persons_by_image()
    streams: dict[tuple[str, str | None], list[LabelledImage]] = {}
    for image in annotations.images:
        if image.sequence is not None:
            streams.setdefault((image.sequence, image.camera_id), []).append(image)
    if not streams:
        raise AnnotationError("no image has a sequence; identities need recordings, such as `orpose synth --sequence`")
    return [
        [_moment(image, labels[image.image_id], found.get(image.image_id, [])) for image in sorted(stream, key=_when)]
        for _, stream in sorted(streams.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    ]


def _when(image: LabelledImage) -> tuple[int, int, int]:
    return (image.stamp_ns or 0, image.frame_index or 0, image.image_id)


def _moment(image: LabelledImage, labels: list[PersonLabel], found: list[Result]) -> Moment:
    counting = [label for label in labels if not label.is_crowd]
    crowd = np.array([label.bbox for label in labels if label.is_crowd]).reshape(-1, 4)
    boxes = np.array([result["bbox"] for result in found], np.float64).reshape(-1, 4)
    overlap = box_ious(np.array([label.bbox for label in counting]).reshape(-1, 4), boxes)
    on_crowd = _covered(boxes, crowd).max(axis=1, initial=0.0) >= MIN_IOU
    kept = np.flatnonzero(~on_crowd | (overlap.max(axis=0, initial=0.0) >= MIN_IOU))
    time_s = np.nan if image.stamp_ns is None else image.stamp_ns / 1e9
    return Moment(time_s, counting, [found[i] for i in kept], overlap[:, kept])


def _covered(boxes: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(N, M)` share of each box `(N, 4)` x, y, w, h that each of `by` covers."""
    low = np.maximum(boxes[:, None, :2], by[None, :, :2])
    high = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], by[None, :, :2] + by[None, :, 2:])
    area = np.maximum(boxes[:, 2:].prod(-1), 1e-9)
    return np.asarray(np.maximum(high - low, 0).prod(-1) / area[:, None], np.float64)
