"""MVOR's keys beside ours: the structure of the real file, and numbers that agree with our own labels."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.annotations import read_annotations
from orpose_models.errors import ConfigError
from orpose_models.evaluate.mpjpe import mpjpe
from orpose_models.evaluate.mvor_pck import mvor_pck
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate
from training.synthetic_or.mvor import MvorKeys

REAL = Path(__file__).parents[4] / "shared/data/mvor/camma_mvor_2018.json"
CONFIG = SynthConfig(images=12, views=3, size="160x120", seed=3, cameras="ceiling", depth=False)

#: The real file's keys, where they hold lists the keys of their first entry; what is about licences is not ours.
STRUCTURE = {
    "cameras_info": {"camParams", "date_identifier"},
    "multiview_images": {"images", "id"},
    "annotations3D": {"ref_camera", "person_id", "image_ids", "keypoints3D", "id"},
    "images": {"height", "width", "date_captured", "file_name", "id", "cam_id", "day_id"},
    "annotations": {
        "image_id", "person_role", "category_id", "keypoints", "bbox", "only_bbox", "face_blurred", "person_id", "id",
    },
    "categories": {"skeleton", "name", "id", "keypoints", "supercategory"},
}  # fmt: skip
NOT_OURS = {"dataset_info", "licenses", "rights_holder", "license"}
CAM_PARAMS = {"firstCamToRoomRef", "intrinsics", "ids", "extrinsics"}
INTRINSICS = {"serialnumber", "skew_value", "distortion", "principalpoint", "focallength", "imagesize"}


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("mvor")
    generate(CONFIG, out, workers=1, mvor=True)
    return out / "annotations.json"


@pytest.fixture(scope="module")
def written(path) -> dict:
    return json.loads(path.read_text())


def first(entries: list | dict) -> dict:
    return entries[0] if isinstance(entries, list) else entries


def test_recorded_structure_is_the_real_files():
    if not REAL.exists():
        pytest.skip("needs ../shared/data/mvor")
    real = json.loads(REAL.read_text())
    assert set(real) - NOT_OURS - {"info"} == set(STRUCTURE)
    for key, keys in STRUCTURE.items():
        assert set(first(real[key])) - NOT_OURS == keys
    assert set(real["cameras_info"]["camParams"]) == CAM_PARAMS
    assert set(real["cameras_info"]["camParams"]["intrinsics"][0]) == INTRINSICS


def test_structure(written):
    for key, keys in STRUCTURE.items():
        assert keys <= set(first(written[key])), key
    parameters = written["cameras_info"]["camParams"]
    assert set(parameters) == CAM_PARAMS
    assert set(parameters["intrinsics"][0]) == INTRINSICS
    assert [len(parameters[key]) for key in ("ids", "intrinsics", "extrinsics")] == [3, 3, 3]
    assert {len(pose["keypoints3D"]) for pose in written["annotations3D"]} == {48}
    assert {len(images["images"]) for images in written["multiview_images"]} == {3}
    image_ids = {images["id"] for images in written["multiview_images"]}
    assert {pose["image_ids"] for pose in written["annotations3D"]} <= image_ids


def test_our_reader_keeps_ours_and_finds_theirs(path):
    labels = read_annotations(path)
    assert len(labels.images) == 12 and len(labels.cameras) == 12
    assert len(labels.extra["annotations3D"]) > 4
    assert {"person_role", "keypoints3D_camma_projected_true"} <= set(labels.persons[0].extra)


def test_3d_poses_project_to_the_2d_joints(written):
    """With MVOR's calibration alone, as its loaders do it: mm, first camera's frame, extrinsics first_from_camera."""
    rigs = written["cameras_info"]["camParams_of"]
    images = {image["id"]: image for image in written["images"]}
    people = {(label["image_id"], label["person_id"]): label for label in written["annotations"]}
    errors = []
    for pose in written["annotations3D"]:
        joints = np.reshape(pose["keypoints3D"], (12, 4))[:10, :3]
        for image_id in map(int, pose["image_ids"].split("_")):
            label = people.get((image_id, pose["person_id"]))
            if label is None:
                continue
            rig, number = rigs[images[image_id]["sequence"]], images[image_id]["cam_id"] - 1
            camera_from_first = np.linalg.inv(np.reshape(rig["extrinsics"][number], (4, 4)))
            in_camera = joints @ camera_from_first[:3, :3].T + camera_from_first[:3, 3]
            intrinsics = rig["intrinsics"][number]
            (fx, fy), (cx, cy) = intrinsics["focallength"], intrinsics["principalpoint"]
            k1, k2, k3, p1, p2 = intrinsics["distortion"]
            matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
            pixels, _ = cv2.projectPoints(in_camera, np.zeros(3), np.zeros(3), matrix, np.array([k1, k2, p1, p2, k3]))
            joints_2d = np.reshape(label["keypoints2D_camma"], (10, 3))
            limbs = np.arange(10) >= 2  # head and neck are other points in 3D
            seen = (joints_2d[:, 2] > 0) & limbs
            errors.append(np.abs(pixels[seen, 0] - joints_2d[seen, :2]).max(axis=1))
    assert len(np.concatenate(errors)) > 40
    assert np.concatenate(errors).max() < 0.1


def test_evaluators_take_it(path):
    """Detections that are the labels themselves: all right by MVOR's PCK and by MVOR+'s MPJPE."""
    labels = read_annotations(path)
    people = [person for person in labels.persons if not person.is_crowd]
    perfect = [
        {
            "image_id": person.image_id, "category_id": 1, "bbox": person.bbox.tolist(), "score": 1.0,
            "keypoints": person.keypoints.ravel().tolist(), "keypoints_3d": person.keypoints_3d.ravel().tolist(),
        }
        for person in people
    ]  # fmt: skip
    assert mpjpe(labels, perfect)["mpjpe_mm"] < 0.2
    assert mvor_pck(labels, perfect)["mean"] > 0


def test_one_rig_is_said_once():
    camera = {
        "model": "plumb_bob", "image_size": [64, 48], "fx": 50.0, "fy": 51.0, "cx": 32.0, "cy": 24.0,
        "distortion": [0.1, 0.2, 0.3, 0.4, 0.5], "room_from_camera": np.eye(4).tolist(),
    }  # fmt: skip
    keys = MvorKeys()
    for scene in ("a", "b"):
        image = {"id": 1, "camera_id": "c", "sequence": scene, "frame_index": 0}
        keys.add_to({"images": [image], "annotations": [], "cameras": {"c": camera}})
    info = keys.cameras_info()
    assert set(info) == {"camParams", "date_identifier"}
    assert info["camParams"]["intrinsics"][0]["distortion"] == [0.1, 0.2, 0.5, 0.3, 0.4]


@pytest.mark.parametrize("cameras", ["fisheye", "mixed"])
def test_fisheyes_are_refused_before_the_work(tmp_path, cameras):
    config = CONFIG.model_copy(update={"cameras": cameras})
    with pytest.raises(ConfigError, match=f"no fisheye lens, and --cameras {cameras} draws some"):
        generate(config, tmp_path / "out", workers=1, mvor=True)
    assert not (tmp_path / "out").exists()
