"""Two graphs as one backend: which slots are run, and what is said about files that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from orpose_models.errors import ModelError
from orpose_models.runtime.models import ModelInfo
from orpose_models.runtime.person_buckets import (
    FOUND_NAMES,
    PARTS_KEY,
    POSE_INPUT_NAMES,
    BucketBackend,
    buckets,
    check_parts,
    second_graph,
    smallest_bucket,
)

INFO = ModelInfo("r50@12345678", "r50", (64, 48), 6, "fp32")


@pytest.mark.parametrize(
    ("most", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8]), (16, [1, 2, 4, 8, 16])]
)
def test_buckets(most: int, expected: list[int]) -> None:
    assert buckets(most) == expected


@pytest.mark.parametrize(("people", "slots"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 6), (6, 6)])
def test_smallest_bucket(people: int, slots: int) -> None:
    assert smallest_bucket(people, 6) == slots


class Graphs:
    """Stand-ins: people are the first `people` slots with box and features = slot number; poses = features + 1."""

    def __init__(self, people: int) -> None:
        self.people, self.slots = people, list[int]()

    def detect(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        assert inputs["image"].shape == (1, 48, 64, 3)
        numbers = np.arange(6, dtype=np.float32)
        return {
            "boxes": np.tile(numbers[None, :, None], (1, 1, 4)),
            "scores": (1 - numbers[None] / 10) * (numbers < self.people),
            "valid": (numbers < self.people).astype(np.int32)[None],
            "nms_converged": np.ones(1, np.int32),
            "roi_features": np.tile(numbers[:, None, None, None], (1, 2, 14, 14)),
        }

    def pose(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        numbers = inputs["roi_features"][:, 0, 0, 0]
        assert np.array_equal(inputs["person_boxes"], np.tile(numbers[:, None], (1, 4)))
        self.slots.append(len(numbers))
        shape = (-1, 1, 1)
        return {
            "keypoints": np.tile(numbers.reshape(shape) + 1, (1, 17, 3)),
            "keypoints_3d": np.tile(numbers.reshape(shape) + 2, (1, 17, 4)),
        }


@pytest.mark.parametrize(("people", "slots"), [(0, []), (1, [1]), (3, [4]), (5, [6])])
def test_runs_the_fewest_slots_that_hold_the_people(people: int, slots: list[int]) -> None:
    graphs = Graphs(people)
    backend = BucketBackend("onnxruntime", INFO, graphs.detect, graphs.pose)
    outputs = backend.infer(np.zeros((1, 48, 64, 3), np.uint8))
    assert graphs.slots == slots
    assert outputs["keypoints"].shape == (1, 6, 17, 3)
    assert outputs["keypoints_3d"].shape == (1, 6, 17, 4)
    assert outputs["keypoints"][0, :, 0, 0].tolist() == [*range(1, people + 1), *[0] * (6 - people)]
    assert outputs["keypoints_3d"][0, :, 16, 3].tolist() == [*range(2, people + 2), *[0] * (6 - people)]
    assert outputs["valid"].sum() == people


def test_warm_up_runs_every_size() -> None:
    graphs = Graphs(0)
    BucketBackend("openvino", INFO, graphs.detect, graphs.pose).warm_up()
    assert graphs.slots == [1, 2, 4, 6]


def test_a_missing_second_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r50.onnx"
    assert second_graph({}, path) is None
    with pytest.raises(ModelError, match=r"r50\.onnx: its second graph r50\.poses\.onnx is not beside it; copy both"):
        second_graph({PARTS_KEY: "people, poses"}, path)
    (tmp_path / "r50.poses.onnx").touch()
    assert second_graph({PARTS_KEY: "people, poses"}, path) == tmp_path / "r50.poses.onnx"


def test_parts_of_two_models_are_refused() -> None:
    other = ModelInfo("r50@87654321", "r50", (64, 48), 6, "fp32")
    check_parts(Path("a.onnx"), INFO, FOUND_NAMES, Path("a.poses.onnx"), INFO, POSE_INPUT_NAMES)
    with pytest.raises(ModelError, match=r"a\.poses\.onnx: it is of r50@87654321, a\.onnx of r50@12345678"):
        check_parts(Path("a.onnx"), INFO, FOUND_NAMES, Path("a.poses.onnx"), other, POSE_INPUT_NAMES)
    with pytest.raises(ModelError, match="it lacks outputs for a second graph"):
        check_parts(Path("a.onnx"), INFO, ("boxes",), Path("a.poses.onnx"), INFO, POSE_INPUT_NAMES)
    with pytest.raises(ModelError, match=r"a\.poses\.onnx: expected inputs roi_features, person_boxes, found image;"):
        check_parts(Path("a.onnx"), INFO, FOUND_NAMES, Path("a.poses.onnx"), INFO, ["image"])
