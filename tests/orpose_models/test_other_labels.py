"""Label files of other makers: WEPDTOF-Pose's 14 joints, MVOR+'s keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orpose_models.annotations import annotations_from_dict, read_annotations, write_annotations
from orpose_models.errors import AnnotationError
from orpose_models.other_labels import MVOR_PLUS_ALL, MVOR_PLUS_TRUE, WEPDTOF_HEAD_KEY
from orpose_models.skeleton import COCO17

#: Joint i at (10 i + 1, 10 i + 2): right shoulder first, head top and neck last.
JOINTS_14 = [value for i in range(14) for value in (10.0 * i + 1, 10.0 * i + 2, 2)]


def coco(**person: Any) -> dict[str, Any]:
    image = {"id": 0, "file_name": "call_center_000001.jpg", "width": 1024, "height": 1024}
    entry = {"id": 0, "image_id": 0, "category_id": 1, "bbox": [0, 0, 100, 200], **person}
    return {"images": [image], "annotations": [entry], "categories": [{"id": 1, "name": "person"}]}


def test_wepdtof_joints_become_cocos() -> None:
    labels = annotations_from_dict(coco(keypoints=JOINTS_14), source="wepdtof")
    person = labels.persons[0]
    assert labels.skeleton is COCO17
    assert person.keypoints is not None
    for name, place in {"right_shoulder": 0, "left_wrist": 5, "right_hip": 6, "left_ankle": 11}.items():
        np.testing.assert_array_equal(person.keypoints[COCO17.index(name)], JOINTS_14[3 * place : 3 * place + 3])
    assert person.num_keypoints == 12  # no face
    assert person.extra[WEPDTOF_HEAD_KEY] == JOINTS_14[36:]
    assert person.area_px == pytest.approx(0.53 * 100 * 200)


def test_wepdtof_with_17_joints_is_plain_coco(tmp_path: Path) -> None:
    joints = [float(i % 3) for i in range(51)]
    root = coco(keypoints=joints)
    root["categories"][0]["keypoints"] = list(COCO17.joint_names)
    (tmp_path / "labels.json").write_text(json.dumps(root))
    person = read_annotations(tmp_path / "labels.json").persons[0]
    assert person.keypoints is not None
    np.testing.assert_array_equal(person.keypoints.ravel(), joints)
    assert person.area_px == 100 * 200


def test_converted_labels_are_read_again_as_they_were(tmp_path: Path) -> None:
    labels = annotations_from_dict(coco(keypoints=JOINTS_14), source="wepdtof")
    write_annotations(tmp_path / "again.json", labels)
    again = read_annotations(tmp_path / "again.json").persons[0]
    np.testing.assert_array_equal(again.keypoints, labels.persons[0].keypoints)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("person", "message"),
    [
        ({"keypoints": [*JOINTS_14[:-1], float("nan")]}, "annotation 0: keypoints: holds a value that is not finite"),
        ({"keypoints": [0.0] * 30}, "annotation 0: keypoints: expected 51 numbers, got 30"),
        ({MVOR_PLUS_TRUE: [0.0] * 30}, f"annotation 0: {MVOR_PLUS_TRUE}: expected 40 numbers, got 30"),
        ({MVOR_PLUS_ALL: [float("inf")] * 40}, f"{MVOR_PLUS_ALL}: holds a value that is not finite"),
        ({"keypoints2D_camma": ["a"] * 30}, "keypoints2D_camma: expected numbers"),
    ],
)
def test_errors_name_file_entry_and_key(person: dict[str, Any], message: str) -> None:
    with pytest.raises(AnnotationError, match=message) as caught:
        annotations_from_dict(coco(**person), source="labels.json")
    assert str(caught.value).startswith("labels.json: ")


def test_one_person_with_another_number_of_joints_than_the_rest() -> None:
    root = coco(keypoints=JOINTS_14)
    root["annotations"].append({**root["annotations"][0], "id": 1, "keypoints": [0.0] * 51})
    with pytest.raises(AnnotationError, match="annotation 1: keypoints: expected 42 numbers, got 51"):
        annotations_from_dict(root, source="labels.json")


def test_mvor_plus_keys_are_kept() -> None:
    values = [0.5] * 40
    person = annotations_from_dict(coco(**{MVOR_PLUS_TRUE: values}, person_id=-1), source="mvor+").persons[0]
    assert (person.person_id, person.extra[MVOR_PLUS_TRUE]) == (-1, values)
