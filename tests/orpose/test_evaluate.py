"""`orpose evaluate`: table, JSON, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orpose.main import main

OR_1X = Path(__file__).parents[3] / "shared/data/or_1x/annotations.json"

KEYPOINTS = [value for i in range(17) for value in (10.0 + 5 * i, 100.0 + i, 2)]
LABELS = {
    "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 200}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 90, 90, 40], "area": 3600, "iscrowd": 0,
         "keypoints": KEYPOINTS, "num_keypoints": 17, "keypoints_3d": [1.0] * 68},
    ],
    "categories": [{"id": 1, "name": "person"}],
}  # fmt: skip
FOUND = {"image_id": 1, "bbox": [10, 90, 90, 40], "score": 0.9, "keypoints": KEYPOINTS, "keypoints_3d": [0.0] * 68}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    labels, results = tmp_path / "labels.json", tmp_path / "results.json"
    labels.write_text(json.dumps(LABELS))
    results.write_text(json.dumps([FOUND]))
    return labels, results


def evaluate(protocol: str, labels: Path, results: Path, *more: str) -> int:
    return main(["evaluate", "--protocol", protocol, "--annotations", str(labels), "--results", str(results), *more])


@pytest.mark.parametrize(
    ("protocol", "metric", "value"),
    [("coco-bbox", "AP", 1.0), ("coco-keypoints", "AP", 1.0), ("mvor-pck", "mean", 100.0), ("mpjpe", "mpjpe_mm", 0.0)],
)
def test_protocols(
    files: tuple[Path, Path], protocol: str, metric: str, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    out = files[0].parent / "new/metrics.json"
    assert evaluate(protocol, *files, "--json", str(out)) == 0
    report = json.loads(out.read_text())
    assert report["metrics"][metric] == pytest.approx(value)
    assert (report["protocol"], report["images"], report["roles"]) == (protocol, 1, "all")
    assert any(line.split()[0] == metric for line in capsys.readouterr().out.splitlines())


def test_errors_are_one_line_and_exit_2(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    labels, results = files
    assert evaluate("mpjpe", labels.parent / "none.json", results) == 2
    results.write_text(json.dumps([{**FOUND, "image_id": 5}]))
    assert evaluate("coco-bbox", labels, results) == 2
    results.write_text(json.dumps([{"image_id": 1, "score": 1.0}]))
    assert evaluate("coco-bbox", labels, results) == 2
    errors = capsys.readouterr().err.splitlines()
    assert ["none.json" in errors[0], "image_id 5 is not in" in errors[1], "bbox: missing" in errors[2]] == [True] * 3
    assert len(errors) == 3


@pytest.mark.skipif(not OR_1X.is_file(), reason="needs the real 1x frames in ../shared")
@pytest.mark.parametrize("protocol", ["coco-bbox", "coco-keypoints", "mvor-pck"])
def test_labels_of_real_frames_against_themselves(protocol: str, tmp_path: Path) -> None:
    results = [{**label, "score": 1.0} for label in json.loads(OR_1X.read_text())["annotations"]]
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert evaluate(protocol, OR_1X, tmp_path / "results.json", "--json", str(tmp_path / "out.json")) == 0
    metrics = json.loads((tmp_path / "out.json").read_text())["metrics"]
    assert metrics["mean" if protocol == "mvor-pck" else "AP50"] > 0.8
