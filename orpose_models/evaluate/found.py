"""How many people are found, how many of their joints are right, and how many boxes are on nobody, or second ones.

COCO's AP measures the ranking of all candidates; this counts what a user sees of a run without tracking: results from
the score on that reports people (`orpose evaluate --min-score`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, PersonLabel
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.boxes import covered_share
from orpose_models.evaluate.results import Result
from orpose_models.tracking import box_ious

#: A person is found by a box that overlaps by this share (IoU).
MIN_OVERLAP = 0.5
#: A joint is right within this share of the larger side of the labelled box.
MAX_DISTANCE = 0.2
#: A box of which iscrowd covers more is ignored.
MAX_COVERED = 0.5


@dataclass(frozen=True)
class Image:
    """An image's people and boxes.

    Attributes:
        pairs: Those whom a box finds, the best scores first, and that box.
        missed: Labels, not iscrowd, that no box finds.
        further: How many boxes are on nobody, too far off, or second ones; not those in an iscrowd region.
    """

    image_id: int
    pairs: tuple[tuple[PersonLabel, Result], ...]
    missed: tuple[PersonLabel, ...]
    further: int


def images_of(annotations: AnnotationSet, results: Sequence[Result]) -> list[Image]:
    """Every labelled image; all results count, whatever their score. Raises: AnnotationError unless it is COCO-17."""
    if annotations.skeleton.num_joints != 17:
        raise AnnotationError(f"found: needs COCO-17 labels, got {annotations.skeleton.name}; use mvor-pck")
    of_image: dict[int, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda result: -float(result["score"])):
        of_image[result["image_id"]].append(result)
    return [_image(image_id, labels, of_image[image_id]) for image_id, labels in annotations.persons_by_image().items()]


def found(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, float]:
    """Counts, and shares of 0 to 1; a share of nothing is -1.

    Returns:
        recall and precision of the boxes, F1; seen_joints, hidden_joints: the share right of the labelled joints, of
        flag 2 and of flag 1, of people found; persons, found, further (boxes), images.
    """
    images = images_of(annotations, results)
    pairs = [pair for image in images for pair in image.pairs]
    persons = len(pairs) + sum(len(image.missed) for image in images)
    further = sum(image.further for image in images)
    return {
        "recall": _share(len(pairs), persons),
        "precision": _share(len(pairs), len(pairs) + further),
        "F1": _share(2 * len(pairs), persons + len(pairs) + further),
        "seen_joints": _share(*_right(pairs, 2)),
        "hidden_joints": _share(*_right(pairs, 1)),
        "persons": float(persons),
        "found": float(len(pairs)),
        "further": float(further),
        "images": float(len(images)),
    }


def _image(image_id: int, labels: Sequence[PersonLabel], results: Sequence[Result]) -> Image:
    counted = [label for label in labels if not label.is_crowd]
    crowds = [_corners(label.bbox) for label in labels if label.is_crowd]
    matched = _matched(counted, results)
    pairs = tuple((label, result) for result, label in zip(results, matched, strict=True) if label is not None)
    left = [result for result, label in zip(results, matched, strict=True) if label is None]
    boxes = [_corners(np.asarray(result["bbox"], np.float64)) for result in left]
    further = sum(all(covered_share(box, crowd) <= MAX_COVERED for crowd in crowds) for box in boxes)
    missed = tuple(label for label in counted if all(label is not one for one, _ in pairs))
    return Image(image_id, pairs, missed, further)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else -1.0


def _matched(labels: Sequence[PersonLabel], results: Sequence[Result]) -> list[PersonLabel | None]:
    """Of each result the label that it finds, each label once."""
    free = list(labels)
    matched: list[PersonLabel | None] = []
    for result in results:
        boxes = np.array([label.bbox for label in free], np.float64).reshape(-1, 4)
        overlaps = box_ious(np.array([result["bbox"]], np.float64), boxes)[0]
        is_found = len(free) > 0 and overlaps.max() >= MIN_OVERLAP
        matched.append(free.pop(int(overlaps.argmax())) if is_found else None)
    return matched


def per_joint(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Joint -> pck: how many percent are right, and labelled: of how many, of people found; -1 of none."""
    pairs = [pair for image in images_of(annotations, results) for pair in image.pairs]
    right = np.array([_is_right(*pair) for pair in pairs], bool).reshape(-1, 17)
    labelled = np.array([_flags(label) > 0 for label, _ in pairs], bool).reshape(-1, 17)
    return {
        name: {
            "pck": 100 * share if (share := _share(int(hit.sum()), int(known.sum()))) >= 0 else -1.0,
            "labelled": float(known.sum()),
        }
        for name, hit, known in zip(annotations.skeleton.joint_names, (right & labelled).T, labelled.T, strict=True)
    }


def _right(pairs: Sequence[tuple[PersonLabel, Result]], flag: int) -> tuple[int, int]:
    """How many joints of a flag are right, of how many."""
    of_flag = [(_is_right(*pair), _flags(pair[0]) == flag) for pair in pairs]
    return sum(int((right & own).sum()) for right, own in of_flag), sum(int(own.sum()) for _, own in of_flag)


def _is_right(label: PersonLabel, result: Result) -> NDArray[np.bool_]:
    """`(17,)`"""
    if label.keypoints is None:
        return np.zeros(17, bool)
    joints = np.asarray(result["keypoints"], np.float64).reshape(17, 3)[:, :2]
    distances = np.linalg.norm(joints - label.keypoints[:, :2], axis=1)
    return np.asarray(distances < MAX_DISTANCE * label.bbox[2:].max())


def _flags(label: PersonLabel) -> NDArray:
    """`(17,)` 2: seen, 1: hidden, 0: unlabelled."""
    return np.zeros(17) if label.keypoints is None else label.keypoints[:, 2]


def _corners(bbox_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([bbox_xywh[:2], bbox_xywh[:2] + bbox_xywh[2:]])
