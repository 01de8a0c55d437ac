"""The ctypes calls against a stand-in for libcudart (no GPU here), and the real libcudart's errors without a GPU."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from orpose_models.errors import BackendError
from orpose_models.runtime import cuda_runtime
from orpose_models.runtime.cuda_runtime import CudaRuntime


def test_memory_copies_and_streams(fake_cudart):
    cuda = CudaRuntime(fake_cudart)
    sent = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    received = np.zeros_like(sent)
    stream, address = cuda.create_stream(), cuda.allocate(sent.nbytes)
    assert address > 2**32, "the address was cut to 32 bits"
    cuda.copy_to_device(address, sent, stream)
    cuda.copy_to_host(received, address, stream)
    assert not received.any(), "copies are queued"
    cuda.synchronize(stream)
    assert (received == sent).all()
    cuda.free(address)
    cuda.destroy_stream(stream)
    assert fake_cudart.fake_live() == 0


def test_device(fake_cudart):
    cuda = CudaRuntime(fake_cudart)
    assert cuda.compute_capability() == 87
    assert cuda.device_name() == "Fake GPU"


def test_errors_name_the_call_and_the_reason(fake_cudart):
    cuda = CudaRuntime(fake_cudart)
    ctypes.c_int.in_dll(fake_cudart, "fails_with").value = 2
    with pytest.raises(BackendError, match=r"CUDA: cudaMalloc: out of memory \(error 2\)"):
        cuda.allocate(100)


def test_no_gpu(fake_cudart):
    ctypes.c_int.in_dll(fake_cudart, "gpus").value = 0
    with pytest.raises(BackendError, match=r"CUDA: cudaGetDeviceCount: no device \(error 100\)"):
        CudaRuntime(fake_cudart)


def test_no_library(monkeypatch):
    monkeypatch.setattr(cuda_runtime.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    with pytest.raises(BackendError, match="libcudart is not installed; on a Jetson it comes with JetPack"):
        CudaRuntime()


def test_the_real_library():
    """Wherever it is installed, with torch for instance: it answers, or says in one line why not."""
    try:
        library = cuda_runtime._open_library()
    except BackendError as error:
        pytest.skip(str(error))
    try:
        cuda = CudaRuntime(library)
    except BackendError as error:
        assert str(error).startswith("CUDA: ")
        assert "\n" not in str(error)
    else:
        assert cuda.device_name()
        assert cuda.compute_capability() >= 50
