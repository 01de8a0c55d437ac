"""Every backend gives what torch gives: the largest and the mean difference, in px, mm and score."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.errors import BackendError, ModelError
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


CONTESTANTS = {
    "onnxruntime": ("lite.onnx", {}),
    "openvino": ("lite.onnx", {"backend": "openvino"}),
    "torch compile": ("lite.safetensors", {"backend": "torch", "torch_mode": "compile"}),
    "onnxruntime cuda": ("lite.onnx", {"provider": "cuda"}),
    "onnxruntime tensorrt": ("lite.onnx", {"provider": "tensorrt"}),
    "torch cuda": ("lite.safetensors", {"backend": "torch", "torch_device": "cuda"}),
    "torch cuda compile": ("lite.safetensors", {"backend": "torch", "torch_device": "cuda", "torch_mode": "compile"}),
    "torch cudagraphs": ("lite.safetensors", {"backend": "torch", "torch_device": "cuda", "torch_mode": "cudagraphs"}),
    "torch compile-graphs": (
        "lite.safetensors",
        {"backend": "torch", "torch_device": "cuda", "torch_mode": "compile-graphs"},
    ),
    "torch-tensorrt": ("lite.safetensors", {"backend": "torch-tensorrt"}),
    "tensorrt": ("lite.onnx", {"backend": "tensorrt"}),
}


@pytest.mark.timeout(590)  # compiling takes minutes
@pytest.mark.parametrize("name", CONTESTANTS)
def test_agrees_with_torch(model_files, images, torch_results, tmp_path, name):
    if name == "torch compile" and "ORPOSE_SLOW_TESTS" not in os.environ:
        pytest.skip("compiling takes minutes; ORPOSE_SLOW_TESTS=1 runs it")
    file, options = CONTESTANTS[name]
    config = RuntimeConfig(model=str(model_files / file), threads=1, engine_cache=str(tmp_path), **options)
    try:
        estimator = PoseEstimator(config)
    except BackendError as error:
        if name in ("onnxruntime", "torch compile"):
            raise
        pytest.skip(str(error))  # no such library or GPU here
    results = [estimator.estimate(image) for image in images]
    assert [len(r.candidates) for r in results] == [len(r.candidates) for r in torch_results]
    ours = [person for result in results for person in result.candidates]
    theirs = [person for result in torch_results for person in result.candidates]
    assert len(ours) >= 6
    for field, unit, limit in (("bbox_xywh", "px", 0.05), ("keypoints", "px", 0.1), ("keypoints_3d", "mm", 1.0)):
        difference = np.abs(np.stack([getattr(p, field) for p in ours]) - np.stack([getattr(p, field) for p in theirs]))
        print(f"{name} - torch: {field}: max {difference.max():.2g}, mean {difference.mean():.2g} {unit}")
        assert difference.max() < limit
    score_difference = np.abs([a.score - b.score for a, b in zip(ours, theirs, strict=True)])
    print(f"{name} - torch: score: max {score_difference.max():.2g}, mean {score_difference.mean():.2g}")
    assert score_difference.max() < 1e-3
    if name == "torch compile":
        _check_compiled_load(config, images[0], results[0])


def _check_compiled_load(config: RuntimeConfig, image: np.ndarray, expected: FrameResult) -> None:
    """The second start takes the machine code of the first one from the cache."""
    again = PoseEstimator(config)
    assert again.info.engine.startswith("loaded from")
    assert (again.backend, again.info.precision) == ("torch (compile, cpu)", "fp32")
    assert again.estimate(image).candidates[0].score == expected.candidates[0].score


def test_torch_takes_read_only_images(model_files, images):
    config = RuntimeConfig(model=str(model_files / "lite.safetensors"), backend="torch", threads=1)
    image = images[0].copy()
    image.flags.writeable = False
    assert PoseEstimator(config).estimate(image).candidates


@pytest.mark.parametrize("content", [b"\x00" * 100, b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_foreign_weights(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.safetensors") as caught:
        PoseEstimator(RuntimeConfig(model=str(path), backend="torch"))
    assert "\n" not in str(caught.value)


def test_a_gpu_that_is_not_there_is_an_error():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for options in ({}, {"torch_mode": "compile"}, {"torch_mode": "cudagraphs"}):
        with pytest.raises(BackendError, match="sees no CUDA GPU"):
            PoseEstimator(RuntimeConfig(backend="torch", torch_device="cuda", **options))


def test_no_tensor_of_the_network_stays_on_the_processor():
    """What a GPU would need; the meta device refuses to mix as well."""
    from orpose_models.network import build_student
    from orpose_models.network.static_student import StaticStudent

    network = StaticStudent(build_student("lite"), (640, 480)).to("meta")
    outputs = network(torch.zeros(1, 480, 640, 3, dtype=torch.uint8, device="meta"))
    assert {output.device.type for output in outputs} == {"meta"}
    with pytest.raises(RuntimeError, match="device"):
        network(torch.zeros(1, 480, 640, 3, dtype=torch.uint8))


def test_no_compiler_is_an_error(model_files, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no working C++ compiler found\nat all")

    monkeypatch.setattr(torch.export, "export", fail)
    config = RuntimeConfig(
        model=str(model_files / "lite.safetensors"), backend="torch", torch_mode="compile", engine_cache=str(tmp_path)
    )
    with pytest.raises(BackendError, match=r"no working C\+\+ compiler found\); it needs a C\+\+ compiler: apt"):
        PoseEstimator(config)


@pytest.fixture(scope="module")
def batch_of_two(model_files) -> Path:
    from orpose_models.export.onnx_export import export_onnx
    from orpose_models.network import load_student

    path = model_files / "batch2.onnx"
    export_onnx(load_student(model_files / "lite.safetensors"), path, (160, 128), 2, weights="float32")
    return path


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_images_of_a_batch_do_not_mix(batch_of_two, images, backend):
    """Alone (beside a black image), in either place, or beside another one: each image has the same answer."""
    pytest.importorskip(backend)
    config = RuntimeConfig(model=str(batch_of_two), backend=backend, threads=1)
    estimator = PoseEstimator(config)
    prepared = [estimator.prepare(image) for image in images]
    alone = [estimator.infer(each) for each in prepared]
    assert sum(len(result.candidates) for result in alone) > 3
    forwards, backwards = estimator.infer_batch(prepared), estimator.infer_batch(prepared[::-1])[::-1]
    for expected, *others in zip(alone, forwards, backwards, strict=True):
        for found in others:
            assert len(found.candidates) == len(expected.candidates)
            for person, same in zip(found.candidates, expected.candidates, strict=True):
                np.testing.assert_allclose(person.bbox_xywh, same.bbox_xywh, atol=0.05)
                np.testing.assert_allclose(person.keypoints, same.keypoints, atol=0.05)


def test_weights_with_other_code_are_another_network(tmp_path, monkeypatch):
    """An engine of the code before an update is not used; a program (.pt2) holds its own."""
    from orpose_models.runtime import backend_torch_network

    files = [tmp_path / "a.safetensors", tmp_path / "a.pt2"]
    for path in files:
        path.write_bytes(b"the same")
    before = [backend_torch_network.network_sha256(path) for path in files]
    monkeypatch.setattr(backend_torch_network, "sources_sha256", lambda *_: "of other code")
    after = [backend_torch_network.network_sha256(path) for path in files]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]
