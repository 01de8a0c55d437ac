"""ONNX Runtime's GPU providers are there or an error: by itself it would go on with the processor."""

from __future__ import annotations

import onnxruntime
import pytest

from orpose_models.errors import BackendError
from orpose_models.runtime import RuntimeConfig
from orpose_models.runtime.backends import load_backend, probe_backend

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


def test_the_processor_is_named_as_before(fake_model):
    assert load_backend(RuntimeConfig(model=str(fake_model), threads=1)).name == "onnxruntime"
