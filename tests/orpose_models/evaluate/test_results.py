"""Results files: errors name file, entry and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orpose_models.errors import InputError
from orpose_models.evaluate.results import read_results


def test_reads_a_list(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": 1, "score": 0.5}]))
    assert read_results(path, need=("score",)) == [{"image_id": 1, "score": 0.5}]


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
