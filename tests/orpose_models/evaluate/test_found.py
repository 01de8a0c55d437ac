"""People found and joints right, counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orpose.main import main
from orpose_models.annotations import read_annotations
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.found import images_of
from orpose_models.skeleton import MVOR10

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


RESULTS = [
    found([0, 5, 40, 90], 0.9, wrong=3),  # the first person, three of ten seen joints wrong
    found([0, 5, 40, 100], 0.6),  # a second box of the first
    found([205, 60, 40, 100], 0.8),  # too far off the second: overlap 0.24
    found([420, 20, 60, 90], 0.7),  # in the crowd: ignored
    found([200, 5, 40, 100], 0.4),  # the second person, below the score that reports people
]


def evaluate(labels: Path, folder: Path, *more: str) -> dict:
    (folder / "r.json").write_text(json.dumps(RESULTS))
    files = ["--annotations", str(labels), "--results", str(folder / "r.json"), "--json", str(folder / "out.json")]
    assert main(["evaluate", "--protocol", "found", *files, *more]) == 0
    return json.loads((folder / "out.json").read_text())


def test_people_joints_and_further_boxes(labels: Path, tmp_path: Path) -> None:
    report = evaluate(labels, tmp_path)
    assert report["min_score"] == 0.5
    assert report["runs"]["r"]["metrics"] == {
        "recall": 0.5,
        "precision": pytest.approx(1 / 3),
        "F1": pytest.approx(2 / 5),
        "seen_joints": 0.7,
        "hidden_joints": 1.0,
        "persons": 2,
        "found": 1,
        "further": 2,
        "images": 1,
    }


def test_a_lower_score_finds_more(labels: Path, tmp_path: Path) -> None:
    run = evaluate(labels, tmp_path, "--min-score", "0.4", "--per-joint", "--per-size")["runs"]["r"]
    assert (run["metrics"]["found"], run["metrics"]["further"]) == (2, 2)
    assert run["metrics"]["seen_joints"] == pytest.approx(17 / 20)
    assert run["joints"]["nose"] == {"pck": 50, "labelled": 2}
    assert run["joints"]["left_ankle"] == {"pck": -1, "labelled": 0}
    assert run["sizes"]["medium"] == {"recall": 1, "persons": 2}


def test_rooms_that_nobody_is_in_are_counted(labels: Path, tmp_path: Path) -> None:
    empty = json.loads(labels.read_text())
    empty["annotations"] = []
    labels.write_text(json.dumps(empty))
    run = evaluate(labels, tmp_path, "--per-joint", "--per-size", "--plots", str(tmp_path / "plots"))["runs"]["r"]
    metrics = run["metrics"]
    assert run["joints"]["nose"] == {"pck": -1, "labelled": 0}
    assert (metrics["recall"], metrics["further"], metrics["precision"]) == (-1, 4, 0)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--min-score", "5"], "--min-score: expected 0 to 1, got 5"),
        (["--results", "none.json"], "none.json: cannot be read"),
    ],
)
def test_errors_are_one_line(
    labels: Path, tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.json").write_text("[]")
    files = ["--annotations", str(labels), "--results", str(tmp_path / "r.json")]
    assert main(["evaluate", "--protocol", "found", *files, *more]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_other_skeletons_are_refused(labels: Path) -> None:
    annotations = replace(read_annotations(labels), skeleton=MVOR10)
    with pytest.raises(AnnotationError, match="found: needs COCO-17 labels, got mvor10; use mvor-pck"):
        images_of(annotations, [])


def test_counts_are_printed_as_counts(labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(labels, tmp_path)
    lines = dict(line.split() for line in capsys.readouterr().out.splitlines() if len(line.split()) == 2)
    assert (lines["found"], lines["further"], lines["images"], lines["recall"]) == ("1", "2", "1", "0.5000")
