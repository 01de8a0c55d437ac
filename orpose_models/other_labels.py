"""Label files of other makers, turned into COCO-17 JSON of people before they are read.

Of a file with several categories the people are kept. MVOR+'s keys are checked.

WEPDTOF-Pose (SSPCM 2023) is COCO JSON of overhead fisheye images. Its public evaluation reads 14 joints a person
(right and left limbs, head top, neck) and takes 0.53 of the area of the box; with 17 joints it is plain COCO.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orpose_models.errors import AnnotationError
from orpose_models.json_values import array_of, list_of, value_of
from orpose_models.skeleton import COCO17

#: WEPDTOF-Pose's first 12 joints, in its order; then come head top and neck, which COCO does not have.
WEPDTOF_LIMBS = (
    "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
)  # fmt: skip
WEPDTOF_JOINTS = 14
#: Share of the box that a person covers, in the public evaluation of WEPDTOF-Pose.
WEPDTOF_AREA_SHARE = 0.53
#: Where head top and neck go: 2 x (x, y, v).
WEPDTOF_HEAD_KEY = "keypoints_head_top_neck"

#: MVOR+'s keys: 3D in METRES, camera frame, flag; of the joints labelled in this view, and of all. And 2D.
MVOR_PLUS_TRUE, MVOR_PLUS_ALL = "keypoints3D_camma_projected_true", "keypoints3D_camma_projected_allkps"
MVOR_PLUS_SHAPES = {MVOR_PLUS_TRUE: (10, 4), MVOR_PLUS_ALL: (10, 4), "keypoints2D_camma": (10, 3)}


def people_of(root: Mapping[str, Any], source: str) -> tuple[dict[str, Any], int]:
    """The decoded file with people as its only category, and how many annotations of others were left out.

    People are the category named person. Where none has that name, they are the category of id 1 that has joints or no
    name; a file without categories holds people.

    Raises:
        AnnotationError: None of the categories is one of people, or an annotation does not say its category.
    """
    entries = list_of(root, "annotations", source)
    categories = root.get("categories") or [{"id": 1}]
    if not (isinstance(categories, list) and all(isinstance(category, dict) for category in categories)):
        raise AnnotationError(f"{source}: categories: expected a list of objects, got {str(categories)[:80]}")
    person = _person_category(categories, source)
    person_id = value_of(person, "id", int, f"{source}: category person")
    people = [
        entry
        for index, entry in enumerate(entries)
        if not isinstance(entry, dict)  # the reader says what is wrong with it
        or (len(categories) == 1 and "category_id" not in entry)
        or value_of(entry, "category_id", int, _where(entry, index, source)) == person_id
    ]
    return {**root, "categories": [person], "annotations": people}, len(entries) - len(people)


def _person_category(categories: list[dict[str, Any]], source: str) -> dict[str, Any]:
    for category in categories:
        if str(category.get("name")).lower() == "person":
            return category
    for category in categories:
        if str(category.get("id")) == "1" and (category.get("keypoints") or "name" not in category):
            return category
    names = ", ".join(str(category.get("name")) for category in categories)
    raise AnnotationError(f"{source}: categories: expected one named person, got {names[:80]}; rename that of people")


def as_coco17(root: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """The decoded file, with 14 joints turned into COCO's 17 where it has those.

    Raises:
        AnnotationError: A list of another length or with a value that is not finite, named by file, entry and key.
    """
    entries = root.get("annotations")
    if not isinstance(entries, list):
        return root  # the reader says what is missing
    for index, entry in enumerate(entries):
        _check_mvor_plus(entry, index, source)
    if not _is_wepdtof(root):
        return root
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO17.joint_names)}]
    converted = [_coco17_entry(entry, index, source) for index, entry in enumerate(entries)]
    return {**root, "categories": categories, "annotations": converted}


def _is_wepdtof(root: Mapping[str, Any]) -> bool:
    """By the categories' joints, or, where they are not named, by the first labelled person."""
    categories = root.get("categories")
    if isinstance(categories, list) and categories and isinstance(categories[0], dict):
        names = categories[0].get("keypoints")
        if isinstance(names, list):
            return len(names) == WEPDTOF_JOINTS
    labelled = (entry["keypoints"] for entry in root["annotations"] if isinstance(entry, dict) and "keypoints" in entry)
    first = next(labelled, None)
    return isinstance(first, list) and len(first) == 3 * WEPDTOF_JOINTS


def _coco17_entry(entry: Any, index: int, source: str) -> Any:
    if not isinstance(entry, dict) or entry.get("keypoints") is None:
        return entry
    where = _where(entry, index, source)
    joints = array_of(entry, "keypoints", (WEPDTOF_JOINTS, 3), where)
    width, height = array_of(entry, "bbox", (4,), where)[2:]
    rows = [[0.0, 0.0, 0.0] for _ in range(COCO17.num_joints)]
    for name, joint in zip(WEPDTOF_LIMBS, joints[: len(WEPDTOF_LIMBS)], strict=True):
        rows[COCO17.index(name)] = joint.tolist()
    return {
        **entry,
        "keypoints": [value for row in rows for value in row],
        WEPDTOF_HEAD_KEY: joints[len(WEPDTOF_LIMBS) :].ravel().tolist(),
        "area": WEPDTOF_AREA_SHARE * float(width * height),
        "iscrowd": 0,  # many entries lack it, and the public evaluation takes everybody for a person
    }


def _check_mvor_plus(entry: Any, index: int, source: str) -> None:
    for key, shape in MVOR_PLUS_SHAPES.items():
        if isinstance(entry, dict) and entry.get(key) is not None:
            array_of(entry, key, shape, _where(entry, index, source))


def _where(entry: dict[str, Any], index: int, source: str) -> str:
    return f"{source}: annotation {entry.get('id', f'at position {index}')}"
