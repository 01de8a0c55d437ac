"""Results files followed over time: what the settings do, and depth beside them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, Camera, LabelledImage, PersonLabel, write_annotations
from orpose_models.skeleton import h36m17_from_coco17
from training.synthetic_or.followed_results import main
from training.synthetic_or.noisy_results import main as noise_main
from training.synthetic_or.noisy_results import noisy_results

CAMERA = Camera("c", "plumb_bob", (640, 480), 500.0, 500.0, 320.0, 240.0)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two cameras' recordings of somebody who stands 3 m away; noisy results of them."""
    coco_mm = np.random.default_rng(0).uniform((-300, -500, 2900), (300, 900, 3100), (17, 3))
    joints_3d, pixels = h36m17_from_coco17(coco_mm), CAMERA.lens.project(coco_mm)
    box = np.array([*pixels.min(0), *np.ptp(pixels, axis=0)])
    cv2.imwrite(str(tmp_path / "depth.png"), np.full((480, 640), 2900, np.uint16))
    images, people = [], []
    for number in range(20):
        stamp_ns = 10**18 + number // 2 * 10**8
        images.append(
            LabelledImage(number, f"{number}.jpg", 640, 480, "c" if number % 2 else "d", "s", number // 2, stamp_ns,
                          depth_file_name="depth.png")
        )  # fmt: skip
        flags = np.full((17, 1), 2.0)
        people.append(
            PersonLabel(
                number, number, box, np.hstack([pixels, flags]), track_id=1, keypoints_3d=np.hstack([joints_3d, flags])
            )
        )
    labels = AnnotationSet(tuple(images), tuple(people), {"c": CAMERA, "d": CAMERA})
    write_annotations(tmp_path / "annotations.json", labels)
    results = noisy_results(labels, px=3, mm=30, size=0.02, miss=0, seed=0)
    (tmp_path / "noisy.json").write_text(json.dumps(results))
    return tmp_path / "annotations.json", tmp_path / "noisy.json"


def follow(files: tuple[Path, Path], *words: str) -> list[dict]:
    out = files[0].parent / "out.json"
    assert main([*map(str, files), "--out", str(out), *words]) == 0
    return json.loads(out.read_text())


def test_each_camera_is_followed_by_itself_and_people_are_placed(files):
    found = follow(files)
    assert len(found) == 20
    assert {entry["track_id"] for entry in found} == {1}
    assert [entry["root"]["source"] for entry in found] == ["depth"] * 20
    assert {entry["root"]["source"] for entry in follow(files, "--no-depth")} == {"size"}


def test_identities_that_the_results_have_already_do_not_count(files):
    """Nobody is followed below the threshold, and a former identity is not taken over."""
    results = json.loads(files[1].read_text())
    files[1].write_text(json.dumps([{**entry, "track_id": 77, "track_state": 2} for entry in results]))
    assert {entry["track_id"] for entry in follow(files)} == {1}
    assert {
        entry["track_id"] for entry in follow(files, "--score-threshold", "1.0", "--set", "track_low_score=1.0")
    } == {-1}


def test_settings(files):
    def spread(entries: list[dict]) -> float:
        return float(np.std([e["keypoints"][0] for e in entries[10:] if e["image_id"] % 2]))

    assert spread(follow(files)) < 0.7 * spread(follow(files, "--set", "smoothing=false", "track_confirm=1"))


@pytest.mark.parametrize(("setting", "expected"), [("smoothing=2", "smoothing"), ("speed=1", "speed")])
def test_wrong_settings_are_one_line(files, capsys, setting, expected):
    with pytest.raises(SystemExit) as ended:
        main([*map(str, files), "--out", str(files[0].parent / "out.json"), "--set", setting])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1


def test_noisy_results_of_a_missing_file_are_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        noise_main([str(tmp_path / "none.json"), "--out", str(tmp_path / "out.json")])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "none.json" in error and error.count("\n") == 1
