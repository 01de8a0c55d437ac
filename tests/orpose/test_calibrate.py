"""`orpose calibrate`: folders with a drawn board, and a label file with people, against the truth."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")

from orpose.main import main
from orpose_models.annotations import AnnotationSet, LabelledImage, write_annotations
from orpose_models.multiview.board import Board
from orpose_models.multiview.calibration import for_image_size, read_cameras, write_cameras
from orpose_models.multiview.compare import differences
from orpose_models.runtime.results import entries_from_persons, write_results

BOARD = Board((7, 5), 0.15, 0.11, "5X5_100")
SIDES = ["--square-m", "0.15", "--marker-m", "0.11"]
PINHOLES = ("cam1", "cam2")


def pinholes(room) -> dict:
    """The two ordinary cameras, without distortion: a board is then drawn by a homography."""
    large = (for_image_size(room.cameras[name], (1280, 960)) for name in PINHOLES)
    return {camera.camera_id: dataclasses.replace(camera, distortion=()) for camera in large}


def draw_board(camera, corners_in_room: np.ndarray) -> np.ndarray:
    """The board, whose upper left, upper right, lower right and lower left corner are given `(4, 3)` m."""
    picture = BOARD.opencv().generateImage((1400, 1000), marginSize=0)
    pose = camera.room_from_camera
    target = camera.lens.project((corners_in_room - pose[:3, 3]) @ pose[:3, :3]).astype(np.float32)
    source = np.array([(0, 0), (1400, 0), (1400, 1000), (0, 1000)], np.float32)
    # OpenCV counts from the middle of the first pixel, we from the image's edge.
    homography = cv2.getPerspectiveTransform(source - 0.5, target - 0.5)
    picture = cv2.GaussianBlur(picture, (0, 0), 1.5)
    drawn = cv2.warpPerspective(picture, homography, camera.image_size, flags=cv2.INTER_AREA, borderValue=255)
    return np.repeat(drawn[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def boards(tmp_path_factory, room) -> Path:
    """A folder for each camera; first the board lies at the middle of the floor, its columns along x."""
    folder = tmp_path_factory.mktemp("boards")
    rng, cameras = np.random.default_rng(0), pinholes(room)
    flat = np.array([(0, 0.75, 0), (1.05, 0.75, 0), (1.05, 0, 0), (0, 0, 0)])
    places = [flat] + [
        flat @ cv2.Rodrigues(rng.uniform(-0.4, 0.4, 3))[0].T + (*rng.uniform(-0.8, 0.0, 2), rng.uniform(0.2, 0.8))
        for _ in range(8)
    ]
    for name, camera in cameras.items():
        (folder / "boards" / name).mkdir(parents=True)
        for index, corners in enumerate(places):
            cv2.imwrite(str(folder / "boards" / name / f"{index:03}.png"), draw_board(camera, corners))
    write_cameras(folder / "truth.json", cameras, {})
    return folder / "boards"


def test_a_board(boards, tmp_path, capsys):
    out = tmp_path / "out" / "calibration.json"
    words = ["calibrate", str(boards), "--method", "charuco", *SIDES]
    true = boards.with_name("truth.json")
    words += ["--intrinsics", str(true), "--truth", str(true)]
    words += ["--out", str(out), "--picture", str(tmp_path / "picture.png")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "against the truth, seen from cam1" in told
    found, truth = read_cameras(out), read_cameras(true)
    (difference,) = differences(found, truth).values()
    assert difference.turn_deg < 0.3
    assert difference.shift_m < 0.03
    # The room is where the board lay first: its corner at the origin, front up, columns along x.
    for name, camera in found.items():
        pose = camera.room_from_camera @ np.linalg.inv(truth[name].room_from_camera)
        np.testing.assert_allclose(pose[2, :3], (0, 0, 1), atol=0.02)
        np.testing.assert_allclose(pose[0, :3], (1, 0, 0), atol=0.02)
        np.testing.assert_allclose(pose[2, 3], 0, atol=0.03)
    picture = cv2.imread(str(tmp_path / "picture.png"))
    assert picture.shape == (960, 1280, 3)
    reddish = (picture[..., 2] > 180) & (picture[..., :2].max(axis=2) < 150)
    assert reddish.any(), "red circles show where corners should be"


@pytest.fixture
def people(tmp_path, room) -> Path:
    """A label file of 20 moments whose images are black, and a results file with its people."""
    rng = np.random.default_rng(0)
    images, entries = [], []
    cameras = {name: room.cameras[name] for name in PINHOLES}
    for moment in range(20):
        standing = [room.standing(*rng.uniform(-1, 1, 2), rng.uniform(0, 360)) for _ in range(2)]
        for name, camera in cameras.items():
            image_id, file = len(images), f"{name}_{moment:03}.png"
            cv2.imwrite(str(tmp_path / file), np.zeros((480, 640, 3), np.uint8))
            images.append(LabelledImage(image_id, file, 640, 480, name, "scene", moment))
            entries += entries_from_persons(image_id, file, [room.person(camera, j, rng, 2.0) for j in standing])
    write_annotations(tmp_path / "annotations.json", AnnotationSet(tuple(images), (), cameras))
    write_results(tmp_path / "results.json", entries)
    return tmp_path / "annotations.json"


def test_people(people, tmp_path, capsys):
    words = ["calibrate", str(people), "--results", str(tmp_path / "results.json"), "--out", str(tmp_path / "c.json")]
    assert (
        main(
            [
                *words,
                "--truth",
                str(people),
                "--body-height",
                "1.7",
                "--downsample",
                "12",
                "--picture",
                str(tmp_path / "p.png"),
            ]
        )
        == 0
    )
    assert "people seen by two cameras or more" in capsys.readouterr().out
    (difference,) = differences(read_cameras(tmp_path / "c.json"), read_cameras(people)).values()
    assert difference.turn_deg < 1
    assert difference.distance_ratio == pytest.approx(1, abs=0.08)
    info = json.loads((tmp_path / "c.json").read_text())["info"]
    assert info["method"] == "people" and info["error_px_median"] < 4


def test_people_are_found_by_the_model_itself(people, tmp_path, fake_model, capsys):
    """In black images it finds nobody."""
    words = ["calibrate", str(people), "--model", str(fake_model), "--threads", "1", "--out", str(tmp_path / "c.json")]
    assert main(words) == 2
    assert "cam2: nobody is seen together with cam1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.json"], "missing.json: no such file or folder"),
        (["{boards}"], "camera 'cam1': its lens is not known"),
        (["{boards}", "--method", "charuco", "--dictionary", "9X9"], "OpenCV has none of that name"),
        (["{boards}", "--method", "charuco", "--downsample", "2"], "a board's corners need all pixels"),
        (["{boards}", "--method", "charuco", "--marker-m", "0.2"], "less than square_m"),
        (["{boards}", "--method", "charuco", "--squares", "9x4"], "no image shows the board"),
        (["{boards}", "--results", "x.json"], "only with --method people and a label file"),
        (["{boards}/cam1"], "no moment has images of two cameras"),
        (["{boards}", "--picture", "room"], "room: expected a file name that ends in .png or .jpg for --picture"),
        (
            ["{boards}", "--method", "charuco", "--truth", "{boards}/../other.json"],
            "other.json: has the cameras top, cam2, the recording cam1, cam2; comparing",
        ),
    ],
)
def test_user_errors(boards, room, tmp_path, words, message, capsys):
    words = [word.format(boards=boards) for word in words]
    write_cameras(boards.with_name("other.json"), {"top": room.cameras["cam1"], "cam2": room.cameras["cam2"]}, {})
    if "--method" in words:
        words += ["--intrinsics", str(boards.with_name("truth.json"))]
    assert main(["calibrate", *words, "--out", str(tmp_path / "c.json")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "c.json").exists()
