"""ONNX Runtime: on the processor the default, embedded backend; on a GPU with its CUDA or TensorRT provider."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import platform
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from orpose_models.errors import BackendError, ModelError
from orpose_models.files import file_sha256
from orpose_models.runtime.backends import Outputs
from orpose_models.runtime.config import ProviderName, RuntimeConfig
from orpose_models.runtime.cuda_runtime import CudaRuntime
from orpose_models.runtime.engine_cache import EngineCache, EngineKey, exclusive
from orpose_models.runtime.models import INPUT_NAME, OUTPUT_NAMES, ModelInfo, check_interface, find_model, first_line
from orpose_models.runtime.onnx_file import read_metadata
from orpose_models.runtime.person_buckets import (
    FOUND_NAMES,
    PARTS_KEY,
    POSE_NAMES,
    Arrays,
    BucketBackend,
    check_parts,
    poses_file,
    second_graph,
)

_log = logging.getLogger(__name__)
#: Of ONNX Runtime's own log: only what is fatal. Errors come as exceptions.
_LOG_FATAL = 4
_PROVIDERS: dict[ProviderName, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_INSTALL = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"


class OnnxRuntimeBackend:
    """See `Backend`."""

    def __init__(self, name: str, session: onnxruntime.InferenceSession, info: ModelInfo) -> None:
        self.name = name
        self.info = info
        self._session = session

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        return dict(zip(OUTPUT_NAMES, self._session.run(OUTPUT_NAMES, {INPUT_NAME: images}), strict=True))


class _Runner:
    """A session as a function of arrays by name."""

    def __init__(self, session: onnxruntime.InferenceSession, names: tuple[str, ...]) -> None:
        self._session, self._names = session, list(names)

    def __call__(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._names, self._session.run(self._names, dict(inputs)), strict=True))


def load(config: RuntimeConfig) -> OnnxRuntimeBackend | BucketBackend:
    """Loads an exported .onnx file, or two that belong together.

    Raises:
        BackendError: The provider is not installed, or does not start: ONNX Runtime itself would go on without it.
        ModelError: A file is missing, corrupt or not ours.
    """
    path = find_model(config.model, ".onnx")
    name = "onnxruntime" if config.provider == "cpu" else f"onnxruntime ({config.provider})"
    _check_installed(config.provider)
    if config.provider != "cpu" and PARTS_KEY in read_metadata(path):  # before minutes go into an engine
        raise ModelError(f"{path}: two graphs are for the processor; export without --buckets for {config.provider}")
    session, engine = _open(path, config, takes_turns=poses_file(path).is_file())
    metadata = session.get_modelmeta().custom_metadata_map
    info = ModelInfo.from_metadata(metadata, path)
    info = dataclasses.replace(info, precision=built_precision(info.precision, config.provider), engine=engine)
    outputs = {node.name: node for node in session.get_outputs()}
    if poses := second_graph(metadata, path):
        second, _ = _open(poses, config, takes_turns=True)
        second_info = ModelInfo.from_metadata(second.get_modelmeta().custom_metadata_map, poses)
        check_parts(path, info, outputs, poses, second_info, [node.name for node in second.get_inputs()])
        return BucketBackend(name, info, _Runner(session, FOUND_NAMES), _Runner(second, POSE_NAMES))
    inputs = {node.name: tuple(node.shape) for node in session.get_inputs()}
    check_interface(inputs, outputs, info, path)
    return OnnxRuntimeBackend(name, session, info)


def built_precision(declared: str, provider: ProviderName) -> str:
    """The arithmetic that a file of a declared precision gets.

    ONNX Runtime does not tell; its profiler shows that on x86 every float16 layer is run in float32 between casts.
    """
    if provider == "cpu" and declared.startswith(("fp16", "float16")) and platform.machine() in ("x86_64", "AMD64"):
        return "float32 (ONNX Runtime has no float16 arithmetic on this processor)"
    return declared


def probe(provider: ProviderName) -> str:
    """What a GPU provider would use; loads nothing.

    Raises:
        BackendError: It is not installed, or there is no GPU.
    """
    _check_installed(provider)
    return f"ONNX Runtime {onnxruntime.__version__}, {CudaRuntime().device_name()}"


def _check_installed(provider: ProviderName) -> None:
    available = onnxruntime.get_available_providers()
    if _PROVIDERS[provider] not in available:
        raise BackendError(
            f"backend 'onnxruntime': provider '{provider}' is not in this ONNX Runtime (it has "
            f"{', '.join(available)}): {_INSTALL}"
        )


def _open(path: Path, config: RuntimeConfig, *, takes_turns: bool) -> tuple[onnxruntime.InferenceSession, str]:
    """A session, and where its engines came from, if it has some."""
    options = _options(config, takes_turns)
    if config.provider == "tensorrt":
        return _tensorrt_session(path, config, options)
    return _session(path, config.provider, options, [_PROVIDERS[config.provider]]), ""


def _options(config: RuntimeConfig, takes_turns: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _LOG_FATAL
    if takes_turns:  # the threads of the session that waits must not spin on the other's cores
        options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _session(
    path: Path, provider: ProviderName, options: onnxruntime.SessionOptions, providers: list[Any]
) -> onnxruntime.InferenceSession:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a provider is missing: said below, as an error
            # No fallback: else a provider that fails, now or in a later run, is left out with a line on stdout.
            session = onnxruntime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors share no other base
        if provider != "cpu":
            read_metadata(path)  # a damaged file is not the provider's fault
            raise BackendError(f"backend 'onnxruntime': provider '{provider}': {first_line(error)}") from None
        raise ModelError(f"{path}: ONNX Runtime cannot load it, is the file complete? ({first_line(error)})") from None
    if _PROVIDERS[provider] not in session.get_providers():
        raise BackendError(
            f"backend 'onnxruntime': provider '{provider}' does not start (the session has "
            f"{', '.join(session.get_providers())}); are the GPU's driver, CUDA and cuDNN there, in the versions that "
            f"onnxruntime-gpu {onnxruntime.__version__} needs? `orpose doctor`"
        )
    return session


def _tensorrt_session(
    path: Path, config: RuntimeConfig, options: onnxruntime.SessionOptions
) -> tuple[onnxruntime.InferenceSession, str]:
    """A session whose engines, ONNX Runtime's own files, lie in a folder of the engine cache."""
    folder = EngineCache(config.engine_cache).path(_engine_key(path))
    cache = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(folder), "trt_fp16_enable": False}
    providers = [(_PROVIDERS["tensorrt"], cache), _PROVIDERS["cuda"]]
    with exclusive(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # ONNX Runtime would not start
            _log.warning("%s: cannot be made (%s); the next start builds its engines again", folder, error.strerror)
            cache["trt_engine_cache_enable"] = False
            return _session(path, "tensorrt", options, providers), f"built, not stored ({error.strerror})"
        found = any(folder.iterdir())
        try:
            session = _session(path, "tensorrt", options, providers)
            return session, f"{'loaded from' if found else 'built into'} {folder}"
        except BackendError:
            if not found:
                raise
            shutil.rmtree(folder, ignore_errors=True)  # an engine may be damaged
            return _session(path, "tensorrt", options, providers), f"built anew into {folder}"


def _engine_key(path: Path) -> EngineKey:
    info = ModelInfo.from_metadata(read_metadata(path), path)
    width, height = info.input_size
    build = hashlib.sha256(onnxruntime.get_build_info().encode()).hexdigest()[:8]  # of which TensorRT it was built with
    return EngineKey(
        "onnxruntime-tensorrt",
        f"{onnxruntime.__version__} {build}",
        CudaRuntime().device(),
        file_sha256(path),
        info.precision,
        (info.batch, height, width, 3),
    )
