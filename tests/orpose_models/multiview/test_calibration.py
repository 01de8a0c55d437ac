"""Calibration files: what was written is read, MVOR's format by hand, and impossible cameras are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from orpose_models.errors import CalibrationError
from orpose_models.multiview.calibration import for_image_size, read_cameras, read_lenses, write_cameras

MVOR = Path(__file__).parents[4] / "shared/data/mvor/camma_mvor_2018.json"
ENTRY = {"model": "plumb_bob", "image_size": [640, 480], "fx": 500, "fy": 500, "cx": 320, "cy": 240, "distortion": []}


def write(tmp_path: Path, content) -> Path:
    path = tmp_path / "calibration.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def with_pose(pose) -> dict:
    return {"cameras": {"or2": {**ENTRY, "room_from_camera": np.asarray(pose).tolist()}}}


def test_what_is_written_is_read(tmp_path, room):
    write_cameras(tmp_path / "c.json", room.cameras, {"method": "test"})
    read = read_cameras(tmp_path / "c.json")
    assert list(read) == ["cam1", "cam2", "cam3"]
    for name, camera in room.cameras.items():
        assert (read[name].model, read[name].distortion) == (camera.model, camera.distortion)
        np.testing.assert_allclose(read[name].room_from_camera, camera.room_from_camera)


def test_mvors_format_by_hand(tmp_path):
    """The second camera stands 2 m to the right of the first (x), which is 1 m above the room's origin."""
    first_to_room = np.eye(4)
    first_to_room[2, 3] = 1000
    second = np.eye(4)
    second[0, 3] = 2000
    lens = {"focallength": [530, 531], "principalpoint": [320, 240], "imagesize": [640, 480]}
    info = {
        "camParams": {
            "firstCamToRoomRef": first_to_room.ravel().tolist(),
            "extrinsics": [np.eye(4).ravel().tolist(), second.ravel().tolist()],
            "intrinsics": [lens, lens],
        }
    }
    cameras = read_cameras(write(tmp_path, {"cameras_info": info}))
    assert list(cameras) == ["cam1", "cam2"]
    np.testing.assert_allclose(cameras["cam2"].room_from_camera[:3, 3], (2, 0, 1))
    assert (cameras["cam2"].fy, cameras["cam2"].image_size) == (531, (640, 480))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ({"images": []}, "no cameras"),
        ({"cameras": {"or2": ENTRY}}, "room_from_camera: missing; make the poses with `orpose calibrate`"),
        (with_pose(np.diag([1, 1, -1, 1])), "determinant -1.0000, expected \\+1; the matrix is probably mirrored"),
        (with_pose(np.diag([2, 0.5, 1, 1])), "not at right angles"),
        (with_pose(np.eye(4) + np.eye(4, k=-3)), "last row"),
        ({"cameras_info": {"camParams": {}}}, "not as MVOR's"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(tmp_path, content, message):
    with pytest.raises(CalibrationError, match=message):
        read_cameras(write(tmp_path, content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CalibrationError, match=r"none.json: calibration cannot be read"):
        read_cameras(tmp_path / "none.json")


def test_intrinsics_alone_where_poses_are_not_needed(tmp_path):
    cameras = read_cameras(write(tmp_path, {"cameras": {"or2": ENTRY}}), need_poses=False)
    assert cameras["or2"].room_from_camera is None


def test_half_the_size_is_half_the_focal_length(room):
    half = for_image_size(room.cameras["cam1"], (320, 240))
    assert (half.fx, half.cx, half.cy) == (260, 160, 120)
    with pytest.raises(CalibrationError, match="calibrated at 640x480, its images are 640x360, another aspect"):
        for_image_size(room.cameras["cam1"], (640, 360))


@pytest.mark.skipif(not MVOR.is_file(), reason="needs the MVOR annotations in ../shared")
def test_mvors_own_file_projects_its_joints():
    """mvor_protocols.md: a median of 8 px between projected 3D joints and labelled 2D joints, in all three cameras."""
    cameras = read_cameras(MVOR)
    root = json.loads(MVOR.read_text())
    labelled = {(str(a["image_id"]), a["person_id"]): a["keypoints"] for a in root["annotations"] if not a["only_bbox"]}
    errors: dict[str, list[float]] = {name: [] for name in cameras}
    for person in root["annotations3D"]:
        joints = np.reshape(person["keypoints3D"], (12, 4))[:10]
        in_room = joints[:, :3] / 1000 @ cameras["cam1"].room_from_camera[:3, :3].T
        in_room += cameras["cam1"].room_from_camera[:3, 3]
        for (name, camera), image_id in zip(cameras.items(), person["image_ids"].split("_"), strict=True):
            if (image_id, person["person_id"]) not in labelled:
                continue
            keypoints = np.reshape(labelled[image_id, person["person_id"]], (10, 3))
            pose = camera.room_from_camera
            pixels = camera.lens.project((in_room - pose[:3, 3]) @ pose[:3, :3])
            known = (keypoints[:, 2] > 0) & joints[:, :3].any(axis=1)
            errors[name] += np.linalg.norm(pixels - keypoints[:, :2], axis=1)[known].tolist()
    medians = {name: np.nanmedian(values) for name, values in errors.items()}
    assert all(len(values) > 1000 for values in errors.values())
    assert all(5 < median < 10 for median in medians.values()), medians


def test_the_example_is_the_calibration_of_its_room():
    rooms = Path(__file__).parents[3] / "config/rooms"
    cameras = read_cameras(rooms / "hybrid_or_calibration.json")
    room_file = yaml.safe_load((rooms / "hybrid_or.yaml").read_text())
    assert list(cameras) == [entry["name"] for entry in room_file["cameras"]]
    for entry in room_file["cameras"]:
        np.testing.assert_array_equal(cameras[entry["name"]].room_from_camera, entry["room_from_camera"])
        assert cameras[entry["name"]].fx == entry["fx"]


LENS_FILE = """
image_width: 640
image_height: 480
distortion_model: plumb_bob
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 319.5, 0, 510, 239.5, 0, 0, 1]}
distortion_coefficients: {rows: 1, cols: 5, data: [-0.2, 0.05, 0, 0, 0]}
"""


def test_the_lens_of_camera_calibrations_file(tmp_path):
    path = tmp_path / "ost.yaml"
    path.write_text("camera_name: cam2" + LENS_FILE)
    (camera,) = read_lenses(path).values()
    assert (camera.camera_id, camera.image_size, camera.room_from_camera) == ("cam2", (640, 480), None)
    assert (camera.fx, camera.cx, camera.distortion) == (500, 320, (-0.2, 0.05, 0, 0, 0))
    path.write_text(LENS_FILE)
    with pytest.raises(CalibrationError, match="camera_name: missing"):
        read_lenses(path)


def test_lenses_of_our_own_file_need_no_pose(tmp_path):
    path = write(tmp_path, {"cameras": {"or2": ENTRY}})
    assert list(read_lenses(path)) == ["or2"]
