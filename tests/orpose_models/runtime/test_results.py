"""results.json as README says, readable by pycocotools."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from orpose_models.errors import InputError
from orpose_models.runtime.results import entries_from_persons, person_from_entry, write_results
from orpose_models.runtime.types import Person, Root, RootSource, TrackState


def example_person() -> Person:
    rng = np.random.default_rng(0)
    return Person(
        score=0.123456789,
        bbox_xywh=np.array([10.123, 20, 30, 40], np.float32),
        keypoints=rng.uniform(0, 1, (17, 3)).astype(np.float32),
        keypoints_3d=rng.uniform(-900, 900, (17, 4)).astype(np.float32),
        track_id=3,
    )


def test_one_entry():
    person = example_person()
    (entry,) = entries_from_persons(7, "a.png", [person])
    assert list(entry) == [
        "image_id", "file_name", "category_id", "bbox", "score", "keypoints", "keypoints_3d", "keypoints_3d_metric",
        "track_id", "track_state", "root",
    ]  # fmt: skip
    assert (entry["image_id"], entry["file_name"], entry["category_id"]) == (7, "a.png", 1)
    assert entry["bbox"] == [10.12, 20.0, 30.0, 40.0]
    assert entry["score"] == 0.12346
    assert len(entry["keypoints"]) == 51
    assert len(entry["keypoints_3d"]) == 68
    assert entry["keypoints_3d_metric"] is None
    np.testing.assert_allclose(np.reshape(entry["keypoints"], (17, 3)), person.keypoints, atol=0.0051)


def test_round_trip(tmp_path):
    person = example_person()
    path = tmp_path / "results.json"
    write_results(path, entries_from_persons(7, "a.png", [person, person]))
    entries = json.loads(path.read_text())
    assert len(entries) == 2
    back = person_from_entry(entries[0])
    np.testing.assert_allclose(back.keypoints_3d, person.keypoints_3d, atol=0.051)
    assert back.track_id == 3
    assert list(tmp_path.iterdir()) == [path]


def test_places_go_there_and_back_in_millimetres(tmp_path):
    metric = np.random.default_rng(1).uniform(-2, 4, (17, 4)).astype(np.float32)
    metric[3] = (np.nan, np.nan, np.nan, 0)
    root = Root(np.array([0.1, -0.2, 3.0]), np.diag([0.01, 0.02, 0.3]), RootSource.SIZE)
    person = replace(example_person(), keypoints_3d_metric=metric, root=root, track_state=TrackState.CONFIRMED)
    write_results(tmp_path / "results.json", entries_from_persons(7, "a.png", [person]))
    (entry,) = json.loads((tmp_path / "results.json").read_text())
    assert entry["keypoints_3d_metric"][0] == pytest.approx(1000 * metric[0, 0], abs=0.1)
    assert entry["keypoints_3d_metric"][12:16] == [None, None, None, 0.0]
    assert entry["root"] == {
        "position": [100, -200, 3000],
        "covariance": [10000, 0, 0, 0, 20000, 0, 0, 0, 300000],
        "source": "size",
    }
    back = person_from_entry(entry)
    np.testing.assert_allclose(back.keypoints_3d_metric, metric, atol=1e-4)
    np.testing.assert_allclose(back.root.covariance_m2, root.covariance_m2)
    assert (back.root.source, back.track_state) == (RootSource.SIZE, TrackState.CONFIRMED)


def test_nobody(tmp_path):
    write_results(tmp_path / "results.json", [])
    assert json.loads((tmp_path / "results.json").read_text()) == []


def test_bad_entries():
    (entry,) = entries_from_persons(7, "a.png", [example_person()])
    with pytest.raises(InputError, match=r"r\.json: entry of image 7: keypoints: missing"):
        person_from_entry({k: v for k, v in entry.items() if k != "keypoints"}, "r.json")
    with pytest.raises(InputError, match="reshape"):
        person_from_entry({**entry, "keypoints": [1, 2, 3]}, "r.json")


def test_pycocotools_reads_it(tmp_path):
    coco_module = pytest.importorskip("pycocotools.coco")
    write_results(tmp_path / "r.json", entries_from_persons(7, "a.png", [example_person()]))
    coco = coco_module.COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": 7, "width": 64, "height": 48}],
        "annotations": [],
        "categories": [{"id": 1, "name": "person"}],
    }
    coco.createIndex()
    assert len(coco.loadRes(str(tmp_path / "r.json")).anns) == 1
