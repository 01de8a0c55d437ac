"""Every backend gives what torch gives: the largest and the mean difference, in px, mm and score."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.runtime import FrameResult, PoseEstimator, RuntimeConfig

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")


def spread(layer, values, deviation: float) -> None:
    layer.weight.mul_(deviation / values.std())


@pytest.fixture(scope="module")
def model_files(tmp_path_factory) -> Path:
    """lite.safetensors and lite.onnx of a random network whose scores are spread like a trained one's."""
    from orpose_models.export.onnx_export import export_onnx
    from orpose_models.network import build_student, save_weights

    torch.manual_seed(1)
    student = build_student("lite")
    with torch.no_grad():
        for module in student.modules():
            if hasattr(module, "momentum"):
                module.momentum = None
        student.train()
        student.pyramid(torch.randn(2, 3, 192, 256))  # gives BatchNorm its statistics
        student.eval()
        features = student.pyramid(torch.randn(1, 3, 192, 256))
        logits, deltas = student.rpn.head(features)
        spread(student.rpn.head.cls_logits, torch.cat([f.flatten() for f in logits]), 2.0)
        spread(student.rpn.head.bbox_pred, torch.cat([f.flatten() for f in deltas]), 0.3)
        box_logits, box_deltas = student.heads.box(torch.randn(64, 64, 7, 7) * features[0].std())
        spread(student.heads.box.score, box_logits, 2.0)
        spread(student.heads.box.delta, box_deltas, 1.0)
    folder = tmp_path_factory.mktemp("lite")
    save_weights(student, folder / "lite.safetensors", {})
    export_onnx(student, folder / "lite.onnx", weights="float32")
    return folder


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Colour fields of several scales, so that every pyramid level sees something; one needs letterboxing."""
    rng = np.random.default_rng(0)
    pictures = []
    for width, height in ((640, 480), (640, 480), (1280, 720)):
        layers = [
            cv2.resize(rng.integers(0, 256, (height // side, width // side, 3), np.uint8), (width, height))
            for side in (8, 32, 120)
        ]
        pictures.append(np.mean(layers, axis=0).astype(np.uint8))
    return pictures


@pytest.fixture(scope="module")
def torch_results(model_files, images) -> list[FrameResult]:
    config = RuntimeConfig(model=str(model_files / "lite.safetensors"), backend="torch", threads=1)
    estimator = PoseEstimator(config)
    assert estimator.info.input_size == (640, 480)
    assert estimator.info.preset == "lite"
    return [estimator.estimate(image) for image in images]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_agrees_with_torch(model_files, images, torch_results, backend):
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    estimator = PoseEstimator(RuntimeConfig(model=str(model_files / "lite.onnx"), backend=backend, threads=1))
    results = [estimator.estimate(image) for image in images]
    assert [len(r.candidates) for r in results] == [len(r.candidates) for r in torch_results]
    ours = [person for result in results for person in result.candidates]
    theirs = [person for result in torch_results for person in result.candidates]
    assert len(ours) >= 6
    for name, unit, limit in (("bbox_xywh", "px", 0.05), ("keypoints", "px", 0.1), ("keypoints_3d", "mm", 1.0)):
        difference = np.abs(np.stack([getattr(p, name) for p in ours]) - np.stack([getattr(p, name) for p in theirs]))
        print(f"{backend} - torch: {name}: max {difference.max():.2g}, mean {difference.mean():.2g} {unit}")
        assert difference.max() < limit
    score_difference = np.abs([a.score - b.score for a, b in zip(ours, theirs, strict=True)]).max()
    print(f"{backend} - torch: score: max {score_difference:.2g}")
    assert score_difference < 1e-3


def test_torch_takes_read_only_images(model_files, images):
    config = RuntimeConfig(model=str(model_files / "lite.safetensors"), backend="torch", threads=1)
    image = images[0].copy()
    image.flags.writeable = False
    assert PoseEstimator(config).estimate(image).candidates


def test_foreign_weights(tmp_path):
    from orpose_models.errors import ModelError

    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        PoseEstimator(RuntimeConfig(model=str(path), backend="torch"))
