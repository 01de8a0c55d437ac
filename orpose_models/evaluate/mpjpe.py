"""Mean per-joint position error of 3D poses in mm, root-relative, over eight upper-body joints (paper.md, Metrics)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, PersonLabel
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.results import Result
from orpose_models.skeleton import COCO17_SIGMAS, H36M17, MVOR10, mvor10_from_h36m17

JOINTS = tuple(name for name in MVOR10.joint_names if name not in ("head", "neck"))
#: Rows of the eight joints in MVOR-10, and of the hips among the eight.
ROWS = tuple(MVOR10.index(name) for name in JOINTS)
HIPS = (JOINTS.index("left_hip"), JOINTS.index("right_hip"))
#: MVOR+'s key: 10 joints x (x, y, z, flag), METRES, camera frame.
MVOR_PLUS_KEY = "keypoints3D_camma_projected_true"
#: A detection less alike than this is somebody else: the person counts as missed (correct protocol only).
MIN_OKS = 0.1


@dataclass(frozen=True, eq=False)
class Person3D:
    """A labelled person: the eight joints `(8, 3)` mm relative to the pelvis, which of them are visible `(8,)`."""

    image_id: int
    joints: NDArray[np.float64]
    visible: NDArray[np.bool_]
    has_root: bool
    in_published: bool
    label: PersonLabel


def mpjpe(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, float]:
    """Errors by two protocols.

    `mpjpe_mm`: over the visible joints of the people that were found and whose hips are labelled; `found`, `missed` and
    `without_root` say how many people that leaves in and out.
    `published_mm` repeats the public evaluation: people with person_id >= 0 on images with any detection; a joint that
    is not visible counts as ZERO error; `published_people` says how many. An error is -1 where nobody is left.

    Args:
        annotations: With keypoints_3d (ours) or MVOR+'s key, and COCO-17 keypoints for the matching.
        results: With keypoints (17 x (x, y, score)) and keypoints_3d (17 x (x, y, z, score), pelvis-relative mm).

    Raises:
        AnnotationError: No label has 3D joints.
    """
    detections: dict[int, list[Result]] = {}
    for result in results:
        detections.setdefault(int(result["image_id"]), []).append(result)
    people = [person for label in annotations.persons if (person := _person_3d(label)) is not None]
    if not people:
        raise AnnotationError(f"mpjpe: no label has 17 keypoints and keypoints_3d (or MVOR+'s {MVOR_PLUS_KEY})")
    return {**_correct(people, detections), **_published(people, detections)}


def _correct(people: Sequence[Person3D], detections: dict[int, list[Result]]) -> dict[str, float]:
    errors, found, missed = [], 0, 0
    rooted = [person for person in people if person.has_root]
    for person in rooted:
        match = best_match(person.label, detections.get(person.image_id, []))
        if match is None or match[1] < MIN_OKS:
            missed += 1
            continue
        found += 1
        errors.append(_errors(person, match[0])[person.visible])
    mean = float(np.concatenate(errors).mean()) if errors else -1.0
    counts = {"found": found, "missed": missed, "without_root": len(people) - len(rooted)}
    return {"mpjpe_mm": mean, **{name: float(count) for name, count in counts.items()}}


def _published(people: Sequence[Person3D], detections: dict[int, list[Result]]) -> dict[str, float]:
    errors = []
    for person in people:
        match = best_match(person.label, detections.get(person.image_id, [])) if person.in_published else None
        if match is not None:
            errors.append(np.where(person.visible, _errors(person, match[0]), 0.0))
    mean = float(np.mean(errors)) if errors else -1.0
    return {"published_mm": mean, "published_people": float(len(errors))}


def best_match(label: PersonLabel, detections: Sequence[Result]) -> tuple[Result, float] | None:
    """The detection of highest object keypoint similarity, and that; None without detections. Not one to one."""
    if not detections or label.keypoints is None:
        return None
    similarities = [oks(label, np.reshape(detection["keypoints"], (17, 3))[:, :2]) for detection in detections]
    best = int(np.argmax(similarities))
    return detections[best], similarities[best]


def oks(label: PersonLabel, found: NDArray[np.floating]) -> float:
    """COCO's object keypoint similarity of joints `(17, 2)` px, with the area of the label's box."""
    assert label.keypoints is not None
    known = label.keypoints[:, 2] > 0
    if not known.any():
        return 0.0
    squared = ((found - label.keypoints[:, :2]) ** 2).sum(axis=1)
    area = float(label.bbox[2] * label.bbox[3]) + float(np.spacing(1))
    return float(np.exp(-squared[known] / (2 * COCO17_SIGMAS[known]) ** 2 / area / 2).mean())


def _errors(person: Person3D, detection: Result) -> NDArray[np.float64]:
    joints = np.reshape(detection["keypoints_3d"], (17, 4))[:, :3]
    relative = mvor10_from_h36m17(joints - joints[H36M17.root])[list(ROWS)]
    return np.linalg.norm(relative - person.joints, axis=1)


def _person_3d(label: PersonLabel) -> Person3D | None:
    """The label's eight joints relative to the mean of its hips; None if it has no 3D."""
    if label.keypoints is None or len(label.keypoints) != 17 or label.is_crowd:
        return None
    if MVOR_PLUS_KEY in label.extra:
        joints = np.reshape(label.extra[MVOR_PLUS_KEY], (10, 4)) * (1000, 1000, 1000, 1)
    elif label.keypoints_3d is not None:
        joints = mvor10_from_h36m17(label.keypoints_3d)
    else:
        return None
    eight = joints[list(ROWS)]
    visible = eight[:, 3] > 0
    if not visible.any():
        return None
    has_root = bool(visible[list(HIPS)].all())
    relative = eight[:, :3] - eight[list(HIPS), :3].mean(axis=0)
    return Person3D(label.image_id, relative, visible, has_root, (label.person_id or 0) >= 0, label)
