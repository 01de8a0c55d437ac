"""Label files: every key survives a round trip, MVOR is read as it is, and errors name file, id and key."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orpose_models.annotations import (
    AnnotationSet,
    Camera,
    LabelledImage,
    PersonLabel,
    annotations_from_dict,
    annotations_to_dict,
    read_annotations,
    write_annotations,
)
from orpose_models.errors import AnnotationError
from orpose_models.skeleton import COCO17

MVOR = Path(__file__).parents[3] / "shared/data/mvor/camma_mvor_2018.json"
OR_1X = Path(__file__).parents[3] / "shared/data/or_1x/annotations.json"


def full_set() -> AnnotationSet:
    rng = np.random.default_rng(0)
    camera = Camera("cam1", "plumb_bob", (640, 480), 530.5, 531.5, 320.0, 240.0, (0.1, -0.2, 0, 0, 0), np.eye(4))
    image = LabelledImage(
        7, "a/000007.jpg", 640, 480, camera_id="cam1", sequence="day1", frame_index=7, topic="/cam1/image",
        stamp_ns=1_700_000_000_123_456_789, depth_file_name="d.png", instances_file_name="i.png", extra={"licence": 3},
    )  # fmt: skip
    person = PersonLabel(
        annotation_id=3, image_id=7, bbox=np.array([1.5, 2, 30, 40]), area=801.0,
        keypoints=np.column_stack([rng.uniform(0, 400, (17, 2)).round(2), rng.integers(0, 3, 17)]),
        bbox_amodal=np.array([0.0, 0, 50, 60]), instance_id=4, track_id=5, person_id=6, role="nurse",
        outfit="scrubs_navy",
        keypoints_3d=np.column_stack([rng.uniform(-900, 900, (17, 3)).round(1), np.full(17, 2)]), score=0.75,
        keypoints_soft=rng.uniform(0, 1, (17, 3)).round(3), keypoints_3d_soft=rng.uniform(0, 1, (17, 4)).round(1),
        keypoints_3d_hard=rng.uniform(0, 1, (17, 4)).round(1), joint_weight=rng.uniform(0, 1, 17).round(3),
        extra={"only_bbox": 0},
    )  # fmt: skip
    crowd = PersonLabel(4, 7, np.array([0.0, 0, 9, 9]), is_crowd=True)
    return AnnotationSet((image,), (person, crowd), {"cam1": camera}, info={"seed": 1}, extra={"rooms": [1]})


def test_every_key_survives_a_round_trip(tmp_path: Path) -> None:
    write_annotations(tmp_path / "new/labels.json", full_set())
    again = read_annotations(tmp_path / "new/labels.json")
    assert annotations_to_dict(again) == annotations_to_dict(full_set())
    person = again.persons[0]
    np.testing.assert_array_equal(person.keypoints, full_set().persons[0].keypoints)
    assert (person.role, person.track_id, person.extra) == ("nurse", 5, {"only_bbox": 0})
    assert again.images[0].stamp_ns == 1_700_000_000_123_456_789
    assert again.info["format"] == "orpose-1"
    assert [p.is_crowd for p in again.persons_by_image()[7]] == [False, True]
    assert not list(tmp_path.glob("**/*.tmp"))


def test_pycocotools_reads_what_we_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO

    write_annotations(tmp_path / "labels.json", full_set())
    coco = COCO(str(tmp_path / "labels.json"))
    assert coco.getImgIds() == [7]
    assert coco.loadAnns(3)[0]["num_keypoints"] == full_set().persons[0].num_keypoints
    assert len(coco.loadCats(1)[0]["keypoints"]) == 17


@pytest.mark.parametrize("person", [{"id": 2, "name": "person"}, {"id": 1, "keypoints": list(COCO17.joint_names)}])
def test_other_categories_are_left_out(person: dict[str, Any]) -> None:
    root = annotations_to_dict(full_set())
    nurse, crowd = root["annotations"]
    nurse["category_id"] = crowd["category_id"] = person["id"]
    root["annotations"] = [{"id": 3, "image_id": 7, "category_id": 4, "bbox": [0, 0, 50, 20]}, nurse, crowd]
    root["categories"] = [{"id": 4, "name": "car", "keypoints": ["wheel"]}, person]
    labels = annotations_from_dict(root, source="instances.json")
    assert [person.annotation_id for person in labels.persons] == [3, 4]
    assert (labels.others, labels.skeleton) == (1, COCO17)


@pytest.mark.parametrize("score", [0, 1])
def test_the_ends_of_the_ranges_are_allowed(score: int) -> None:
    root = annotations_to_dict(full_set())
    joints = [10.0, 20.0, score]
    root["annotations"][0].update(score=score, joint_weight=17 * [score], keypoints_soft=17 * joints)
    assert annotations_from_dict(root, source="labels.json").persons[0].score == score


def test_arrays_are_read_only(tmp_path: Path) -> None:
    write_annotations(tmp_path / "labels.json", full_set())
    with pytest.raises(ValueError, match="read-only"):
        read_annotations(tmp_path / "labels.json").persons[0].bbox[0] = 1


def _broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    root = copy.deepcopy(annotations_to_dict(full_set()))
    change(root)
    return root


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("images"), "images: expected a list, got nothing"),
        (lambda r: r["images"][0].pop("width"), "image 7: width: missing"),
        (lambda r: r["images"][0].update(height=0), "image 7: height: expected a number above 0, got 0"),
        (lambda r: r["images"].append(r["images"][0]), "ids are not unique"),
        (lambda r: r["annotations"][0].update(image_id=8), "annotation 3: image_id: no image has id 8"),
        (lambda r: r["annotations"][0]["keypoints"].pop(), "annotation 3: keypoints: expected 51 numbers, got 50"),
        (lambda r: r["annotations"][0].update(bbox=[0, 0, -1, 5]), "annotation 3: bbox: width and height must not be"),
        (lambda r: r["annotations"][0].update(bbox=["a", 0, 1, 5]), "annotation 3: bbox: expected numbers"),
        (lambda r: r["annotations"][0].update(keypoints_3d=[float("nan")] * 68), "annotation 3: keypoints_3d: holds"),
        (lambda r: r["annotations"][0].update(track_id="x"), "annotation 3: track_id: unexpected value 'x'"),
        (lambda r: r["annotations"].append(5), "annotation 2: expected an object, got int"),
        (lambda r: r["cameras"]["cam1"].update(model="fisheye"), "camera cam1: model: expected one of plumb_bob"),
        (lambda r: r["cameras"]["cam1"].pop("fx"), "camera cam1: fx: missing"),
        (
            lambda r: r["cameras"]["cam1"].update(model="equidistant"),
            "camera cam1: distortion: expected 0 or 4",
        ),
        (lambda r: r["cameras"]["cam1"].update(fx=-1), "camera cam1: fx, fy: expected focal lengths above 0"),
        (lambda r: r["categories"][0]["keypoints"].pop(), "category person: keypoints: expected 17 .* got 16"),
        (lambda r: r["categories"][0].update(keypoints=17), "category person: keypoints: expected a list, got int"),
        (lambda r: r.update(categories={"1": "person"}), "categories: expected a list of objects, got {'1': 'person'}"),
        (
            lambda r: r["cameras"]["cam1"].update(image_size=[0, 0]),
            "camera cam1: image_size: width: expected a number above 0, got 0",
        ),
        (lambda r: r.update(cameras=[1]), "cameras: expected an object, got list"),
        (lambda r: r.update(cameras=[]), "cameras: expected an object, got list"),
        (lambda r: r["cameras"]["cam1"].update(cx=float("nan")), "camera cam1: cx: unexpected value nan"),
        (lambda r: r["cameras"]["cam1"].update(distortion="no"), "camera cam1: distortion: expected numbers"),
        (lambda r: r["images"][0].update(width=float("inf")), "image 7: width: unexpected value inf"),
        (lambda r: r["annotations"][0]["keypoints"].__setitem__(2, 7), "annotation 3: keypoints: v: .* got 7"),
        (lambda r: r["annotations"][0]["keypoints"].__setitem__(5, -1), "annotation 3: keypoints: v: .* got -1"),
        (lambda r: r["annotations"][0]["keypoints"].__setitem__(5, 1.5), "annotation 3: keypoints: v: .* got 1.5"),
        (
            lambda r: r["annotations"][0]["keypoints_soft"].__setitem__(2, 80),
            "annotation 3: keypoints_soft: confidence: expected 0 to 1, got 80",
        ),
        (lambda r: r["annotations"][0]["joint_weight"].__setitem__(4, -3), "annotation 3: joint_weight: .* got -3"),
        (lambda r: r["annotations"][0].update(score=1.01), "annotation 3: score: expected 0 to 1, got 1.01"),
        (lambda r: r["annotations"][1].update(id=3), "annotation 3: id: two have it"),
        (lambda r: r["categories"].append({"id": 2}) or r["annotations"][0].pop("category_id"), "3: category_id: miss"),
        (lambda r: r.update(categories=[{"id": 1, "name": "car"}]), "categories: expected one named person, got car"),
        (lambda r: r["categories"][0].pop("id"), "category person: id: missing"),
        (lambda r: r["annotations"][0].update(area=float("nan")), "annotation 3: area: unexpected value nan"),
    ],
)
def test_errors_name_file_id_and_key(tmp_path: Path, change: Callable, message: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(_broken(change)))
    with pytest.raises(AnnotationError, match=message) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe"])
def test_what_is_no_label_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=r"labels\.json"):
        read_annotations(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_annotations(tmp_path / "none.json")


@pytest.mark.skipif(not MVOR.is_file(), reason="needs the MVOR annotations in ../shared")
def test_mvor() -> None:
    mvor = read_annotations(MVOR)
    assert (len(mvor.images), len(mvor.persons), mvor.skeleton.name) == (2196, 4699, "mvor10")
    posed = [p for p in mvor.persons if not p.extra["only_bbox"] and p.num_keypoints]
    assert len(posed) == 2926
    assert len(mvor.extra["annotations3D"]) == 1061
    assert mvor.persons[0].area is None
    assert mvor.persons[0].area_px == pytest.approx(134.4857 * 273, rel=1e-4)


@pytest.mark.skipif(not OR_1X.is_file(), reason="needs the real 1x frames in ../shared")
def test_plain_coco() -> None:
    frames = read_annotations(OR_1X)
    assert (len(frames.images), len(frames.persons), frames.skeleton.name) == (2, 7, "coco17")


def test_a_fisheye_survives_a_round_trip_and_projects(tmp_path: Path) -> None:
    fisheye = Camera("top", "equidistant", (640, 480), 150.0, 151.0, 321.0, 239.0, (0.02, -0.01, 0.0, 0.0), np.eye(4))
    write_annotations(tmp_path / "labels.json", AnnotationSet((), (), {"top": fisheye}))
    back = read_annotations(tmp_path / "labels.json").cameras["top"]
    assert (back.model, back.image_size, back.distortion) == ("equidistant", (640, 480), fisheye.distortion)
    angle = np.pi / 4  # one metre right, one metre ahead
    radius = angle * (1 + 0.02 * angle**2 - 0.01 * angle**4)
    np.testing.assert_allclose(back.lens.project(np.array([[1.0, 0.0, 1.0]])), [[321 + 150 * radius, 239]], atol=1e-9)
