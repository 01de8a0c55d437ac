"""Bags, a small graph and a stand-in for the CUDA runtime, made by hand."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore


@pytest.fixture(scope="session")
def write_bag(tmp_path_factory) -> Callable[..., Path]:
    """Writes a bag with one bgr8 image topic per name; frame i of a topic is filled with value i, 100 ms apart."""

    def write(topics=("/camera/image_raw",), count=5, storage="mcap", shape=(4, 6), broken_step_at=()) -> Path:
        store = get_typestore(Stores.LATEST)
        image_type, header_type = store.types["sensor_msgs/msg/Image"], store.types["std_msgs/msg/Header"]
        time_type = store.types["builtin_interfaces/msg/Time"]
        path = tmp_path_factory.mktemp("bag") / "bag"
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        height, width = shape
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            for topic in topics:
                connection = writer.add_connection(topic, image_type.__msgtype__, typestore=store)
                for index in range(count):
                    stamp_ns = 10**9 + index * 10**8
                    header = header_type(
                        stamp=time_type(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id="camera"
                    )
                    step = width * 3 - (1 if index in broken_step_at else 0)
                    pixels = np.full(height * width * 3, index, np.uint8)
                    message = image_type(header, height, width, "bgr8", 0, step, pixels)
                    writer.write(connection, stamp_ns, store.serialize_cdr(message, image_type.__msgtype__))
        return path

    return write


@pytest.fixture(scope="session")
def tiny_graph(tmp_path_factory) -> Callable[..., Path]:
    """`tiny_graph("fp16")`: a 64x64 .onnx file with our interface that TensorRT takes; one matrix product, in fp16."""
    onnx = pytest.importorskip("onnx")

    def make(precision: str = "fp32", **metadata: str) -> Path:
        properties = {
            "format": "1",
            "preset": "lite",
            "model_id": "tiny@00000000",
            "input_size": "64x64",
            "max_persons": "3",
            "precision": precision,
            **metadata,
        }
        model = _tiny_model(onnx.TensorProto.FLOAT16 if precision == "fp16" else onnx.TensorProto.FLOAT)
        onnx.helper.set_model_props(model, {f"orpose.{key}": value for key, value in properties.items()})
        path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
        onnx.save(model, path)
        return path

    return make


def _tiny_model(heavy_type: int):
    """Every output is a constant times a quarter of the image's brightest value."""
    from onnx import TensorProto, helper, numpy_helper

    shapes = {"boxes": (1, 3, 4), "scores": (1, 3), "valid": (1, 3), "keypoints": (1, 3, 17, 3)}
    shapes |= {"keypoints_3d": (1, 3, 17, 4), "nms_converged": (1,)}
    node, integers = helper.make_node, ("valid", "nms_converged")
    dtype = np.float16 if heavy_type == TensorProto.FLOAT16 else np.float32
    constants = {"weights": np.full((3, 4), 1 / 12, dtype), "axes": np.array([1, 2, 3], np.int64)}
    nodes = [
        node("Cast", ["image"], ["typed"], to=heavy_type),  # TensorRT takes uint8 only into a cast
        node("MatMul", ["typed", "weights"], ["product"]),
        node("Cast", ["product"], ["floats"], to=TensorProto.FLOAT),
        node("ReduceMax", ["floats", "axes"], ["brightest"], keepdims=0),
    ]
    outputs = []
    for name, shape in shapes.items():
        constants[f"{name}_constant"] = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        is_integer = name in integers
        nodes.append(node("Mul", [f"{name}_constant", "brightest"], [f"{name}_float" if is_integer else name]))
        if is_integer:
            nodes.append(node("Cast", [f"{name}_float"], [name], to=TensorProto.INT32))
        kind = TensorProto.INT32 if is_integer else TensorProto.FLOAT
        outputs.append(helper.make_tensor_value_info(name, kind, shape))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 64, 64, 3])
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [image], outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model


#: A libcudart whose GPU is the processor. Like the real one it copies to the host only when the stream is waited for.
_FAKE_CUDART = """
#include <string.h>
#include <sys/mman.h>
static int live, waiting;
static char stream;
static struct { void *to; const void *from; size_t size; } copies[64];
int gpus = 1, major = 8, fails_with = 0;
char name[256] = "Fake GPU";
int fake_live(void) { return live; }
const char *cudaGetErrorString(int code) { return code == 2 ? "out of memory" : "no device"; }
int cudaGetDeviceCount(int *count) { *count = gpus; return gpus ? 0 : 100; }
int cudaSetDevice(int device) { return device; }
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    if (device || (attribute != 75 && attribute != 76)) return 1;
    *value = attribute == 75 ? major : 7;
    return 0;
}
int cudaGetDeviceProperties(void *properties, int device) { memcpy(properties, name, 256); return device; }
int cudaStreamCreate(void **created) { live++; *created = &stream; return 0; }
int cudaStreamDestroy(void *which) { live--; return which != &stream; }
int cudaMalloc(void **address, size_t size) {
    if (fails_with) return fails_with;
    live++;
    /* not from the heap, which may lie below 4 GiB: addresses of 64 bits are what is tested */
    size_t *whole = mmap(0, size + 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (whole == MAP_FAILED) return 2;
    *whole = size + 64;
    *address = (char *)whole + 64;
    return 0;
}
int cudaFree(void *address) { live--; return munmap((char *)address - 64, *(size_t *)((char *)address - 64)); }
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *which) {
    if (which != &stream) return 400;
    if (kind == 1) { memcpy(to, from, size); return 0; }
    if (kind != 2 || waiting == 64) return 21;
    copies[waiting].to = to, copies[waiting].from = from, copies[waiting++].size = size;
    return 0;
}
int cudaStreamSynchronize(void *which) {
    if (which != &stream) return 400;
    while (waiting) { waiting--; memcpy(copies[waiting].to, copies[waiting].from, copies[waiting].size); }
    return 0;
}
"""


@pytest.fixture
def fake_cudart(tmp_path) -> ctypes.CDLL:
    """`_FAKE_CUDART`, compiled and loaded. Its `fake_live()` counts memory and streams that were not given back."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "cudart.c", tmp_path / "libcudart.so"
    source.write_text(_FAKE_CUDART)
    subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return ctypes.CDLL(str(library))
