"""Fixtures that several parts' tests need."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ |= {"RAY_worker_niceness": "0"}  # beside other work, Ray's usual 15 leaves its workers hardly any time

# A shell's background job ignores Ctrl-C, and so would all that it starts: tests of Ctrl-C need the usual answer.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_logstart(nodeid: str) -> None:
    """For .ci/run: where a run was that ended without a report."""
    if path := os.environ.get("ORPOSE_LAST_TEST"):
        Path(path).write_text(nodeid)


def _bright_box_graph(input_size: tuple[int, int], batch: int = 1):
    """A graph with the interface of an exported network that really looks at the image.

    Person slot 0, 1, 2 = the bounding box of what is brighter than 200 in the blue, green and red channel, with scores
    0.9, 0.6 and 0.2. Joint i lies at i / 16 of the box's diagonal with score i / 16; 3D joint i is at 10 i mm on every
    axis.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    width, height = input_size
    fractions = (np.arange(17) / 16).astype(np.float32)
    scores = np.array([[0.9, 0.6, 0.2]], np.float32)
    joints_3d = np.tile(np.arange(17, dtype=np.float32)[:, None] * 10, (batch, 3, 1, 4))
    joints_3d[..., 3] = 0.5
    constants = {
        "threshold": np.array(200, np.uint8),
        "axis_1": np.array([1], np.int64),
        "axis_2": np.array([2], np.int64),
        "axis_last": np.array([-1], np.int64),
        "one": np.array(1, np.float32),
        "slot_scores": scores,
        "fractions": fractions.reshape(1, 1, 17, 1),
        "joint_scores": np.tile(fractions.reshape(1, 1, 17, 1), (batch, 3, 1, 1)),
        "joints_3d": joints_3d,
        "converged": np.ones(batch, np.int32),
        "from_0": np.array([0], np.int64),
        "from_2": np.array([2], np.int64),
        "from_4": np.array([4], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Greater", ["image", "threshold"], ["bright"]),
        node("Cast", ["bright"], ["mask"], to=TensorProto.FLOAT),
        node("ReduceMax", ["mask", "axis_1"], ["columns"], keepdims=0),  # (1, W, 3)
        node("ReduceMax", ["mask", "axis_2"], ["rows"], keepdims=0),  # (1, H, 3)
        node("ReduceMax", ["columns", "axis_1"], ["present"], keepdims=0),  # (1, 3)
        *_first_and_last("columns", "x"),
        *_first_and_last("rows", "y"),
        node("Concat", ["x1", "y1", "x2", "y2"], ["boxes"], axis=-1),  # (1, 3, 4)
        node("Mul", ["present", "slot_scores"], ["scores"]),
        node("Cast", ["present"], ["valid"], to=TensorProto.INT32),
        node("Slice", ["boxes", "from_0", "from_2", "axis_2"], ["top_left"]),
        node("Slice", ["boxes", "from_2", "from_4", "axis_2"], ["bottom_right"]),
        node("Sub", ["bottom_right", "top_left"], ["extent"]),
        node("Unsqueeze", ["extent", "axis_2"], ["extent_4d"]),
        node("Unsqueeze", ["top_left", "axis_2"], ["top_left_4d"]),
        node("Mul", ["extent_4d", "fractions"], ["offsets"]),
        node("Add", ["top_left_4d", "offsets"], ["joints_xy"]),
        node("Concat", ["joints_xy", "joint_scores"], ["keypoints"], axis=-1),
        node("Identity", ["joints_3d"], ["keypoints_3d"]),
        node("Identity", ["converged"], ["nms_converged"]),
    ]
    value = helper.make_tensor_value_info
    outputs = [
        value("boxes", TensorProto.FLOAT, [batch, 3, 4]),
        value("scores", TensorProto.FLOAT, [batch, 3]),
        value("valid", TensorProto.INT32, [batch, 3]),
        value("keypoints", TensorProto.FLOAT, [batch, 3, 17, 3]),
        value("keypoints_3d", TensorProto.FLOAT, [batch, 3, 17, 4]),
        value("nms_converged", TensorProto.INT32, [batch]),
    ]
    graph = helper.make_graph(
        nodes,
        "bright_boxes",
        [value("image", TensorProto.UINT8, [batch, height, width, 3])],
        outputs,
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model


def _first_and_last(profile: str, axis: str):
    """First bright position and one past the last: pixel edges. `(1, N, 3)` -> two of `(1, 3, 1)`."""
    from onnx import TensorProto, helper

    node = helper.make_node
    return [
        node("ArgMax", [profile], [f"{axis}_first"], axis=1, keepdims=0),
        node("ArgMax", [profile], [f"{axis}_last"], axis=1, keepdims=0, select_last_index=1),
        node("Cast", [f"{axis}_first"], [f"{axis}_first_f"], to=TensorProto.FLOAT),
        node("Cast", [f"{axis}_last"], [f"{axis}_last_f"], to=TensorProto.FLOAT),
        node("Add", [f"{axis}_last_f", "one"], [f"{axis}_end"]),
        node("Unsqueeze", [f"{axis}_first_f", "axis_last"], [f"{axis}1"]),
        node("Unsqueeze", [f"{axis}_end", "axis_last"], [f"{axis}2"]),
    ]


@pytest.fixture(scope="session")
def make_fake_model(tmp_path_factory) -> Callable[..., Path]:
    """Writes an .onnx file that finds bright boxes; keyword arguments replace or (None) remove metadata."""
    onnx = pytest.importorskip("onnx")

    def make(graph_size: tuple[int, int] = (640, 480), batch: int = 1, **metadata: str | None) -> Path:
        model = _bright_box_graph(graph_size, batch)
        values = {
            "format": "1",
            "preset": "lite",
            "model_id": "fake@00000000",
            "input_size": f"{graph_size[0]}x{graph_size[1]}",
            "max_persons": "3",
            "precision": "fp32",
            "batch": str(batch),
            **metadata,
        }
        onnx.helper.set_model_props(model, {f"orpose.{key}": text for key, text in values.items() if text is not None})
        path = tmp_path_factory.mktemp("fake") / "fake.onnx"
        onnx.save(model, path)
        return path

    return make


@pytest.fixture(scope="session")
def fake_model(make_fake_model) -> Path:
    """An .onnx file with the exported networks' interface, 640x480: persons are what is bright blue, green and red."""
    return make_fake_model()


@pytest.fixture(scope="session")
def room() -> Any:
    """Three cameras and people to put before them: stick_figures.py."""
    spec = importlib.util.spec_from_file_location("stick_figures", Path(__file__).with_name("stick_figures.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Room()
