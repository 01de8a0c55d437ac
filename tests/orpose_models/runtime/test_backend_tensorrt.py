"""The TensorRT backend with stand-ins for what needs a GPU: libcudart (in C) and TensorRT's runtime.

The stand-in engine runs the graph in ONNX Runtime on the "GPU's" memory, so wrong addresses, shapes, types or a
forgotten wait give wrong results.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.machinery
import json
import math
import sys
import types
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from orpose_models.errors import BackendError, ModelError
from orpose_models.files import file_sha256
from orpose_models.runtime import PoseEstimator, RuntimeConfig, backend_tensorrt, cuda_runtime
from orpose_models.runtime.engine_cache import Engine

_DTYPES = {"tensor(float)": ("FLOAT", ctypes.c_float), "tensor(int32)": ("INT32", ctypes.c_int32)}
_DTYPES |= {"tensor(uint8)": ("UINT8", ctypes.c_uint8)}


class FakeEngine:
    """ICudaEngine and its IExecutionContext in one."""

    def __init__(self, graph: bytes, calls: list[str]) -> None:
        self._session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self._nodes = [*self._session.get_inputs(), *self._session.get_outputs()]
        self._addresses: dict[str, int] = {}
        self.calls = calls
        self.num_io_tensors = len(self._nodes)
        self.runs = True

    def get_tensor_name(self, index: int) -> str:
        return self._nodes[index].name

    def get_tensor_mode(self, name: str) -> Any:
        return SimpleNamespace(name="INPUT" if name == self._nodes[0].name else "OUTPUT")

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=_DTYPES[self._node(name).type][0])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._node(name).shape)

    def create_execution_context(self) -> FakeEngine:
        return self

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.calls.append(f"address of {name}")
        self._addresses[name] = address
        return any(node.name == name for node in self._nodes)

    def execute_async_v3(self, stream_handle: int) -> bool:
        self.calls.append(f"execute, {len(self._addresses)} addresses, stream {stream_handle != 0}")
        if self.runs:
            image, *outputs = self._nodes
            values = self._session.run(None, {image.name: self._memory(image)})
            for node, value in zip(outputs, values, strict=True):
                self._memory(node)[...] = value
        return self.runs

    def _node(self, name: str) -> Any:
        return next(node for node in self._nodes if node.name == name)

    def _memory(self, node: Any) -> np.ndarray:
        buffer = (_DTYPES[node.type][1] * math.prod(node.shape)).from_address(self._addresses[node.name])
        return np.ctypeslib.as_array(buffer).reshape(node.shape)


class FakeTensorRt(types.ModuleType):
    """The module `tensorrt`, as far as loading an engine goes."""

    def __init__(self) -> None:
        super().__init__("tensorrt")
        self.__version__ = "10.3.0"
        self.refused = b""
        self.calls: list[str] = []
        self.engines: list[FakeEngine] = []
        self.ILogger = type("ILogger", (), {})
        self.Runtime = lambda log: SimpleNamespace(deserialize_cuda_engine=lambda plan: self._deserialize(plan, log))

    def _deserialize(self, plan: bytes, log: Any) -> FakeEngine | None:
        if plan == self.refused:
            log.log(1, "Serialization assertion failed.\nVersion tag does not match.")
            return None
        self.engines.append(FakeEngine(plan, self.calls))
        return self.engines[-1]


@pytest.fixture
def trt(monkeypatch, fake_cudart) -> FakeTensorRt:
    module = FakeTensorRt()
    module.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)  # torch looks at it
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr(cuda_runtime, "_open_library", lambda: fake_cudart)

    def build(trt: Any, path: Any) -> Engine:
        module.calls.append("build")
        return Engine(path.read_bytes(), "fp16")

    monkeypatch.setattr(backend_tensorrt, "build_engine", build)
    return module


@pytest.fixture
def config(fake_model, tmp_path) -> RuntimeConfig:
    return RuntimeConfig(backend="tensorrt", model=str(fake_model), engine_cache=str(tmp_path / "engines"))


@pytest.fixture
def image() -> np.ndarray:
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:196, 50:82, 0] = 255
    return image


def test_results_are_those_of_onnx_runtime(trt, config, fake_model, image, fake_cudart):
    estimator = PoseEstimator(config)
    other = PoseEstimator(RuntimeConfig(model=str(fake_model)))
    for picture in (image, image[::-1].copy(), image):
        ours, theirs = estimator.estimate(picture).persons, other.estimate(picture).persons
        assert len(ours) == len(theirs) == 1
        for name in ("bbox_xywh", "keypoints", "keypoints_3d"):
            np.testing.assert_array_equal(getattr(ours[0], name), getattr(theirs[0], name))
    assert fake_cudart.fake_live() == 8  # a stream, an input, six outputs: no more with every frame
    del estimator
    gc.collect()
    assert fake_cudart.fake_live() == 0


def test_pips_bindings_alone_are_enough(trt, config, image, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # as where it is not installed
    monkeypatch.setitem(sys.modules, "tensorrt_bindings", trt)
    trt.__spec__ = SimpleNamespace()
    assert len(PoseEstimator(config).estimate(image).persons) == 1
    assert backend_tensorrt.probe().startswith("TensorRT 10.3.0")


def test_order_of_calls(trt, config, image):
    PoseEstimator(config).estimate(image)
    names = ["image", "boxes", "scores", "valid", "keypoints", "keypoints_3d", "nms_converged"]
    assert trt.calls == ["build", *(f"address of {name}" for name in names), "execute, 7 addresses, stream True"]


def test_what_is_reported(trt, config):
    estimator = PoseEstimator(config)
    assert (estimator.backend, estimator.info.precision) == ("tensorrt", "fp16")  # as built; the file says fp32
    assert estimator.info.engine.startswith("built (not built yet), stored as ")
    assert PoseEstimator(config).info.engine.startswith("loaded from ")
    assert trt.calls.count("build") == 1
    assert backend_tensorrt.probe() == "TensorRT 10.3.0, Fake GPU (compute capability 8.7)"


def test_another_gpu_version_or_model_is_built_anew(trt, config, fake_cudart, make_fake_model):
    PoseEstimator(config)
    ctypes.c_int.in_dll(fake_cudart, "major").value = 9
    PoseEstimator(config)
    (ctypes.c_char * 256).in_dll(fake_cudart, "name").value = b"Another GPU"
    PoseEstimator(config)
    trt.__version__ = "10.4.0"
    PoseEstimator(config)
    other = config.model_copy(update={"model": str(make_fake_model(model_id="other@00000000"))})
    PoseEstimator(other)
    assert trt.calls.count("build") == 5
    for again in (config, other):
        assert PoseEstimator(again).info.engine.startswith("loaded from")


def test_an_engine_that_tensorrt_refuses_is_built_anew(trt, config, fake_model, monkeypatch):
    monkeypatch.setattr(backend_tensorrt, "build_engine", lambda trt, path: Engine(b"old", "fp32"))
    trt.refused = b"old"
    with pytest.raises(BackendError, match=r"cannot load the engine it has just built.*Version tag does not match"):
        PoseEstimator(config)
    monkeypatch.setattr(backend_tensorrt, "build_engine", lambda trt, path: Engine(path.read_bytes(), "fp32"))
    assert PoseEstimator(config).info.engine.startswith("built (TensorRT refuses it (Serialization assertion failed.")


def test_an_engine_that_does_not_run(trt, config, image):
    estimator = PoseEstimator(config)
    trt.engines[0].runs = False
    with pytest.raises(BackendError, match="did not run"):
        estimator.estimate(image)


def test_no_memory_on_the_gpu(trt, config, fake_cudart):
    ctypes.c_int.in_dll(fake_cudart, "fails_with").value = 2
    with pytest.raises(BackendError, match="cudaMalloc: out of memory"):
        PoseEstimator(config)
    gc.collect()
    assert fake_cudart.fake_live() == 0
    ctypes.c_int.in_dll(fake_cudart, "fails_with").value = 0
    assert PoseEstimator(config).info.engine.startswith("loaded")


def test_no_gpu(trt, config, fake_cudart):
    ctypes.c_int.in_dll(fake_cudart, "gpus").value = 0
    with pytest.raises(BackendError, match="cudaGetDeviceCount"):
        PoseEstimator(config)


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda content: b"", lambda content: b"text" * 99])
def test_a_damaged_model(trt, config, fake_model, tmp_path, damage):
    path = tmp_path / "damaged.onnx"
    path.write_bytes(damage(fake_model.read_bytes()))
    with pytest.raises(ModelError, match=r"damaged\.onnx") as caught:
        PoseEstimator(config.model_copy(update={"model": str(path)}))
    assert "\n" not in str(caught.value)
    assert "build" not in trt.calls


def test_a_model_of_two_graphs(trt, config, make_fake_model):
    model = str(make_fake_model(parts="people, poses"))
    with pytest.raises(ModelError, match="a model of two graphs is for onnxruntime and openvino"):
        PoseEstimator(config.model_copy(update={"model": model}))


@pytest.fixture
def engine(trt, fake_model, tmp_path):
    """As `orpose export --format tensorrt` writes it here; the stand-in's serialised form is the graph."""
    path = tmp_path / "fake.engine"
    path.write_bytes(fake_model.read_bytes())
    describe(path)
    return path


def describe(path, **changes: str) -> None:
    facts = {f"orpose.{name}": value for name, value in {
        "format": "1", "preset": "lite", "model_id": "fake@00000000", "input_size": "640x480", "batch": "1",
        "max_persons": "3", "precision": "fp16", "built_by": "tensorrt 10.3.0", "gpu": "sm87 Fake GPU",
        "sha256": file_sha256(path), **changes,
    }.items()}  # fmt: skip
    path.with_name(path.name + ".json").write_text(json.dumps(facts))


def test_an_exported_engine_is_run_as_it_is(trt, engine, config, image, fake_model):
    estimator = PoseEstimator(config.model_copy(update={"model": str(engine)}))
    assert (estimator.info.precision, estimator.info.engine) == ("fp16", f"loaded from {engine}")
    expected = PoseEstimator(RuntimeConfig(model=str(fake_model))).estimate(image).persons
    np.testing.assert_array_equal(estimator.estimate(image).persons[0].keypoints, expected[0].keypoints)
    assert "build" not in trt.calls
    assert not (engine.parent / "engines").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.with_name("fake.engine.json").unlink(), r"fake\.engine\.json is not beside it"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "its sha256 is"),
        (lambda path: describe(path, gpu="sm86 Other"), "orpose.gpu is sm86 Other, expected sm87 Fake GPU: an engine"),
        (lambda path: describe(path, built_by="tensorrt 10.2.0"), "is tensorrt 10.2.0, expected tensorrt 10.3.0"),
        (lambda path: describe(path, built_by="tensorrt_rtx 1.4"), "is tensorrt_rtx 1.4, expected tensorrt 10.3.0"),
        (lambda path: describe(path, format="2"), "orpose.format is 2"),
    ],
)
def test_an_engine_that_does_not_fit_is_never_deserialised(trt, engine, config, damage, message):
    damage(engine)
    with pytest.raises(ModelError, match=message) as caught:
        PoseEstimator(config.model_copy(update={"model": str(engine)}))
    assert str(caught.value).startswith(str(engine))
    assert trt.engines == []


def test_an_exported_engine_that_tensorrt_refuses(trt, engine, config):
    trt.refused = engine.read_bytes()
    with pytest.raises(ModelError, match=r"fake\.engine: TensorRT refuses it \(Serialization .*; export it again"):
        PoseEstimator(config.model_copy(update={"model": str(engine)}))


@pytest.fixture
def exporter(trt, monkeypatch) -> Any:
    """The module that writes .engine files, with the stand-ins."""
    pytest.importorskip("torch")
    monkeypatch.delitem(sys.modules, "orpose_models.export.tensorrt_export", raising=False)
    module = importlib.import_module("orpose_models.export.tensorrt_export")
    monkeypatch.delitem(sys.modules, "orpose_models.export.tensorrt_export")
    return module


def test_the_exporter_says_that_there_is_no_gpu_before_the_work(exporter, fake_cudart, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "temporary_graph", None)  # would take long
    ctypes.c_int.in_dll(fake_cudart, "gpus").value = 0
    with pytest.raises(BackendError, match="CUDA: "):
        exporter.write(None, tmp_path / "a.engine", None, "fake@00000000")


def test_the_exporter_writes_what_the_runtime_checks(exporter, config, fake_model, tmp_path, monkeypatch):
    from contextlib import nullcontext

    from orpose_models.export.metadata import ModelMetadata

    sizes = {"input_size": "640x480", "network_size": "640x480", "batch": 1, "max_persons": 3}
    metadata = ModelMetadata(preset="lite", model_id="fake@00000000", precision="float32", **sizes)
    monkeypatch.setattr(exporter, "temporary_graph", lambda *_: nullcontext((fake_model, metadata)))
    monkeypatch.setattr(exporter, "build_engine", lambda trt, path: Engine(path.read_bytes(), "fp16"))
    exporter.write(None, tmp_path / "a.engine", None, "fake@00000000")
    assert PoseEstimator(config.model_copy(update={"model": str(tmp_path / "a.engine")})).info.precision == "fp16"


def test_a_model_of_another_size(trt, config, make_fake_model):
    model = str(make_fake_model(input_size="320x240"))
    with pytest.raises(ModelError, match="inputs"):
        PoseEstimator(config.model_copy(update={"model": model}))
