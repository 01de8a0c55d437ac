"""A model of two graphs answers as the static network does, however many slots of the second are run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from orpose_models.errors import ConfigError, ModelError
from orpose_models.export.config import ExportConfig
from orpose_models.export.formats import export_model
from orpose_models.network import Student
from orpose_models.network.static_student import StaticStudent
from orpose_models.runtime.models import OUTPUT_NAMES
from orpose_models.runtime.person_buckets import BucketBackend, smallest_bucket
from orpose_models.settings import build_settings

SIZE = (256, 192)


@pytest.fixture(scope="module")
def pair(lively_lite: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair") / "lite.onnx"
    export_model(lively_lite, path, ExportConfig(size=SIZE, buckets=True, weights="float32"), "lite@12345678")
    return path


@pytest.fixture(scope="module")
def image(make_bgr_images: Callable[[int, tuple[int, int]], torch.Tensor]) -> torch.Tensor:
    torch.manual_seed(0)
    return make_bgr_images(1, SIZE)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_equals_torch_with_any_number_of_people(
    pair: Path, lively_lite: Student, image: torch.Tensor, backend: str
) -> None:
    pytest.importorskip(backend)
    loaded = load(backend, pair)
    with torch.no_grad():
        expected = StaticStudent(lively_lite, SIZE).float()(image)
    most = int(expected.valid.sum())
    assert most >= 4
    everybody = loaded.infer(image.numpy())
    for name in OUTPUT_NAMES:
        atol = {"scores": 1e-3, "keypoints_3d": 0.2}.get(name, 0.02)
        np.testing.assert_allclose(everybody[name], getattr(expected, name).numpy(), atol=atol)
    detect, pose, slots = loaded.detect, loaded.pose, list[int]()
    loaded.pose = lambda inputs: (slots.append(len(inputs["person_boxes"])), pose(inputs))[1]
    for people in (0, 1, 3):
        loaded.detect = lambda inputs, people=people: {
            **detect(inputs),
            "valid": (np.arange(8) < people).astype(np.int32)[None],
        }
        fewer = loaded.infer(image.numpy())
        np.testing.assert_allclose(fewer["keypoints"][0, :people], everybody["keypoints"][0, :people], atol=1e-4)
        np.testing.assert_allclose(fewer["keypoints_3d"][0, :people], everybody["keypoints_3d"][0, :people], atol=1e-3)
        assert not fewer["keypoints"][0, people:].any()
    assert slots == [smallest_bucket(1, 8), smallest_bucket(3, 8)]


def load(backend: str, path: Path) -> BucketBackend:
    from orpose_models.runtime import PoseEstimator, RuntimeConfig

    loaded = PoseEstimator(RuntimeConfig(model=str(path), backend=backend, threads=2))._backend  # type: ignore[arg-type]
    assert isinstance(loaded, BucketBackend)
    return loaded


def test_r50_whose_convolutions_are_rewritten_equals_torch(
    make_lively_student: Callable[[str], Student], image: torch.Tensor, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    student = make_lively_student("r50")
    config = ExportConfig(size=SIZE, buckets=True, weights="float32", max_persons=2)
    export_model(student, tmp_path / "r50.onnx", config, "r50@12345678")
    with torch.no_grad():
        expected = StaticStudent(student, SIZE, max_persons=2).float()(image)
    assert int(expected.valid.sum()) == 2
    found = load("onnxruntime", tmp_path / "r50.onnx").infer(image.numpy())
    for name in OUTPUT_NAMES:
        atol = {"scores": 1e-3, "keypoints_3d": 0.2}.get(name, 0.02)
        np.testing.assert_allclose(found[name], getattr(expected, name).numpy(), atol=atol)


def test_one_slot_is_refused(lively_lite: Student, tmp_path: Path) -> None:
    config = ExportConfig(size=SIZE, buckets=True, max_persons=1)
    with pytest.raises(ConfigError, match=r"max_persons: got 1 with --buckets, .*; leave out --buckets"):
        export_model(lively_lite, tmp_path / "lite.onnx", config, "lite@12345678")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("backend", "message"), [("onnxruntime", "inputs .*expected 'image'"), ("openvino", "inputs")])
def test_the_second_graph_alone_is_no_model(pair: Path, backend: str, message: str) -> None:
    pytest.importorskip(backend)
    with pytest.raises(ModelError, match=rf"lite\.poses\.onnx: {message}"):
        load(backend, pair.with_suffix(".poses.onnx"))


@pytest.mark.parametrize("values", [{"batch": 2}, {"precision": "fp16"}, {"frame_size": "320x240"}])
def test_other_forms_are_refused(values: dict) -> None:
    with pytest.raises(ConfigError, match="--buckets is for --format onnx in fp32 with --batch 1 and"):
        build_settings(ExportConfig, {"buckets": True, **values}, "export")
