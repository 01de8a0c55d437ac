"""How good one frame's answer is: to find the frames worth looking at, not a metric to publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orpose_models.annotations import PersonLabel
from orpose_models.evaluate.boxes import covered_share
from orpose_models.evaluate.mpjpe import oks
from orpose_models.runtime.types import Person
from orpose_models.tracking import box_ious

#: Boxes that overlap less are two people.
MIN_OVERLAP = 0.5


@dataclass(frozen=True)
class FrameQuality:
    """One frame's answer beside its labels.

    Attributes:
        labelled: People who are labelled and not iscrowd.
        missed: Of those, how many no person was found for.
        invented: Persons found where nobody is labelled.
        similarity: Mean likeness of those found, in 0-1: object keypoint similarity, or overlap of the boxes where a
            label has no joints. None if nobody was found.
    """

    labelled: int
    missed: int
    invented: int
    similarity: float | None

    @property
    def quality(self) -> float:
        """In 0-1: the similarity, in which everybody missed or invented counts 0; 1 where nobody is and was found."""
        people = self.labelled + self.invented
        return 1.0 if people == 0 else (self.similarity or 0.0) * (self.labelled - self.missed) / people


def frame_quality(labels: Sequence[PersonLabel], persons: Sequence[Person]) -> FrameQuality:
    """Gives each person, by falling score, to the label whose box overlaps most.

    Args:
        labels: Of the frame; persons on an iscrowd one are neither right nor wrong.
        persons: What was found in it.
    """
    wanted = [label for label in labels if not label.is_crowd]
    free = list(range(len(wanted)))
    similarities, invented = [], 0
    for person in sorted(persons, key=lambda person: -person.score):
        overlaps = {index: float(box_ious(wanted[index].bbox[None], person.bbox_xywh[None])[0, 0]) for index in free}
        best = max(overlaps, key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= MIN_OVERLAP:
            free.remove(best)
            similarities.append(_similarity(wanted[best], person, overlaps[best]))
        elif not _is_on_a_crowd(person, labels):
            invented += 1
    mean = float(np.mean(similarities)) if similarities else None
    return FrameQuality(len(wanted), len(free), invented, mean)


def _similarity(label: PersonLabel, person: Person, box_overlap: float) -> float:
    if label.num_keypoints == 0 or label.keypoints is None or len(label.keypoints) != len(person.keypoints):
        return box_overlap
    return oks(label, person.keypoints[:, :2])


def _is_on_a_crowd(person: Person, labels: Sequence[PersonLabel]) -> bool:
    def corners(box: np.ndarray) -> np.ndarray:
        return np.concatenate([box[:2], box[:2] + box[2:]])

    own = corners(person.bbox_xywh)
    return any(label.is_crowd and covered_share(own, corners(label.bbox)) > MIN_OVERLAP for label in labels)
