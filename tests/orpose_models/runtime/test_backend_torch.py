"""Backend torch: batches and float16, without a GPU: what runs there in float16 also runs here, slowly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orpose_models.errors import ConfigError, ModelError
from orpose_models.runtime import PoseEstimator, RuntimeConfig
from orpose_models.settings import build_settings

torch = pytest.importorskip("torch")

GPU = {"backend": "torch", "torch_device": "cuda"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    from orpose_models.network import build_student, save_weights

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("torch") / "lite.safetensors"
    save_weights(build_student("lite"), path, {})
    return path


@pytest.fixture
def pictures() -> list[np.ndarray]:
    return [np.random.default_rng(seed).integers(0, 256, (480, 640, 3), np.uint8) for seed in range(3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "torch", "torch_precision": "fp16"}, "torch_precision fp16 needs torch_device cuda"),
        ({"backend": "torch", "torch_mode": "compile-graphs"}, "torch_mode compile-graphs needs torch_device cuda"),
        ({"torch_precision": "fp16"}, "torch_precision fp16 is for backend torch"),
        ({"torch_batch": 2}, "torch_batch 2 is for backend torch"),
        ({"backend": "torch", "torch_batch": 0}, "torch_batch"),
        ({"torch_size": "320x240"}, "torch_size is for backends torch and torch-tensorrt; the backend is onnxruntime"),
        ({"backend": "torch", "torch_size": "320x32"}, "torch_size: got '320x32': expected sides of 64 px or more"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ConfigError, match=message):
        build_settings(RuntimeConfig, options, "test")


def test_images_of_a_batch_do_not_mix(weights, pictures):
    """Three images in calls of two, the last one beside a black image, have the answers that each has alone."""
    config = RuntimeConfig(model=str(weights), backend="torch", threads=1)
    alone, batched = PoseEstimator(config), PoseEstimator(config.model_copy(update={"torch_batch": 2}))
    assert (alone.info.batch, batched.info.batch) == (1, 2)
    expected = [alone.estimate(picture) for picture in pictures]
    found = batched.infer_batch([batched.prepare(picture) for picture in pictures])
    assert sum(len(result.candidates) for result in expected) >= 3
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours.candidates) == len(theirs.candidates)
        for person, same in zip(ours.candidates, theirs.candidates, strict=True):
            np.testing.assert_allclose(person.bbox_xywh, same.bbox_xywh, atol=0.05)
            np.testing.assert_allclose(person.score, same.score, atol=1e-4)


def test_the_size_is_the_files_or_the_given_one(weights, tmp_path):
    """A file that names none is run at 640x480."""
    from orpose_models.network import load_student, save_weights

    save_weights(load_student(weights), tmp_path / "small.safetensors", {}, (128, 96))

    def size(path: Path, **options) -> tuple[int, int]:
        return PoseEstimator(RuntimeConfig(model=str(path), backend="torch", threads=1, **options)).info.input_size

    assert size(weights) == (640, 480)
    assert size(weights, torch_size="96x64") == (96, 64)
    assert size(tmp_path / "small.safetensors") == (128, 96)
    assert size(tmp_path / "small.safetensors", torch_size="96x64") == (96, 64)


def network(weights: Path, **options):
    from orpose_models.runtime.backend_torch_network import load_network

    return load_network(RuntimeConfig(model=str(weights), **GPU, **options), "cpu")


def test_float16_is_of_the_heavy_layers_only(weights):
    """As `orpose export --precision fp16` has it: scores, deltas, anchors and the heatmaps' enlargement stay exact."""
    from orpose_models.runtime.backend_torch_network import model_info

    path, exact = network(weights)
    _, half = network(weights, torch_precision="fp16")
    assert model_info(path, exact).precision == "fp32"
    assert model_info(path, half).precision == "fp16, boxes in fp32"
    assert {value.dtype for value in exact.state_dict().values()} == {torch.float32}
    kept = {name for name, value in half.named_parameters() if value.dtype == torch.float32}
    assert kept == {
        *("candidates.output.1.weight", "candidates.output.1.bias"),
        *(f"student.heads.box.{layer}.1.{kind}" for layer in ("score", "delta") for kind in ("weight", "bias")),
    }
    assert {value.dtype for value in half.buffers()} == {torch.float32}


def test_float16_agrees_with_float32(weights, pictures):
    """Also with weights channels last, as on a GPU. Of random weights boxes and scores are compared: heatmaps of noise
    have many peaks of one height.
    """
    from orpose_models.runtime.backend_torch_cuda import in_tensor_core_layout

    _, exact = network(weights)
    _, half = network(weights, torch_precision="fp16")
    in_tensor_core_layout(half)
    assert half.student.pyramid.output[0][0].weight.is_contiguous(memory_format=torch.channels_last)
    image = torch.from_numpy(pictures[0])[None]
    with torch.inference_mode():
        expected, found = exact(image), half(image)
    assert [value.dtype for value in found] == [value.dtype for value in expected]
    assert torch.equal(found.valid, expected.valid)
    assert (found.boxes - expected.boxes).abs().max() < 0.5  # px
    assert (found.scores - expected.scores).abs().max() < 5e-3


def test_weights_beyond_float16(weights, tmp_path):
    from orpose_models.network import load_student, save_weights

    student = load_student(weights)
    with torch.no_grad():
        student.heads.box.fc7[0].weight[0, 0] = 1e9
    save_weights(student, tmp_path / "huge.safetensors", {})
    with pytest.raises(ModelError, match=r"huge\.safetensors: precision fp16: weights of .*fc7.* use fp32"):
        network(tmp_path / "huge.safetensors", torch_precision="fp16")


class FakeGraph:
    """Of CUDA: computes again into the tensors it gave when it was recorded."""

    def replay(self) -> None:
        for place, value in zip(self.outputs, self.network(self.image), strict=True):
            place.copy_(value)


@pytest.fixture
def fake_cuda(monkeypatch):
    """Enough of torch.cuda for `GpuNetwork` on the processor; copies that are waited for are counted."""
    from contextlib import nullcontext
    from types import SimpleNamespace

    waited = []
    stream = SimpleNamespace(wait_stream=lambda other: None, synchronize=lambda: waited.append(1))
    real_empty_like = torch.empty_like
    monkeypatch.setattr(torch.Tensor, "pin_memory", torch.Tensor.clone)
    monkeypatch.setattr(torch.Tensor, "cuda", torch.Tensor.clone)
    monkeypatch.setattr(torch, "empty_like", lambda value, **_: real_empty_like(value))
    for name, value in {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda _: nullcontext(),
        "graph": lambda _: nullcontext(),
        "synchronize": lambda: None,
        "CUDAGraph": FakeGraph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return waited


@pytest.mark.parametrize("record", [False, True])
def test_answers_on_a_gpu_are_the_callers_own(fake_cuda, record):
    """A recorded network writes its next answers over the last ones."""
    from orpose_models.runtime.backend_torch_cuda import GpuNetwork

    def double(image):
        return [image.int() * 2, image.float().sum()[None]]

    placed = GpuNetwork(double, torch.full((1, 2, 2, 3), 128, dtype=torch.uint8), record=record)
    if record:
        graph = placed._graph
        graph.network, graph.image, graph.outputs = double, placed._image, placed._outputs
    with torch.inference_mode():
        first = placed(torch.full((1, 2, 2, 3), 3, dtype=torch.uint8))
        second = placed(torch.full((1, 2, 2, 3), 5, dtype=torch.uint8))
    assert [value.flatten()[0].item() for value in (*first, *second)] == [6, 36, 10, 60]
    assert len(fake_cuda) == 2
