"""How many people are found at the score that reports them, and how many of their joints are right.

python -m orpose_models.evaluate.found LABELS RESULTS [RESULTS ...]

Where `orpose evaluate` measures the ranking of all candidates, this counts what a user sees. Results are those of
`orpose run --annotations LABELS`.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, PersonLabel, read_annotations
from orpose_models.errors import AnnotationError, OrposeError
from orpose_models.evaluate.boxes import covered_share
from orpose_models.evaluate.results import Result, check_images, read_results
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.tracking import box_ious

#: A person is found by a box that overlaps by this share (IoU).
MIN_OVERLAP = 0.5
#: A joint is right within this share of the larger side of the labelled box.
MAX_DISTANCE = 0.2
#: A box of which iscrowd covers more is ignored.
MAX_COVERED = 0.5


@dataclass(frozen=True)
class Found:
    """Counts.

    Attributes:
        people: Labelled, not iscrowd.
        found: Those whom a reported box finds, the best scores first.
        others: Further boxes: on nobody, too far off, or a second one.
        seen, hidden: Right and all labelled joints of people found, of flag 2 and of flag 1.
    """

    people: int
    found: int
    others: int
    seen: tuple[int, int]
    hidden: tuple[int, int]

    def __str__(self) -> str:
        return (
            f"found {self.found} of {self.people} people, with {self.seen[0]} of {self.seen[1]} seen and "
            f"{self.hidden[0]} of {self.hidden[1]} hidden joints right; further boxes: {self.others}"
        )


def count_found(annotations: AnnotationSet, results: Sequence[Result], score: float) -> Found:
    """Counts results of `score` or more."""
    if annotations.skeleton.num_joints != 17:
        raise AnnotationError(f"found: needs COCO-17 labels, got {annotations.skeleton.name}")
    of_image: dict[int, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda result: -float(result["score"])):
        if result["score"] >= score:
            of_image[result["image_id"]].append(result)
    people = found = others = 0
    pairs: list[tuple[PersonLabel, Result]] = []
    for image_id, labels in annotations.persons_by_image().items():
        counted = [label for label in labels if not label.is_crowd]
        crowds = [_corners(label.bbox) for label in labels if label.is_crowd]
        matched = _matched(counted, of_image[image_id])
        left = [result for result, label in zip(of_image[image_id], matched, strict=True) if label is None]
        pairs += [(m, r) for r, m in zip(of_image[image_id], matched, strict=True) if m is not None]
        people, found = people + len(counted), found + len(matched) - len(left)
        boxes = [_corners(np.asarray(result["bbox"], np.float64)) for result in left]
        others += sum(all(covered_share(box, crowd) <= MAX_COVERED for crowd in crowds) for box in boxes)
    return Found(people, found, others, _right(pairs, 2), _right(pairs, 1))


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


def _right(pairs: Sequence[tuple[PersonLabel, Result]], flag: int) -> tuple[int, int]:
    right = count = 0
    for label, result in pairs:
        if label.keypoints is None:
            continue
        joints = np.asarray(result["keypoints"], np.float64).reshape(17, 3)[label.keypoints[:, 2] == flag, :2]
        places = label.keypoints[label.keypoints[:, 2] == flag, :2]
        distances = np.linalg.norm(joints - places, axis=1)
        right += int((distances < MAX_DISTANCE * label.bbox[2:].max()).sum())
        count += len(joints)
    return right, count


def _corners(bbox_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([bbox_xywh[:2], bbox_xywh[:2] + bbox_xywh[2:]])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, help="label file, COCO-17")
    parser.add_argument("results", type=Path, nargs="+", help="results.json of orpose run")
    parser.add_argument("--score", type=float, default=RuntimeConfig().score_threshold, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        annotations = read_annotations(args.labels)
        for path in args.results:
            results = read_results(path, need=("bbox", "score", "keypoints"))
            check_images(results, annotations, str(path), args.labels)
            print(f"{path}: {count_found(annotations, results, args.score)}")
    except OrposeError as error:
        print(f"found: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
