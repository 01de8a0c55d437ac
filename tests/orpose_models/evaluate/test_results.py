"""Results files: errors name file, entry and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orpose_models.errors import InputError
from orpose_models.evaluate.results import read_results

ROOT = {"position": [1, 2, 3], "covariance": [1, 0, 0, 0, 1, 0, 0, 0, 1], "source": "depth"}


def test_reads_a_list(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": 1, "score": 0.5}]))
    assert read_results(path, need=("score",)) == [{"image_id": 1, "score": 0.5}]


def test_mvors_detections_have_cocos_joints_under_their_own_key(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": 1, "keypoints": [0.0] * 30, "coco_keypoints": [1.0] * 51}]))
    assert read_results(path, need=("keypoints",))[0]["keypoints"] == [1.0] * 51


def test_no_results_are_results(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("[]")
    assert read_results(path, need=("bbox",)) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("keypoints", [1.0] * 42, "result 0: keypoints: expected 51 numbers, got 42"),
        ("keypoints_3d", [1.0] * 51, "result 0: keypoints_3d: expected 68 numbers, got 51"),
        ("keypoints", [float("nan")] * 51, "keypoints: holds a value that is not finite"),
        ("keypoints", "nose", "keypoints: expected numbers"),
        ("bbox", [1, 2, -3, 4], r"bbox: expected \[x, y, width, height\]"),
        ("score", float("nan"), "score: expected a finite number, got nan"),
        ("score", "0.9", "score: expected a finite number, got '0.9'"),
        ("image_id", "a.png", "image_id: expected a whole number, got 'a.png'"),
        ("keypoints_3d_metric", [None] * 51, "result 0: keypoints_3d_metric: expected 68 numbers, got 51"),
        ("root", {}, "result 0: root: position: missing"),
        ("root", {"position": [1, 2, 3], "source": "depth"}, "result 0: root: covariance: missing"),
        ("root", {**ROOT, "covariance": [0.0] * 9}, "root: covariance: expected a matrix that has an inverse"),
        ("root", {**ROOT, "source": "sonar"}, "root: source: expected depth or size, got 'sonar'"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, key: str, value: object, message: str) -> None:
    path = tmp_path / "results.json"
    good = {"image_id": 1, "score": 1.0, "bbox": [0, 0, 1, 1], "keypoints": [0.0] * 51, "keypoints_3d": [0.0] * 68}
    path.write_text(json.dumps([{**good, key: value}]))
    with pytest.raises(InputError, match=message):
        read_results(path, need=("score", "bbox", "keypoints", "keypoints_3d"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("{}", "expected a COCO results list, got dict"),
        ("[5]", "result 0: image_id: missing"),
        ('[{"image_id": 1, "score": 1}, {"image_id": 1}]', "result 1: score: missing"),
    ],
)
def test_errors(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_results(path, need=("score",))
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_results(tmp_path / "none.json", need=())
