"""Costs of graphs against counts by hand; power from files of the kernel's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orpose.bench_power import NOT_TOLD, PowerMeter
from orpose.bench_roofline import Ceilings, Cost, count

onnx = pytest.importorskip("onnx")
helper = onnx.helper
FLOAT = onnx.TensorProto.FLOAT


def graph(nodes, inputs: dict[str, list], weights: dict[str, list[int]], kind=np.float32):
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info("y", FLOAT, None)],
            [onnx.numpy_helper.from_array(np.zeros(shape, kind), name) for name, shape in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )


def test_convolution_by_hand():
    """8 of 4 channels, 3x3, stride 2, on 10x6 -> 5x3: 8 * 15 outputs of 36 products each."""
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])
    cost = count(graph([node], {"x": [1, 4, 6, 10]}, {"w": [8, 4, 3, 3], "b": [8]}))
    assert cost == Cost(2 * 8 * 15 * 36, (8 * 36 + 8) * 4, (4 * 60 + 8 * 15) * 4)


def test_grouped_and_transposed_convolutions_by_hand():
    depthwise = helper.make_node("Conv", ["x", "w"], ["y"], group=4)
    assert count(graph([depthwise], {"x": [2, 4, 5, 5]}, {"w": [4, 1, 3, 3]})).flops == 2 * 2 * 4 * 9 * 9
    transposed = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    assert count(graph([transposed], {"x": [1, 3, 7, 7]}, {"w": [3, 5, 4, 4]})).flops == 2 * 3 * 49 * 5 * 16


def test_matrix_products_by_hand():
    assert count(graph([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 3, 4]}, {"w": [4, 5]})).flops == 240
    gemm = helper.make_node("Gemm", ["x", "w"], ["y"], transA=1, transB=1)
    assert count(graph([gemm], {"x": [4, 3]}, {"w": [5, 4]})).flops == 2 * 3 * 5 * 4


def test_a_free_size_is_the_number_of_people():
    model = graph([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["people", 4]}, {"w": [4, 5]})
    assert count(model, people=3).flops == 2 * 3 * 4 * 5


def test_half_stored_weights_count_as_they_compute():
    nodes = [helper.make_node("Cast", ["w"], ["v"], to=FLOAT), helper.make_node("MatMul", ["x", "v"], ["y"])]
    cost = count(graph(nodes, {"x": [2, 4]}, {"w": [4, 5]}, np.float16))
    assert cost == Cost(80, 80, (8 + 10) * 4)


def test_the_tighter_ceiling_bounds():
    ceilings = Ceilings(1e9, 1e8)
    assert ceilings.bound_ms(Cost(int(2e6), 50_000, 50_000)) == (2, "arithmetic")
    assert ceilings.bound_ms(Cost(int(2e6), 250_000, 50_000)) == (3, "memory")


def test_rapl_counts_joules_and_wraps_around(tmp_path: Path, monkeypatch):
    for name, before in (("intel-rapl:0", 1_000_000), ("intel-rapl:1", 9_500_000)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "energy_uj").write_text(str(before))
        (folder / "max_energy_range_uj").write_text("10000000")
    clock = iter([10.0, 12.0])
    monkeypatch.setattr("orpose.bench_power.time.perf_counter", lambda: next(clock))
    meter = PowerMeter(rapl=tmp_path)
    meter.start()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("4000000")  # 3 J
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("500000")  # 0.5 J to the end and 0.5 J from the start
    assert meter.source == "RAPL"
    assert meter.stop() == pytest.approx(2)


def test_jetsons_sensors_are_volts_times_amperes(tmp_path: Path):
    folder = tmp_path / "hwmon3"
    folder.mkdir()
    for name, text in (("name", "ina3221\n"), ("in1_input", "19000\n"), ("curr1_input", "500\n")):
        (folder / name).write_text(text)
    meter = PowerMeter(rapl=tmp_path, hwmon=tmp_path)
    meter.start()
    assert meter.source == "INA"
    assert meter.stop() == pytest.approx(9.5)


def test_a_platform_that_tells_nothing_says_so(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("orpose.bench_power.shutil.which", lambda name: None)
    meter = PowerMeter(rapl=tmp_path, hwmon=tmp_path)
    meter.start()
    assert (meter.source, meter.stop()) == (NOT_TOLD, None)


def test_float16_has_a_ceiling_of_its_own():
    ceilings = Ceilings(1e9, 1e12, 4e9)
    assert ceilings.bound_ms(Cost(int(3e6), 1000, 1000, half_flops=int(2e6))) == (1 + 0.5, "arithmetic")
    assert (Cost(1, 2, 3, 4) + Cost(1, 1, 1, 1)) == Cost(2, 3, 4, 5)


def test_a_graphics_card_is_read_before_a_processor(tmp_path: Path, monkeypatch):
    folder = tmp_path / "intel-rapl:0"
    folder.mkdir()
    (folder / "energy_uj").write_text("1")
    monkeypatch.setattr("orpose.bench_power.shutil.which", lambda name: "/usr/bin/nvidia-smi")
    assert PowerMeter(rapl=tmp_path, of_gpu=True).source == "nvidia-smi"
    assert PowerMeter(rapl=tmp_path).source == "RAPL"


def test_a_float16_graph_is_counted_as_float16():
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "w"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=FLOAT),
    ]
    cost = count(graph(nodes, {"x": [2, 4]}, {"w": [4, 5]}, np.float16))
    assert cost == Cost(80, 40, (8 + 10) * 2, half_flops=80)
