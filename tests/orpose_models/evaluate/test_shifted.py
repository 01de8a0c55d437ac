"""Copies of labelled pictures: labels move with the pixels."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.annotations import PersonLabel, read_annotations
from orpose_models.evaluate.shifted import COPIES, main, shifted_label
from orpose_models.skeleton import COCO17

NOSE, LEFT_WRIST, RIGHT_WRIST = (COCO17.index(name) for name in ("nose", "left_wrist", "right_wrist"))


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """One person: a white nose, a red left wrist, the right one unlabelled."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:23, 30:33] = 255
    picture[40:43, 50:53] = (0, 0, 255)
    (tmp_path / "room").mkdir()
    cv2.imwrite(str(tmp_path / "room" / "a.png"), picture)
    joints = np.zeros((17, 3))
    joints[NOSE], joints[LEFT_WRIST] = (31.5, 21.5, 2), (51.5, 41.5, 1)
    person = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [30, 20, 23, 23], "iscrowd": 0}
    person |= {"keypoints": joints.ravel().tolist(), "num_keypoints": 2}
    crowd = {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10], "iscrowd": 1}
    edge = {"id": 3, "image_id": 7, "category_id": 1, "bbox": [76, 50, 4, 10], "iscrowd": 0}
    images = [{"id": 7, "file_name": "room/a.png", "width": 80, "height": 60}]
    (tmp_path / "labels.json").write_text(json.dumps({"images": images, "annotations": [person, crowd, edge]}))
    return tmp_path


def test_labels_move_with_the_pixels(room: Path) -> None:
    out = room / "copies"
    assert main([str(room), "--annotations", str(room / "labels.json"), "--out", str(out)]) == 0
    copies = read_annotations(out / "annotations.json")
    assert len(copies.images) == len(COPIES) == len(list(out.glob("*.png"))) == 12
    mirrored_left = at_edge = 0
    for image in copies.images:
        picture = cv2.imread(str(out / image.file_name))
        assert picture is not None
        person, crowd, *edge = copies.persons_by_image()[image.image_id]
        assert crowd.is_crowd and not person.is_crowd
        assert person.keypoints is not None
        for joint, colour in ((NOSE, (255, 255, 255)), (LEFT_WRIST, (0, 0, 255)), (RIGHT_WRIST, (0, 0, 255))):
            x, y, flag = person.keypoints[joint]
            if flag:
                assert tuple(picture[int(y), int(x)]) == colour
        x, y, w, h = person.bbox
        box = picture[int(y) : int(y + h), int(x) : int(x + w)]
        assert (box.max(axis=2) > 0).sum() == (picture.max(axis=2) > 0).sum() == 18
        mirrored_left += person.keypoints[RIGHT_WRIST, 2] > 0
        at_edge += len(edge)
    assert mirrored_left == 6
    assert at_edge == 2 * 4, "shifts by 6 and 5 px push it out"
    assert {image.sequence for image in copies.images} == {"room/a.png"}


def test_what_a_shift_pushes_out_is_cut_off() -> None:
    joints = np.zeros((17, 3))
    joints[NOSE], joints[LEFT_WRIST] = (2, 20, 2), (40, 30, 2)
    person = PersonLabel(1, 7, np.array([0.0, 10, 50, 30]), joints, role="surgeon")
    copy = shifted_label(person, (-6, 3), False, (80, 60), COCO17)
    np.testing.assert_array_equal(copy.bbox, [0, 13, 44, 30])
    assert copy.role == "surgeon" and copy.keypoints is not None
    assert copy.keypoints[NOSE].tolist() == [0, 0, 0] and copy.keypoints[LEFT_WRIST].tolist() == [34, 33, 2]
    mirrored = shifted_label(person, (-6, 3), True, (80, 60), COCO17)
    np.testing.assert_array_equal(mirrored.bbox, [36, 13, 44, 30])
    assert mirrored.keypoints is not None and mirrored.keypoints[RIGHT_WRIST].tolist() == [46, 33, 2]


def test_a_folder_with_images_is_refused(room: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main([str(room / "room"), "--out", str(room / "room")])
    assert "has images already" in capsys.readouterr().err


def test_empty_rooms_need_no_labels(room: Path) -> None:
    assert main([str(room / "room"), "--out", str(room / "copies")]) == 0
    assert len(list((room / "copies").iterdir())) == 12


@pytest.mark.parametrize(("folder", "message"), [("nowhere", "expected a folder"), ("room", "cannot be read")])
def test_missing_pictures_are_one_line(room: Path, folder: str, message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(room / folder), "--annotations", str(room / "labels.json"), "--out", str(room / "copies")])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
