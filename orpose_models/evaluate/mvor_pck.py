"""PCK on MVOR's ten upper-body joints, exactly as its published evaluation counts (mvor_protocols.md in words)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, PersonLabel
from orpose_models.errors import InputError
from orpose_models.evaluate.boxes import covered_share, joints_box
from orpose_models.evaluate.results import COCO_KEYPOINTS, Result
from orpose_models.skeleton import COCO17, MVOR10, Skeleton

PCK_SHARE = 0.2
MIN_COVERED = 0.3
#: Part -> the MVOR-10 joints whose rates it averages.
PARTS = {
    "head": ("head", "neck"),
    "shoulder": ("left_shoulder", "right_shoulder"),
    "hip": ("left_hip", "right_hip"),
    "elbow": ("left_elbow", "right_elbow"),
    "wrist": ("left_wrist", "right_wrist"),
}


def mvor_pck(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, float]:
    """Percent of right joints for each part, their `mean`, and `persons`, the number of labelled people.

    People labelled with a box only, or without any joint, are left out. A person without some joint counts as wrong
    there, as in the published code.

    Args:
        annotations: MVOR labels (10 joints) or COCO-17 labels, which are converted.
        results: With `coco_keypoints` or `keypoints`, 17 x (x, y, score), joints at (0, 0) missing; and score.
    """
    return summary(judged_people(annotations, results, MVOR10))


def summary(people: Sequence[JudgedPerson]) -> dict[str, float]:
    """The metrics of `mvor_pck` from people judged by MVOR's joints."""
    rates = np.mean([person.right for person in people], axis=0) if people else np.zeros(10)
    parts = {part: 100 * float(np.mean([rates[MVOR10.index(j)] for j in joints])) for part, joints in PARTS.items()}
    return {**parts, "mean": float(np.mean(list(parts.values()))), "persons": float(len(people))}


def per_joint(people: Sequence[JudgedPerson], skeleton: Skeleton) -> dict[str, dict[str, float]]:
    """Joint -> `pck` (percent of the LABELLED joints that are right, -1 for none) and how many are `labelled`."""
    known = np.array([person.known for person in people]).reshape(-1, skeleton.num_joints).sum(axis=0)
    right = np.array([person.right for person in people]).reshape(-1, skeleton.num_joints).sum(axis=0)
    return {
        name: {"pck": 100 * float(right[row] / known[row]) if known[row] else -1.0, "labelled": float(known[row])}
        for row, name in enumerate(skeleton.joint_names)
    }


def judged_people(annotations: AnnotationSet, results: Sequence[Result], skeleton: Skeleton) -> list[JudgedPerson]:
    """Every labelled person with a joint, judged by the joints of `skeleton`: MVOR10, or COCO17 for COCO labels."""
    detections = _detections_by_image(results, skeleton)
    people = []
    for person in annotations.persons:
        joints = _labelled_joints(person, skeleton)
        if joints is not None:
            right = right_joints(joints, detections.get(person.image_id, []))
            people.append(JudgedPerson(person.image_id, person.area_px, (joints != 0).any(axis=1), right))
    return people


@dataclass(frozen=True, eq=False)
class JudgedPerson:
    """A labelled person: which joints are labelled `(J,)`, which of them are found right `(J,)`; area in px²."""

    image_id: int
    area: float
    known: NDArray[np.bool_]
    right: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Detection:
    """A detected person: score, box `(4,)` x1, y1, x2, y2 around all 17 found joints, joints `(J, 2)`; px."""

    score: float
    box: NDArray[np.float64]
    joints: NDArray[np.float64]


def right_joints(label: NDArray[np.floating], detections: Sequence[Detection]) -> NDArray[np.bool_]:
    """`(J,)`: which labelled joints `(J, 2)` px the person's detection finds.

    The detection is the one of highest score among those whose box covers more than 0.3 of the label's joints' box.
    """
    box = joints_box(label)
    assert box is not None
    candidates = [detection for detection in detections if covered_share(box, detection.box) > MIN_COVERED]
    if not candidates:
        return np.zeros(len(label), bool)
    best = max(candidates, key=lambda detection: detection.score).joints
    reach = PCK_SHARE * (box[2:] - box[:2] + 1).max()
    known = (label != 0).any(axis=1) & (best != 0).any(axis=1)
    return known & (np.linalg.norm(label - best, axis=1) <= reach)


def mvor10_from_found_coco17(coco: NDArray[np.floating]) -> NDArray[np.float64]:
    """`(10, 2)` MVOR joints of COCO joints `(17, 2)` of which those at (0, 0) are missing; (0, 0) where impossible."""
    by_name = {name: coco[i] for i, name in enumerate(COCO17.joint_names) if coco[i].any()}
    joints = np.zeros((10, 2))
    head = _mean_of_both(by_name, "eye")
    head = _mean_of_both(by_name, "ear") if head is None else head
    for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        head = by_name.get(name) if head is None else head
    neck = _mean_of_both(by_name, "shoulder")
    for name in ("left_shoulder", "right_shoulder"):
        neck = by_name.get(name) if neck is None else neck
    for row, name in enumerate(MVOR10.joint_names):
        joint = {"head": head, "neck": neck}.get(name, by_name.get(name))
        if joint is not None:
            joints[row] = joint
    return joints


def _mean_of_both(by_name: dict[str, NDArray], part: str) -> NDArray | None:
    left, right = by_name.get(f"left_{part}"), by_name.get(f"right_{part}")
    return None if left is None or right is None else (left + right) / 2


def _labelled_joints(person: PersonLabel, skeleton: Skeleton) -> NDArray[np.float64] | None:
    if person.keypoints is None or person.extra.get("only_bbox", 0) or person.is_crowd:
        return None
    joints = person.keypoints[:, :2]
    if len(joints) == COCO17.num_joints:
        joints = joints * (person.keypoints[:, 2:] > 0)
        joints = mvor10_from_found_coco17(joints) if skeleton is MVOR10 else joints
    return joints if joints.any() else None


def _detections_by_image(results: Sequence[Result], skeleton: Skeleton) -> dict[int, list[Detection]]:
    detections: dict[int, list[Detection]] = {}
    for index, result in enumerate(results):
        flat = np.asarray(result.get(COCO_KEYPOINTS, result.get("keypoints")), dtype=np.float64)
        if flat.size != 51:
            raise InputError(f"result {index}: keypoints: expected 51 numbers (COCO-17), got {flat.size}")
        found = flat.reshape(17, 3)[:, :2]
        box = joints_box(found)
        if box is not None:
            joints = mvor10_from_found_coco17(found) if skeleton is MVOR10 else found
            detections.setdefault(int(result["image_id"]), []).append(Detection(float(result["score"]), box, joints))
    return detections
