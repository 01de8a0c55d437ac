"""`orpose bench`: figures by hand, processes for real, peers at a small size."""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from orpose.bench import _cost, _figures, all_ratios, ratios
from orpose.bench_config import BenchConfig
from orpose.bench_contestants import all_contestants
from orpose.bench_peers import torchvision_step
from orpose.bench_table import shortened, table
from orpose.bench_worker import Contestant, Worker
from orpose.main import main
from orpose_models.errors import BackendError, ConfigError, ModelError
from orpose_models.machine import describe_machine, machine_line, peak_memory_mib
from orpose_models.runtime import RuntimeConfig


def test_figures_by_hand():
    rounds = [[{"infer": 1.0, "total": 2.0}, {"infer": 3.0, "total": 4.0}], [{"infer": 5.0, "total": 6.0}]]
    figures = _figures(rounds)
    assert figures["frames"] == 3
    assert figures["stages_ms"]["infer"]["median"] == 3
    assert figures["stages_ms"]["total"]["p95"] == pytest.approx(5.8)
    assert figures["rounds_median_ms"] == [3, 6]
    assert figures["frames_per_second"] == pytest.approx(250)  # 3 frames in 12 ms
    assert _figures(rounds, batch=4)["frames_per_second"] == pytest.approx(1000)
    peer = _figures([[{"total": 30.0}], [{"total": 120.0}]])
    assert ratios(peer, figures) == {"median": 75 / 4, "rounds": [10, 20]}


def item(name: str, ms: float, **facts) -> dict:
    return {
        **_figures([[{"infer": ms, "total": ms}]]),
        "name": name,
        "input_size": [640, 480],
        "frame_size": [640, 480],
        "batch": 1,
        "persons": 8,
        "is_peer": False,
        "is_torchvision": False,
        "model": None,
        "peak_memory_mib": 201.4,
        "watts": None,
        **facts,
    }


def test_ratios_are_of_the_same_frames():
    peer = item("yolo", 30, is_peer=True)
    items = [item("lite", 20), item("small", 5, frame_size=[320, 240]), item("four", 60, batch=4), peer]
    (found,) = all_ratios(items)
    assert (found["peer"], found["ours"], found["median"]) == ("yolo", "lite", 1.5)


def test_table_fits_in_100_columns_and_says_everything():
    ours = item("a_very_long_name_of_a_model_file_of_mine, onnxruntime", 20, watts=12.34)
    memory = {"allocated": 1234.5, "reserved": 2000.0}
    graphs = item("lite, torch cuda compile-graphs fp16", 1.5, batch=8, gpu_memory_mib=memory)
    items = [ours, graphs, item("yolo11n-pose_640x640", 30, is_peer=True, persons=0)]
    entry = {"gflop": 5.4, "mbytes": 60.0, "bound_ms": 12.5, "bound_by": "arithmetic", "share": 0.625}
    report = {
        "machine": {**describe_machine(), "packages": {"numpy": "2.0"}},
        "gpus": ["NVIDIA H100 80GB HBM3, CUDA 13.0, cuDNN 91900"],
        "settings": BenchConfig().model_dump(mode="json"),
        "power": "RAPL",
        "contestants": items,
        "ratios": all_ratios(items),
        "notes": ["a note"],
        "roofline": {
            "ceilings": {
                "cpu": {"gflops_per_s": 431.0, "half_gflops_per_s": None, "gbytes_per_s": 38.0},
                "cuda": {"gflops_per_s": 51000.0, "half_gflops_per_s": 790000.0, "gbytes_per_s": 3900.0},
            },
            "models": [{"name": f"{each['name']} 640x480 b{each['batch']}", **entry} for each in (ours, graphs)],
        },
        "left_out": ["torchvision: not installed; pip install 'orpose[train]'"],
    }
    text = table(report)
    assert max(len(line) for line in text.splitlines()[2:]) <= 100  # the machine's own line is as long as it is
    row = next(line for line in text.splitlines() if line.startswith("a_very"))
    assert row.split()[-9:] == ["640x480", "1", "8", "20.00", "20.00", "20.00", "50.0", "201", "12.3"]
    row, stages, bound = (line for line in text.splitlines() if "lite, torch cuda compile-graphs fp16" in line)
    assert row.split()[5:8] == ["640x480", "8", "8"]
    assert stages.endswith("  1.50          -    1234")
    assert bound.startswith("  lite, torch cuda compile-graphs fp16 640x480 b8")
    assert "GPU: NVIDIA H100 80GB HBM3" in text
    assert "roofline, cuda: measured 51000 GFLOP/s, 790000 in float16 (matrix product), 3900.0 GB/s" in text
    assert "yolo11n-pose_640x640 takes 1.50 times as long as" in text
    assert "5.4 GFLOP   60 MB,  12.50 ms (arithmetic), 62%" in text
    assert "left out: torchvision: not installed" in text


def test_shortened():
    assert shortened("abc", 3) == "abc"
    assert shortened("abcdefgh", 5) == "ab…gh"


def test_machine_is_named():
    machine = describe_machine()
    assert machine["processor"] and machine["cores"] >= 1 and machine["memory_gib"] > 0
    assert machine["packages"]["numpy"]
    assert machine["processor"] in machine_line(machine)
    assert peak_memory_mib() > 10


def test_measures_and_writes_json_and_a_plot(fake_model, tmp_path, capsys):
    backends = ["onnxruntime"] + (["openvino"] if importlib.util.find_spec("openvino") else [])
    words = ["--backends", ",".join(backends), "--frames", "7", "--warmup", "1", "--rounds", "3", "--size", "320x240"]
    outputs = {"json": tmp_path / "bench.json"}
    if importlib.util.find_spec("matplotlib"):
        outputs["plot"] = tmp_path / "bench.png"
    words += [word for name, path in outputs.items() for word in (f"--{name}", str(path))]
    assert main(["bench", "--model", str(fake_model), "--threads", "1", *words]) == 0
    report = json.loads(outputs["json"].read_text())
    assert [item["name"] for item in report["contestants"]] == [f"fake, {name}" for name in backends]
    for item in report["contestants"]:
        assert item["frames"] == 7
        assert list(item["stages_ms"]) == ["decode", "preprocess", "infer", "post", "total"]
        assert len(item["rounds_median_ms"]) == 3
        assert item["peak_memory_mib"] > 10
        assert item["model_id"] == "fake@00000000"
    assert report["settings"]["size"] == [320, 240]
    out = capsys.readouterr().out
    assert report["machine"]["processor"] in out
    assert "images/s" in out
    assert all(path.stat().st_size > 1000 for path in outputs.values())


def test_a_models_own_batch_is_measured(make_fake_model, tmp_path, capsys):
    out = tmp_path / "bench.json"
    words = ["--frames", "3", "--warmup", "0", "--rounds", "1", "--size", "96x64", "--threads", "1", "--json", str(out)]
    assert main(["bench", "--model", str(make_fake_model((96, 64), batch=4)), *words]) == 0
    (item,) = json.loads(out.read_text())["contestants"]
    assert (item["batch"], list(item["stages_ms"])) == (4, ["infer", "total"])
    assert item["frames_per_second"] > 2 * 1e3 / item["stages_ms"]["total"]["p99"]


def test_a_second_graph_left_by_an_older_export_costs_nothing(fake_model, tmp_path):
    pytest.importorskip("onnx")
    from orpose.bench_roofline import count_file

    path = shutil.copy(fake_model, tmp_path / "a.onnx")
    (tmp_path / "a.poses.onnx").write_bytes(b"of another export")
    item = {"model": str(path), "settings": {"backend": "onnxruntime"}, "persons": 3}
    assert _cost(item) == count_file(path)


def test_peer_takes_turns(fake_model, tmp_path, capsys):
    pytest.importorskip("torchvision")
    words = ["--frames", "4", "--warmup", "1", "--rounds", "2", "--size", "96x64", "--peer", "--peer-frames", "2"]
    path = tmp_path / "bench.json"
    assert main(["bench", "--model", str(fake_model), *words, "--peer-warmup", "0", "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    ours, peer = report["contestants"]
    assert peer["persons"] == 8  # really processed
    (ratio,) = report["ratios"]
    assert len(ratio["rounds"]) == 2
    assert ratio["median"] == pytest.approx(peer["stages_ms"]["total"]["median"] / ours["stages_ms"]["total"]["median"])
    assert "torchvision keypointrcnn_resnet50_fpn takes" in capsys.readouterr().out


def test_presets_are_exported_and_measured_in_batches_and_parts(tmp_path, monkeypatch, capsys):
    """With random weights, kept for the next run. The graph of poses is run for 3 people, which takes 4 slots."""
    pytest.importorskip("onnxscript")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out = tmp_path / "bench.json"
    words = ["--presets", "lite", "--sizes", "96x64", "--batches", "2", "--buckets", "--persons", "3", "--roofline"]
    words += ["--frames", "2", "--warmup", "0", "--rounds", "1", "--json", str(out)]
    assert main(["bench", *words]) == 0
    report = json.loads(out.read_text())
    two, parts = report["contestants"]
    assert (two["name"], two["batch"], two["persons"], two["input_size"]) == ("lite, onnxruntime", 2, 8, [96, 64])
    assert (parts["name"], parts["batch"], parts["persons"]) == ("lite, onnxruntime, two graphs", 1, 4)
    whole, divided = report["roofline"]["models"]
    assert 2 * divided["gflop"] < whole["gflop"] < 4 * divided["gflop"]  # 2 images with 8 slots, and one with 4
    assert len(list(tmp_path.rglob("lite_96x64_*.onnx"))) == 3
    assert "people in view are put in by force" in capsys.readouterr().out


def test_fp16_graphs_run_in_float32_on_this_processor_and_say_so(make_fake_model, tmp_path, monkeypatch, capsys):
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("another processor may have float16 arithmetic")
    pytest.importorskip("torch")
    from orpose_models.export.config import ExportConfig

    graph, asked = make_fake_model((96, 64), batch=2, precision="float16, boxes in float32"), []

    def export(_, path: Path, config: ExportConfig, __) -> None:
        asked.append(config)
        shutil.copy(graph, path)  # what is said is about the file's own words

    monkeypatch.setattr("orpose_models.export.formats.export_model", export)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out = tmp_path / "bench.json"
    words = ["--presets", "lite", "--sizes", "96x64", "--batches", "2", "--precisions", "fp16"]
    assert main(["bench", *words, "--frames", "2", "--warmup", "0", "--rounds", "1", "--json", str(out)]) == 0
    assert asked == [ExportConfig(size=(96, 64), batch=2, precision="fp16")]
    report = json.loads(out.read_text())
    (item,) = report["contestants"]
    assert (item["name"], item["batch"], item["file_precision"]) == ("lite, onnxruntime fp16", 2, "fp16")
    assert item["precision"] == "float32 (ONNX Runtime has no float16 arithmetic on this processor)"
    printed = capsys.readouterr().out
    assert "lite, onnxruntime fp16, batch 2: computes in float32 (ONNX Runtime has no float16" in printed


@pytest.fixture
def no_export(monkeypatch):
    """Contestants of presets, whose files are not made."""
    monkeypatch.setattr("orpose.bench_models.random_model", lambda preset, suffix, *_, **__: Path(f"{preset}{suffix}"))


def contestants(**options) -> tuple[list[Contestant], list[str]]:
    groups, left_out = all_contestants(BenchConfig(presets="r50", **options), argparse.Namespace())
    return [contestant for group in groups for contestant in group], left_out


def test_every_provider_precision_and_batch_is_a_contestant(no_export):
    found, left_out = contestants(
        backends="onnxruntime,tensorrt", providers="cpu,cuda,tensorrt", precisions="fp32,fp16", batches="1,8"
    )
    assert [contestant.name for contestant in found if contestant.batch == 8] == [
        "r50, onnxruntime",
        "r50, onnxruntime cuda",
        "r50, onnxruntime tensorrt",
        "r50, onnxruntime fp16",
        "r50, onnxruntime cuda fp16",
        "r50, onnxruntime tensorrt fp16",
        "r50, tensorrt",
        "r50, tensorrt fp16",
    ]
    assert len(found) == 16
    assert [c.config.provider for c in found[:3]] == ["cpu", "cuda", "tensorrt"]
    assert left_out == []


def test_what_a_backend_cannot_run_is_an_error_and_left_out_on_demand(no_export):
    options = {"backends": "torch-tensorrt", "precisions": "fp32,fp16", "batches": "1,4"}
    why = "it compiles for one image a call in fp32 alone; backend tensorrt takes batches and fp16"
    with pytest.raises(ConfigError, match=rf"^r50, torch-tensorrt fp16, batch 1: {why}; --keep-going leaves"):
        contestants(**options)
    (only,), left_out = contestants(keep_going=True, **options)
    assert (only.name, only.batch) == ("r50, torch-tensorrt", 1)
    assert left_out == [
        f"r50, torch-tensorrt {precision}, batch {batch}: {why}"
        for batch, precision in ((1, "fp16"), (4, "fp32"), (4, "fp16"))
    ]
    smaller, _ = contestants(backends="torch-tensorrt,torch", sizes="320x240")
    assert [found.config.torch_size for found in smaller] == [(320, 240)] * 2


def test_absent_peers_are_left_out_by_name(fake_model, monkeypatch, capsys):
    """With --peers what is not installed is said; the run goes on."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torchvision" else find_spec(name, *a)
    )
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    words = ["--frames", "2", "--warmup", "0", "--rounds", "1", "--size", "96x64", "--peers"]
    assert main(["bench", "--model", str(fake_model), *words]) == 0
    out = capsys.readouterr().out
    assert "left out: torchvision: not installed; pip install 'orpose[train]'" in out
    assert "left out: yolo11n-pose, yolo11s-pose: YOLO needs ultralytics" in out
    assert "pip install ultralytics (AGPL)" in out


def test_missing_peer_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendError, match=r"peer needs torchvision .*pip install 'orpose\[train\]'"):
        torchvision_step(np.zeros((48, 64, 3), np.uint8), 1, 8)


def test_errors_of_the_process_reach_the_caller(tmp_path):
    config = RuntimeConfig(model=str(tmp_path / "missing.onnx"))
    worker = Worker(Contestant("ours", (64, 48), 1, config))
    with worker, pytest.raises(ModelError, match="no such model file"):
        worker.load()


def test_a_process_that_dies_is_named(fake_model):
    with Worker(Contestant("ours", (64, 48), 1, RuntimeConfig(model=str(fake_model)))) as worker:
        worker.load()
        worker._process.kill()
        with pytest.raises(BackendError, match="ours: its process ended with exit code -9"):
            worker.run(1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--backends", "onnxruntime,tpu"], "backend: got 'tpu'"),
        (["--size", "big"], "expected WIDTHxHEIGHT"),
        (["--model", "nothing"], "no such shipped model"),
        (["--json", "/nowhere/x.json"], "its folder does not exist"),
        (["--batches", "4"], "are for --presets"),
        (["--precisions", "fp16"], "are for --presets"),
        (["--presets", "lite", "--precisions", "bf16"], "--precisions: got 'bf16', expected fp32 or fp16"),
        (["--providers", "tpu"], "provider: got 'tpu'"),
        (["--backends", "openvino", "--providers", "cuda"], "--providers cuda: for backend onnxruntime"),
        (["--presets", "lite", "--batches", "0"], "--batches: got '0'"),
        (["--presets", "lite", "--sizes", "small"], "--sizes: got 'small'"),
        (["--presets", "huge"], "preset: got 'huge'"),
        (["--yolo-onnx", "missing.onnx"], "--yolo-onnx missing.onnx: no such file"),
        (["--presets", "lite", "--model", "a.onnx"], "--model a.onnx: --presets are measured in its place"),
        (["--torch-modes", "compile"], "--torch-modes: is for backend torch; got --backends onnxruntime"),
        (["--torch-devices", "cuda"], "--torch-devices: is for backend torch"),
        (["--presets", "lite", "--backends", "tensorrt", "--buckets"], "--buckets: is for backends onnxruntime and"),
        (["--presets", "lite", "--backends", "torch", "--precisions", "fp16"], "--precisions: is for exported"),
        (["--backends", "openvino", "--model", "a.xml", "--roofline"], "--roofline: counts .onnx and .safetensors"),
    ],
)
def test_bad_options_are_one_line(words, expected, capsys):
    if "--presets" in words:
        pytest.importorskip("torch")
    assert main(["bench", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert expected in captured.err


def test_a_plot_that_nothing_can_write_is_noticed_before_the_work(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["bench", "--plot", str(tmp_path / "bench.foo")]) == 2
    assert "bench.foo: --plot cannot be of this kind" in capsys.readouterr().err
