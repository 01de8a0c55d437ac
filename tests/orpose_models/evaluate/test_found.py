"""People found and joints right, counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orpose_models.evaluate.found import main

BODY = np.column_stack([np.full(17, 20.0), np.linspace(10, 100, 17), np.array([2] * 10 + [1] * 5 + [0] * 2)])


def found(box: list[float], score: float, wrong: int = 0) -> dict:
    """A result with `BODY`'s joints, the first `wrong` ones 21 px off: 0.2 times the larger side, 100 px, is 20."""
    joints = BODY.copy()
    joints[:wrong, 0] += 21.0
    return {"image_id": 5, "bbox": box, "score": score, "keypoints": joints.ravel().tolist()}


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    person = {"image_id": 5, "category_id": 1, "keypoints": BODY.ravel().tolist(), "num_keypoints": 15}
    people = [
        {"id": 1, "bbox": [0, 5, 40, 100], "iscrowd": 0, **person},
        {"id": 2, "bbox": [200, 5, 40, 100], "iscrowd": 0, **person},
        {"id": 3, "bbox": [400, 0, 200, 200], "iscrowd": 1, **person},
    ]
    path = tmp_path / "labels.json"
    images = [{"id": 5, "file_name": "5.png", "width": 640, "height": 480}]
    path.write_text(json.dumps({"images": images, "annotations": people}))
    return path


def test_people_joints_and_further_boxes(labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = [
        found([0, 5, 40, 90], 0.9, wrong=3),  # the first person, three of ten seen joints wrong
        found([0, 5, 40, 100], 0.6),  # a second box of the first
        found([205, 60, 40, 100], 0.8),  # too far off the second: overlap 0.24
        found([420, 20, 60, 90], 0.7),  # in the crowd: ignored
        found([200, 5, 40, 100], 0.4),  # the second person, not reported
    ]
    (tmp_path / "r.json").write_text(json.dumps(results))
    assert main([str(labels), str(tmp_path / "r.json")]) == 0
    said = "found 1 of 2 people, with 7 of 10 seen and 5 of 5 hidden joints right; further boxes: 2"
    assert said in capsys.readouterr().out
    assert main([str(labels), str(tmp_path / "r.json"), "--score", "0.4"]) == 0
    assert "found 2 of 2 people, with 17 of 20 seen and 10 of 10" in capsys.readouterr().out


def test_a_missing_file_is_one_line(labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(labels), str(tmp_path / "none.json")]) == 2
    assert "none.json: cannot be read" in capsys.readouterr().err
