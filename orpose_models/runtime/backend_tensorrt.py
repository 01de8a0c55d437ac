"""A TensorRT engine, built on this machine from an exported .onnx file and kept in the engine cache, or exported here.

Needs no torch.
"""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import BackendError, ModelError
from orpose_models.files import file_sha256
from orpose_models.runtime.backends import Outputs, import_library
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.cuda_runtime import CudaRuntime
from orpose_models.runtime.description import BUILT_BY_KEY, GPU_KEY, read_description
from orpose_models.runtime.engine_cache import EngineCache, EngineKey, UnusableEngineError
from orpose_models.runtime.models import INPUT_NAME, OUTPUT_NAMES, ModelInfo, check_interface, find_model
from orpose_models.runtime.onnx_file import read_metadata
from orpose_models.runtime.person_buckets import PARTS_KEY
from orpose_models.runtime.tensorrt_build import build_engine, make_log

_DTYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT32": np.int32,
    "INT64": np.int64,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}


@dataclass(frozen=True)
class IoTensor:
    """An input or output of an engine.

    Attributes:
        address: Of its memory on the GPU.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    is_input: bool
    address: int = 0

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class TensorRtBackend:
    """See `Backend`. One frame at a time, on one stream; memory on the GPU is taken once, and given back at the end."""

    name = "tensorrt"

    def __init__(self, engine: Any, tensors: Mapping[str, IoTensor], info: ModelInfo, cuda: CudaRuntime) -> None:
        self._engine = engine  # its context needs it
        self._context = engine.create_execution_context()
        if self._context is None:
            raise BackendError("TensorRT: no execution context; is the GPU's memory full?")
        self._cuda = cuda
        self._stream = cuda.create_stream()
        addresses: list[int] = []
        self._release = weakref.finalize(self, _release, cuda, addresses, self._stream)
        self._tensors: dict[str, IoTensor] = {}
        for name, tensor in tensors.items():
            addresses.append(cuda.allocate(tensor.size_bytes))
            if not self._context.set_tensor_address(name, addresses[-1]):
                raise BackendError(f"TensorRT: the engine has no tensor '{name}'")
            self._tensors[name] = dataclasses.replace(tensor, address=addresses[-1])
        self.info = info

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        images = np.ascontiguousarray(images)
        self._cuda.copy_to_device(self._tensors[INPUT_NAME].address, images, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise BackendError("TensorRT: the engine did not run; its log has the reason")
        outputs = {}
        for name in OUTPUT_NAMES:
            tensor = self._tensors[name]
            outputs[name] = np.empty(tensor.shape, tensor.dtype)
            self._cuda.copy_to_host(outputs[name], tensor.address, self._stream)
        self._cuda.synchronize(self._stream)
        return outputs


def load(config: RuntimeConfig) -> TensorRtBackend:
    """Loads the engine of an .onnx file, or builds it first; or loads an exported .engine file.

    Raises:
        BackendError: No GPU, or TensorRT cannot build for it.
        ModelError: The file is missing, corrupt, not ours, or an engine for another GPU or version of TensorRT.
    """
    path = find_model(config.model, ".onnx", ".engine")
    is_engine = path.suffix == ".engine"
    metadata = read_description(path) if is_engine else read_metadata(path)
    info = ModelInfo.from_metadata(metadata, path)
    if PARTS_KEY in metadata:
        raise ModelError(f"{path}: a model of two graphs is for onnxruntime and openvino; export without --buckets")
    trt, cuda = import_library("tensorrt"), CudaRuntime()
    if is_engine:
        check_built_here(metadata, f"tensorrt {trt.__version__}", cuda.device(), path)
    runtime = trt.Runtime(log := make_log(trt))

    def deserialize(content: bytes) -> Any:
        engine = runtime.deserialize_cuda_engine(content)
        if engine is None:
            raise UnusableEngineError(f"TensorRT refuses it ({log.reason()})")
        return engine

    if is_engine:
        engine, built = _exported_engine(path, info, deserialize)
    else:
        key = engine_key(trt, path, info, cuda.device())
        cached = EngineCache(config.engine_cache).get(key, lambda: build_engine(trt, path), deserialize)
        engine, built = cached.loaded, dataclasses.replace(info, precision=cached.precision, engine=cached.origin)
    tensors = io_tensors(engine)
    inputs = {name: tensor.shape for name, tensor in tensors.items() if tensor.is_input}
    check_interface(inputs, {name: tensor for name, tensor in tensors.items() if not tensor.is_input}, info, path)
    return TensorRtBackend(engine, tensors, built, cuda)


def check_built_here(description: Mapping[str, str], library: str, device: str, path: Path) -> None:
    """Checks that an exported engine was built by this version of this library, for this GPU: it fits nothing else.

    Raises:
        ModelError: It was not, or does not say.
    """
    for key, here in ((BUILT_BY_KEY, library), (GPU_KEY, device)):
        found = description.get(key, "not given")
        if found != here:
            raise ModelError(
                f"{path}: {key} is {found}, expected {here}: an engine fits what it was built for alone; export it on "
                "this machine, or name the .onnx file, whose engine is built here"
            )


def _exported_engine(path: Path, info: ModelInfo, deserialize: Callable[[bytes], Any]) -> tuple[Any, ModelInfo]:
    try:
        return deserialize(path.read_bytes()), dataclasses.replace(info, engine=f"loaded from {path}")
    except UnusableEngineError as error:
        raise ModelError(f"{path}: {error}; export it again") from None


def probe() -> str:
    """What would be used, without building anything.

    Raises:
        BackendError: No GPU.
    """
    cuda, trt = CudaRuntime(), import_library("tensorrt")
    return f"TensorRT {trt.__version__}, {cuda.device_name()} (compute capability {cuda.compute_capability() / 10:.1f})"


def engine_key(trt: ModuleType, path: Path, info: ModelInfo, device: str) -> EngineKey:
    """What an engine of this file is built for.

    Args:
        trt: `tensorrt`, `tensorrt_bindings` or `tensorrt_rtx_bindings`.
        path: The .onnx file.
        info: Its metadata.
        device: Compute capability and name of the GPU.
    """
    width, height = info.input_size
    name = trt.__name__.split(".")[0].removesuffix("_bindings").replace("_", "-")
    return EngineKey(name, trt.__version__, device, file_sha256(path), info.precision, (info.batch, height, width, 3))


def io_tensors(engine: Any) -> dict[str, IoTensor]:
    """Name -> what the engine reads or writes under it."""
    tensors = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        dtype = engine.get_tensor_dtype(name).name
        if dtype not in _DTYPES:
            raise BackendError(f"TensorRT: '{name}' is of type {dtype}, which no array has; export the model again")
        shape = tuple(int(side) for side in engine.get_tensor_shape(name))
        is_input = engine.get_tensor_mode(name).name == "INPUT"
        tensors[name] = IoTensor(shape, np.dtype(_DTYPES[dtype]), is_input)
    return tensors


def _release(cuda: CudaRuntime, addresses: list[int], stream: int) -> None:
    for address in addresses:
        cuda.free(address)
    cuda.destroy_stream(stream)
