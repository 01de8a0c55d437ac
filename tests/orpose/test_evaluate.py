"""`orpose evaluate`: tables, JSON, plots, intervals, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from orpose.main import main

MVOR = Path(__file__).parents[3] / "shared/data/mvor"
OR_1X = Path(__file__).parents[3] / "shared/data/or_1x/annotations.json"

KEYPOINTS = [value for i in range(17) for value in (10.0 + 5 * i, 100.0 + i, 2)]
LABELS: dict[str, Any] = {
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


def test_other_categories_are_counted(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    car = {"id": 2, "image_id": 1, "category_id": 3, "bbox": [100, 0, 90, 60]}
    categories = [{"id": 3, "name": "car"}, *LABELS["categories"]]
    files[0].write_text(json.dumps({**LABELS, "annotations": [car, *LABELS["annotations"]], "categories": categories}))
    out = files[0].parent / "metrics.json"
    assert evaluate("coco-bbox", *files, "--json", str(out)) == 0
    assert "annotations of other categories than person, left out: 1" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["other_categories"] == 1
    assert report["runs"]["results"]["metrics"]["AP"] == pytest.approx(1)


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
    assert report["runs"]["results"]["metrics"][metric] == pytest.approx(value)
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


def two_images(folder: Path) -> tuple[Path, Path, Path]:
    """Labels of a person on each of two images, perfect results, and results that find only the first."""
    labels, good, bad = (folder / name for name in ("labels.json", "good.json", "bad.json"))
    images = [{**LABELS["images"][0], "id": i, "sequence": f"room {i}"} for i in (1, 2)]
    people = [{**LABELS["annotations"][0], "id": i, "image_id": i} for i in (1, 2)]
    labels.write_text(json.dumps({**LABELS, "images": images, "annotations": people}))
    good.write_text(json.dumps([{**FOUND, "image_id": i} for i in (1, 2)]))
    bad.write_text(json.dumps([FOUND]))
    return labels, good, bad


def test_several_results_beside_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, good, bad = two_images(tmp_path)
    out = tmp_path / "out.json"
    arguments = ["--results", f"1x={good}", f"12x={bad}", "--per-joint", "--per-size", "--per-bone", "--json", str(out)]
    assert main(["evaluate", "--protocol", "coco-keypoints", "--annotations", str(labels), *arguments]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0] == ["1x", "12x"]
    assert lines[1][:2] == ["AP", "1.0000"]
    assert ["nose", "100.0000", "2", "50.0000", "2"] in lines
    runs = json.loads(out.read_text())["runs"]
    assert list(runs) == ["1x", "12x"]
    assert runs["12x"]["metrics"]["AP"] == pytest.approx(0.5, abs=0.01)
    assert runs["12x"]["joints"]["nose"] == {"pck": 50, "labelled": 2}
    assert runs["1x"]["sizes"]["medium"] == {"AP": pytest.approx(1), "persons": 2}
    assert runs["1x"]["bones"]["neck-head"]["sd_mm"] == 0


@pytest.mark.parametrize("protocol", ["coco-bbox", "coco-keypoints", "mvor-pck", "mpjpe"])
def test_plots(tmp_path: Path, protocol: str) -> None:
    labels, good, bad = two_images(tmp_path)
    plots = tmp_path / "new/plots"
    arguments = ["--results", f"1x={good}", f"12x={bad}", "--intervals", "--bootstrap", "20", "--plots", str(plots)]
    assert main(["evaluate", "--protocol", protocol, "--annotations", str(labels), *arguments]) == 0
    expected = {"results.png", "bones.png"}
    expected |= {"precision_recall.png"} if protocol.startswith("coco") else set()
    expected |= set() if protocol == "coco-bbox" else {"joints.png"}
    assert {path.name for path in plots.iterdir()} == expected
    for path in plots.iterdir():
        image = cv2.imread(str(path))
        assert image is not None and image.std() > 5, path  # something is drawn


def test_a_difference_with_its_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, good, bad = two_images(tmp_path)
    out = tmp_path / "out.json"
    more = ["--against", str(bad), "--bootstrap", "100", "--resample", "sequence", "--json", str(out)]
    assert evaluate("mvor-pck", labels, good, *more) == 0
    report = json.loads(out.read_text())
    # the second image is in 0, 1 or 2 of the two that are drawn: the difference is 0, 50 or 100
    assert report["runs"]["good"]["differences"]["mean"] == {
        "value": 50,
        "low": 0,
        "high": 100,
        "at_most_zero": pytest.approx(0.25, abs=0.12),
    }
    assert report["runs"]["good"]["intervals"]["mean"] == {"value": 100, "low": 100, "high": 100}
    assert (report["resampling"]["resample"], report["resampling"]["bootstrap"]) == ("sequence", 100)
    assert f"minus {bad}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("protocol", "metric", "kept", "without"), [("coco-bbox", "AP", 1, 0), ("mpjpe", "missed", 0, 1)]
)
def test_weaker_results_are_left_out(
    files: tuple[Path, Path], protocol: str, metric: str, kept: float, without: float
) -> None:
    out = files[0].parent / "metrics.json"
    for least, expected in (("0.9", kept), ("0.91", without)):
        assert evaluate(protocol, *files, "--min-score", least, "--json", str(out)) == 0
        report = json.loads(out.read_text())
        assert report["min_score"] == float(least)
        assert report["runs"]["results"]["metrics"][metric] == pytest.approx(expected)


def test_a_score_that_is_missing_is_named(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    files[1].write_text(json.dumps([{key: value for key, value in FOUND.items() if key != "score"}]))
    assert evaluate("mpjpe", *files) == 0
    assert evaluate("mpjpe", *files, "--min-score", "0.5") == 2
    assert "score" in capsys.readouterr().err


def test_nobody_found(tmp_path: Path) -> None:
    labels, good, _ = two_images(tmp_path)
    good.write_text("[]")
    out = tmp_path / "out.json"
    assert evaluate("coco-keypoints", labels, good, "--json", str(out)) == 0
    assert json.loads(out.read_text())["runs"]["good"]["metrics"]["AP"] == 0
    assert evaluate("mpjpe", labels, good, "--json", str(out), "--intervals", "--bootstrap", "5") == 0
    run = json.loads(out.read_text())["runs"]["good"]
    assert (run["metrics"]["missed"], run["metrics"]["mpjpe_mm"], run["intervals"]["mpjpe_mm"]["value"]) == (
        2,
        -1,
        None,
    )


def test_nobody_found_is_drawn_as_nothing(tmp_path: Path) -> None:
    labels, good, bad = two_images(tmp_path)
    bad.write_text("[]")
    more = ["--results", f"1x={good}", f"12x={bad}", "--intervals", "--bootstrap", "5", "--plots", str(tmp_path)]
    assert main(["evaluate", "--protocol", "mpjpe", "--annotations", str(labels), *more]) == 0
    assert (tmp_path / "bones.png").is_file()


@pytest.mark.parametrize(
    ("results", "more", "message"),
    [
        (["a=good.json", "a=bad.json"], [], "two are named 'a': good.json and bad.json; give NAME=FILE"),
        (["good.json"], ["--resample", "room", "--intervals"], "resample: got 'room'"),
        (["good.json"], ["--resample", "sequence"], "--resample: changes nothing without intervals; add --intervals"),
        (["good.json"], ["--protocol", "coco-keypoints", "--keep-label-ids"], "--keep-label-ids: of coco-bbox, not of"),
        (["good.json"], ["--roles", "patient"], "coco-bbox: no label counts"),
        (["good.json"], ["--per-joint"], "coco-bbox measures boxes, not joints"),
        (["good.json"], ["--json", "good.json/out.json"], "good.json/out.json: cannot be written"),
        (["good.json"], ["--plots", "good.json/plots"], "results.png: cannot be written"),
        (["good.json"], ["--against", "none.json"], "none.json: cannot be read"),
    ],
)
def test_bad_requests(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    results: list[str],
    more: list[str],
    message: str,
) -> None:
    two_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    arguments = ["--protocol", "coco-bbox", "--annotations", "labels.json", "--results", *results, *more]
    assert main(["evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(not OR_1X.is_file(), reason="needs the real 1x frames in ../shared")
@pytest.mark.parametrize("protocol", ["coco-bbox", "coco-keypoints", "mvor-pck"])
def test_labels_of_real_frames_against_themselves(protocol: str, tmp_path: Path) -> None:
    results = [{**label, "score": 1.0} for label in json.loads(OR_1X.read_text())["annotations"]]
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert evaluate(protocol, OR_1X, tmp_path / "results.json", "--json", str(tmp_path / "out.json")) == 0
    metrics = json.loads((tmp_path / "out.json").read_text())["runs"]["results"]["metrics"]
    assert metrics["mean" if protocol == "mvor-pck" else "AP50"] > 0.8


@pytest.mark.skipif(not MVOR.is_dir(), reason="needs the MVOR files in ../shared")
def test_published_detections_are_read_as_they_are(tmp_path: Path) -> None:
    labels, found = MVOR / "camma_mvor_2018.json", MVOR / "openpose_kps.json"
    assert evaluate("mvor-pck", labels, found, "--per-joint", "--json", str(tmp_path / "out.json")) == 0
    run = json.loads((tmp_path / "out.json").read_text())["runs"]["openpose_kps"]
    assert round(run["metrics"]["mean"], 1) == 57.1
    assert run["joints"]["left_shoulder"]["labelled"] == 2888
