"""`orpose bench`: figures by hand, processes for real, the peer at a small size."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest

from orpose.bench import _figures, ratios
from orpose.bench_worker import Contestant, Worker, _peer_step
from orpose.main import main
from orpose_models.errors import BackendError, ModelError
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
    peer = _figures([[{"total": 30.0}], [{"total": 120.0}]])
    assert ratios(peer, figures) == {"median": 75 / 4, "rounds": [10, 20]}


def test_machine_is_named():
    machine = describe_machine()
    assert machine["processor"] and machine["cores"] >= 1 and machine["memory_gib"] > 0
    assert machine["packages"]["numpy"]
    assert machine["processor"] in machine_line(machine)
    assert peak_memory_mib() > 10


def test_measures_and_writes_json(fake_model, tmp_path, capsys):
    backends = ["onnxruntime"] + (["openvino"] if importlib.util.find_spec("openvino") else [])
    words = ["--backends", ",".join(backends), "--frames", "7", "--warmup", "1", "--rounds", "3", "--size", "320x240"]
    path = tmp_path / "bench.json"
    assert main(["bench", "--model", str(fake_model), "--threads", "1", *words, "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert [item["name"] for item in report["contestants"]] == backends
    for item in report["contestants"]:
        assert item["frames"] == 7
        assert list(item["stages_ms"]) == ["decode", "preprocess", "infer", "post", "total"]
        assert len(item["rounds_median_ms"]) == 3
        assert item["peak_memory_mib"] > 10
        assert item["model_id"] == "fake@00000000"
    assert report["settings"]["size"] == [320, 240]
    out = capsys.readouterr().out
    assert report["machine"]["processor"] in out
    assert "frames/s" in out


def test_peer_takes_turns(fake_model, tmp_path, capsys):
    pytest.importorskip("torchvision")
    words = ["--frames", "4", "--warmup", "1", "--rounds", "2", "--size", "96x64", "--peer", "--peer-frames", "2"]
    path = tmp_path / "bench.json"
    assert main(["bench", "--model", str(fake_model), *words, "--peer-warmup", "0", "--json", str(path)]) == 0
    ours, peer = json.loads(path.read_text())["contestants"]
    assert peer["persons"] == 8  # really processed
    assert len(ours["ratio_to_peer"]["rounds"]) == 2
    assert ours["ratio_to_peer"]["median"] == pytest.approx(
        peer["stages_ms"]["total"]["median"] / ours["stages_ms"]["total"]["median"]
    )
    assert "the peer takes" in capsys.readouterr().out


def test_missing_peer_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendError, match=r"peer needs torchvision .*pip install 'orpose\[train\]'"):
        _peer_step(Contestant("peer", (64, 48), None, 1, 8))


def test_errors_of_the_process_reach_the_caller(tmp_path):
    config = RuntimeConfig(model=str(tmp_path / "missing.onnx"))
    worker = Worker(Contestant("ours", (64, 48), config, 1))
    with worker, pytest.raises(ModelError, match="no such model file"):
        worker.load()


def test_a_process_that_dies_is_named(fake_model):
    with Worker(Contestant("ours", (64, 48), RuntimeConfig(model=str(fake_model)), 1)) as worker:
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
    ],
)
def test_bad_options_are_one_line(words, expected, capsys):
    assert main(["bench", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert expected in captured.err
