"""YOLO's pre- and post-processing, which count, by hand; and a graph of its form in a process."""

from __future__ import annotations

import json

import numpy as np
import pytest

from orpose.bench_peers import yolo_input, yolo_models, yolo_people, yolo_step
from orpose.main import main
from orpose_models.errors import BackendError


def test_input_is_letterboxed_rgb():
    frame = np.zeros((4, 8, 3), np.uint8)
    frame[..., 0], frame[..., 2] = 255, 51  # blue, red
    image = yolo_input(frame, (8, 8))
    assert image.shape == (1, 3, 8, 8)
    assert np.allclose(image[0, :, 2:6, :], np.array([0.2, 0, 1])[:, None, None])
    assert np.allclose(image[0, :, :2], 114 / 255)
    assert np.allclose(image[0, :, 6:], 114 / 255)


def test_people_are_the_best_of_overlapping_boxes():
    rows = np.zeros((56, 4), np.float32)
    rows[:5] = np.array(
        [[50, 50, 20, 40, 0.8], [51, 50, 20, 40, 0.9], [150, 50, 20, 40, 0.5], [50, 150, 20, 40, 0.2]]
    ).T
    rows[5] = np.arange(4)
    people = yolo_people(rows)
    assert people.shape == (2, 56)
    assert people[:, 5].tolist() == [1, 2]
    assert len(yolo_people(np.zeros((56, 10), np.float32))) == 0


@pytest.fixture
def yolo_like(tmp_path):
    """`(1, 3, 64, 96)` -> `(1, 56, 10)`, all 0."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    rows = onnx.numpy_helper.from_array(np.zeros((1, 56, 10), np.float32), "rows")
    nodes = [
        helper.make_node("ReduceMin", ["images"], ["least"], keepdims=0),
        helper.make_node("Mul", ["rows", "least"], ["output0"]),
    ]
    inputs = [helper.make_tensor_value_info("images", kind, [1, 3, 64, 96])]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("output0", kind, [1, 56, 10])], [rows])
    path = tmp_path / "yolo_like.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_a_given_graph_takes_turns(fake_model, yolo_like, tmp_path, capsys):
    out = tmp_path / "bench.json"
    words = ["--frames", "2", "--warmup", "0", "--rounds", "1", "--size", "96x64", "--json", str(out)]
    assert main(["bench", "--model", str(fake_model), *words, "--yolo-onnx", str(yolo_like)]) == 0
    ours, yolo = json.loads(out.read_text())["contestants"]
    assert (yolo["name"], yolo["input_size"], yolo["is_peer"]) == ("yolo_like", [96, 64], True)
    assert list(yolo["stages_ms"]) == ["preprocess", "infer", "post", "total"]
    assert not ours["is_peer"]
    assert "letterbox, scaling and decoding with NMS are counted" in capsys.readouterr().out


def test_another_graph_is_refused(fake_model):
    with pytest.raises(BackendError, match="no YOLO pose graph of one class"):
        yolo_step(np.zeros((48, 64, 3), np.uint8), 1, fake_model)


def test_exported_ones_are_kept(tmp_path):
    for name in ("yolo11n-pose", "yolo11s-pose"):
        for size in ("640x640", "320x256"):
            (tmp_path / f"{name}_{size}.onnx").touch()
    found = yolo_models([], (320, 240), tmp_path)
    assert [name for name, _ in found] == [
        "yolo11n-pose_640x640",
        "yolo11n-pose_320x256",
        "yolo11s-pose_640x640",
        "yolo11s-pose_320x256",
    ]
