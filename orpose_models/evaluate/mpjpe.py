"""Mean per-joint position error of 3D poses in mm, root-relative, over eight upper-body joints (Srivastav 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.results import Result
from orpose_models.other_labels import MVOR_PLUS_ALL, MVOR_PLUS_TRUE
from orpose_models.skeleton import COCO17_SIGMAS, H36M17, MVOR10, mvor10_from_h36m17

#: The joints the mean is over: MVOR's without head and neck. `ROWS` are their places among MVOR's ten.
JOINTS = tuple(name for name in MVOR10.joint_names if name not in ("head", "neck"))
ROWS = [MVOR10.index(name) for name in JOINTS]
HIPS = [MVOR10.index("left_hip"), MVOR10.index("right_hip")]
#: A detection less alike than this is somebody else: the person counts as missed (correct protocol only).
MIN_OKS = 0.1


@dataclass(frozen=True, eq=False)
class Pose3D:
    """MVOR's ten joints `(10, 3)` in mm relative to the mean of the hips, and which of them are known `(10,)`."""

    joints: NDArray[np.float64]
    known: NDArray[np.bool_]

    @property
    def has_root(self) -> bool:
        return bool(self.known[HIPS].all())


@dataclass(frozen=True, eq=False)
class PersonErrors:
    """One labelled person under both protocols.

    Attributes:
        image_id: Where; `area`: of the label, px².
        has_root: Both hips are labelled. The correct protocol leaves out whoever has none.
        errors: `(10,)` mm, MVOR's joints, NaN where the label has none; None if the person was missed.
        published: `(10,)` mm, 0 where the label has none; None for people whom the public evaluation skips.
    """

    image_id: int
    area: float
    has_root: bool
    errors: NDArray[np.float64] | None
    published: NDArray[np.float64] | None


def mpjpe(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, float]:
    """Errors by two protocols.

    `mpjpe_mm`: over the labelled joints of the people that were found and whose hips are labelled; `found`, `missed`
    and `without_root` say how many people that leaves in and out.
    `published_mm` repeats the public evaluation: people with person_id >= 0 on images with any detection; a joint that
    is not labelled counts as ZERO error; `published_people` says how many. An error is -1 where nobody is left.

    Args:
        annotations: With keypoints_3d (ours) or MVOR+'s keys, and COCO-17 keypoints for the matching.
        results: With keypoints (17 x (x, y, score)) and keypoints_3d (17 x (x, y, z, score), pelvis-relative mm).

    Raises:
        AnnotationError: No label has 3D joints.
    """
    return summary(person_errors(annotations, results))


def person_errors(annotations: AnnotationSet, results: Sequence[Result]) -> list[PersonErrors]:
    """One entry for every label with 3D joints. Arguments and errors as for `mpjpe`."""
    detections: dict[int, list[Result]] = {}
    for result in results:
        detections.setdefault(int(result["image_id"]), []).append(result)
    images = {image.image_id: image for image in annotations.images}
    people = [
        _person_errors(_clipped(label, images[label.image_id]), *poses, detections.get(label.image_id, []))
        for label in annotations.persons
        if (poses := _poses(label)) is not None
    ]
    if not people:
        raise AnnotationError(f"mpjpe: no label has 17 keypoints and keypoints_3d (or MVOR+'s {MVOR_PLUS_TRUE})")
    return people


def summary(people: Sequence[PersonErrors]) -> dict[str, float]:
    """The metrics of `mpjpe`."""
    rooted = [person for person in people if person.has_root]
    found = [person.errors[ROWS] for person in rooted if person.errors is not None]
    published = [person.published[ROWS] for person in people if person.published is not None]
    return {
        "mpjpe_mm": mean_or_minus_one(np.array(found)),
        "found": float(len(found)),
        "missed": float(len(rooted) - len(found)),
        "without_root": float(len(people) - len(rooted)),
        "published_mm": mean_or_minus_one(np.array(published)),
        "published_people": float(len(published)),
    }


def per_joint(people: Sequence[PersonErrors]) -> dict[str, dict[str, float]]:
    """MVOR joint -> `mpjpe_mm`, `persons` it is measured on, and `published_mm`. Head and neck are in no mean."""
    found = np.array([p.errors for p in people if p.has_root and p.errors is not None]).reshape(-1, 10)
    published = np.array([p.published for p in people if p.published is not None]).reshape(-1, 10)
    return {
        name: {
            "mpjpe_mm": mean_or_minus_one(found[:, row]),
            "persons": float(np.isfinite(found[:, row]).sum()),
            "published_mm": mean_or_minus_one(published[:, row]),
        }
        for row, name in enumerate(MVOR10.joint_names)
    }


def mean_or_minus_one(values: NDArray[np.floating]) -> float:
    """The mean of what is not NaN; -1 if nothing is left, as pycocotools says it."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else -1.0


def best_match(label: PersonLabel, detections: Sequence[Result]) -> tuple[Result, float] | None:
    """The detection of highest object keypoint similarity, and that; None without detections. Not one to one."""
    if not detections or label.keypoints is None:
        return None
    similarities = [oks(label, np.reshape(detection["keypoints"], (17, 3))[:, :2]) for detection in detections]
    best = int(np.argmax(similarities))
    return detections[best], similarities[best]


def oks(label: PersonLabel, found: NDArray[np.floating]) -> float:
    """COCO's object keypoint similarity of joints `(17, 2)` px, with the area of the label's box.

    For a label without any joint, COCO's rule too: by how far the joints are outside the box enlarged threefold.
    """
    assert label.keypoints is not None
    known = label.keypoints[:, 2] > 0
    offsets = found - label.keypoints[:, :2]
    if not known.any():
        low, size = label.bbox[:2], label.bbox[2:]
        offsets = np.maximum(0, low - size - found) + np.maximum(0, found - (low + 2 * size))
        known = np.ones(17, bool)
    area = float(label.bbox[2] * label.bbox[3]) + float(np.spacing(1))
    squared = (offsets**2).sum(axis=1)
    return float(np.exp(-squared[known] / (2 * COCO17_SIGMAS[known]) ** 2 / area / 2).mean())


def _person_errors(label: PersonLabel, own: Pose3D, public: Pose3D, detections: list[Result]) -> PersonErrors:
    errors = published = None
    match = best_match(label, detections)
    if match is not None:
        joints = np.reshape(match[0]["keypoints_3d"], (17, 4))[:, :3].astype(np.float64)
        predicted = mvor10_from_h36m17(joints - joints[H36M17.root])
        if match[1] >= MIN_OKS:
            errors = np.where(own.known, np.linalg.norm(predicted - own.joints, axis=1), np.nan)
        if label.person_id is None or label.person_id >= 0:
            published = np.where(public.known, np.linalg.norm(predicted - public.joints, axis=1), 0.0)
    return PersonErrors(label.image_id, label.area_px, own.has_root, errors, published)


def _poses(label: PersonLabel) -> tuple[Pose3D, Pose3D] | None:
    """What the label knows, and what the public evaluation takes: of MVOR+ the joints labelled in this view, and all.

    None if the label has no 3D joints.
    """
    if label.keypoints is None or len(label.keypoints) != 17 or label.is_crowd:
        return None
    own = label.extra.get(MVOR_PLUS_TRUE, label.extra.get(MVOR_PLUS_ALL))
    if own is not None:
        public = label.extra.get(MVOR_PLUS_ALL, own)
        metres = (np.reshape(np.asarray(values, np.float64), (10, 4)) for values in (own, public))
        poses = [_pose(joints * (1000, 1000, 1000, 1)) for joints in metres]
    elif label.keypoints_3d is not None:
        poses = [_pose(mvor10_from_h36m17(label.keypoints_3d))] * 2
    else:
        return None
    is_counted_as_published = own is not None and (label.person_id or 0) >= 0  # even without any joint
    any_known = poses[0].known.any() or poses[1].known.any()
    return (poses[0], poses[1]) if any_known or is_counted_as_published else None


def _pose(joints: NDArray[np.float64]) -> Pose3D:
    return Pose3D(joints[:, :3] - joints[HIPS, :3].mean(axis=0), joints[:, 3] > 0)


def _clipped(label: PersonLabel, image: LabelledImage) -> PersonLabel:
    """The label with its box cut off at the image's edges, as the public evaluation takes it."""
    corners = np.stack([label.bbox[:2], label.bbox[:2] + label.bbox[2:]]).clip(0, (image.width, image.height))
    return replace(label, bbox=np.concatenate([corners[0], corners[1] - corners[0]]))
