"""ONNX Runtime's GPU providers are there or an error: by itself it would go on with the processor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from orpose_models.errors import BackendError, ModelError
from orpose_models.runtime import RuntimeConfig, backend_onnxruntime
from orpose_models.runtime.backend_onnxruntime import built_precision
from orpose_models.runtime.backends import load_backend, probe_backend
from orpose_models.runtime.engine_cache import EngineKey
from orpose_models.runtime.onnx_file import read_metadata
from orpose_models.runtime.person_buckets import PARTS, PARTS_KEY

INSTALLED = onnxruntime.get_available_providers()


@pytest.mark.parametrize(("provider", "theirs"), [("cuda", "CUDAExecutionProvider"), ("tensorrt", "Tensorrt")])
def test_a_provider_that_is_not_installed_names_the_installation(fake_model, provider, theirs):
    if any(name.startswith(theirs) for name in INSTALLED):
        pytest.skip("it is installed")
    message = rf"provider '{provider}' is not in this ONNX Runtime \(it has .*\): .*pip install onnxruntime-gpu"
    with pytest.raises(BackendError, match=message):
        load_backend(RuntimeConfig(model=str(fake_model), provider=provider))
    with pytest.raises(BackendError, match=message):
        probe_backend("onnxruntime", provider)


def test_a_provider_that_does_not_start_is_an_error(fake_model, monkeypatch):
    """As with onnxruntime-gpu where the driver is missing: the session is made, on the processor."""
    if "CUDAExecutionProvider" in INSTALLED:
        pytest.skip("it may start")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *INSTALLED])
    with pytest.raises(BackendError, match=r"provider 'cuda' does not start \(the session has CPUExecutionProvider\)"):
        load_backend(RuntimeConfig(model=str(fake_model), provider="cuda"))


def test_two_graphs_are_refused_before_an_engine_is_built(fake_model, tmp_path, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["TensorrtExecutionProvider", *INSTALLED])
    model = onnx.load(fake_model)
    onnx.helper.set_model_props(model, {**read_metadata(fake_model), PARTS_KEY: PARTS})
    onnx.save(model, tmp_path / "two.onnx")
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("a session was opened"))
    with pytest.raises(ModelError, match=r"two\.onnx: two graphs are for the processor; export without --buckets"):
        load_backend(RuntimeConfig(model=str(tmp_path / "two.onnx"), provider="tensorrt"))


def test_the_processor_is_named_as_before(fake_model):
    assert load_backend(RuntimeConfig(model=str(fake_model), threads=1)).name == "onnxruntime"


def test_the_precision_is_that_of_the_arithmetic(tiny_graph):
    """What is reported agrees with what ONNX Runtime's own profiler says about the matrix product."""
    path = tiny_graph("fp16")
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(path.with_name("profile"))
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    session.run(None, {"image": np.zeros((1, 64, 64, 3), np.uint8)})
    events = json.loads(Path(session.end_profiling()).read_text())
    (product,) = [e for e in events if e["name"].endswith("kernel_time") and e["args"]["op_name"] == "MatMul"]
    (computed_in,) = product["args"]["input_type_shape"][0]
    reported = load_backend(RuntimeConfig(model=str(path), threads=1)).info.precision
    assert reported.startswith({"float": "float32", "float16": "fp16"}[computed_in])
    assert built_precision("float16, boxes in float32", "cuda") == "float16, boxes in float32"


def test_engines_of_a_cache_that_cannot_be_written_are_used_all_the_same(fake_model, tmp_path, monkeypatch, caplog):
    """ONNX Runtime itself would refuse to start."""
    asked = []
    key = EngineKey("onnxruntime-tensorrt", "1", "sm87 Orin", "0" * 64, "fp32", (1, 480, 640, 3))
    monkeypatch.setattr(backend_onnxruntime, "_engine_key", lambda path: key)
    monkeypatch.setattr(backend_onnxruntime, "_session", lambda *given: asked.append(given[-1]))
    for cache in (tmp_path / "good", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        config = RuntimeConfig(model=str(fake_model), provider="tensorrt", engine_cache=str(cache))
        _, origin = backend_onnxruntime._tensorrt_session(fake_model, config, onnxruntime.SessionOptions())
    assert [providers[0][1]["trt_engine_cache_enable"] for providers in asked] == [True, False]
    assert origin == "built, not stored (Not a directory)"
    assert "the next start builds its engines again" in caplog.text
