"""`orpose bench` with backend torch: its variants, batches and costs. What needs a GPU is asked for in vain."""

from __future__ import annotations

import argparse
import json

import pytest

from orpose.bench_config import BenchConfig
from orpose.bench_contestants import all_contestants
from orpose.main import main
from orpose_models.errors import ConfigError
from orpose_models.runtime.config import RuntimeConfig

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def contestants(expected_left_out=(), **options):
    groups, left_out = all_contestants(BenchConfig(presets="lite", backends="torch", **options), argparse.Namespace())
    assert left_out == list(expected_left_out)
    return [contestant for group in groups for contestant in group]


def test_every_mode_precision_and_batch_is_a_contestant():
    found = contestants(
        torch_devices="cuda", torch_modes="eager,cudagraphs", torch_precisions="fp32,fp16", batches="1,8", peer=True
    )
    *ours, peer = found
    assert [contestant.name for contestant in ours[:4]] == [
        "lite, torch cuda eager fp32",
        "lite, torch cuda eager fp16",
        "lite, torch cuda cudagraphs fp32",
        "lite, torch cuda cudagraphs fp16",
    ]
    assert [(c.batch, c.config.torch_batch) for c in ours] == [(1, 1)] * 4 + [(8, 8)] * 4
    assert len({c.config for c in ours}) == 8
    assert (peer.name, peer.device) == ("torchvision keypointrcnn_resnet50_fpn cuda", "cuda")
    assert all(contestant.is_on_gpu for contestant in found)


def test_the_processor_beside_a_gpu_takes_part_in_what_it_has():
    left_out = [
        f"torch cpu {which}: only a GPU runs this" for which in ("eager fp16", "cudagraphs fp32", "cudagraphs fp16")
    ]
    options = {"torch_modes": "eager,cudagraphs", "torch_precisions": "fp32,fp16"}
    found = contestants(left_out, torch_devices="cpu,cuda", **options)
    assert [c.name for c in found if not c.is_on_gpu] == ["lite, torch cpu eager fp32"]
    assert len(found) == 5


@pytest.mark.parametrize("options", [{"torch_modes": "compile-graphs"}, {"torch_precisions": "fp16"}])
def test_what_only_a_gpu_has_is_refused_on_the_processor(options):
    with pytest.raises(ConfigError, match="needs torch_device cuda"):
        contestants(**options)


def test_batches_of_backend_torch_are_measured_and_compared_with_the_ceilings(tmp_path, capsys):
    pytest.importorskip("onnx")
    out = tmp_path / "bench.json"
    words = ["--presets", "lite", "--backends", "torch", "--batches", "1,2", "--roofline", "--json", str(out)]
    words += ["--sizes", "96x64"]
    assert main(["bench", *words, "--frames", "2", "--warmup", "0", "--rounds", "1", "--peer-frames", "1"]) == 0
    report = json.loads(out.read_text())
    one, two = report["contestants"]
    assert [one["batch"], two["batch"]] == [1, 2]
    assert one["input_size"] == two["input_size"] == [96, 64]
    assert (one["device"], one["gpu_memory_mib"], report["gpus"]) == ("cpu", None, [])
    costs = [entry["gflop"] for entry in report["roofline"]["models"]]
    assert costs[1] == pytest.approx(2 * costs[0], rel=0.01)
    assert list(report["roofline"]["ceilings"]) == ["cpu"]
    assert "lite, torch cpu eager fp32" in capsys.readouterr().out


def test_torch_tensorrts_cost_is_that_of_torchs_network(tmp_path):
    from orpose.bench import _cost
    from orpose.bench_gpu import count_torch
    from orpose_models.network import build_student, save_weights

    save_weights(build_student("lite"), tmp_path / "a.safetensors", input_size=(96, 64))
    model = str(tmp_path / "a.safetensors")
    settings = RuntimeConfig(model=model, backend="torch-tensorrt").model_dump(mode="json")
    found = _cost({"model": model, "settings": settings, "persons": 8})
    assert found == count_torch(RuntimeConfig(model=model, backend="torch"))


def test_a_gpu_that_is_not_there_is_one_line(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["bench", "--presets", "lite", "--backends", "torch", "--torch-devices", "cuda"]) == 2
    assert "sees no CUDA GPU" in capsys.readouterr().err
    assert main(["bench", "--peer", "--torch-devices", "cuda", "--size", "96x64", "--frames", "1"]) == 2
    assert "the peer's device is cuda" in capsys.readouterr().err
    words = ["bench", "--presets", "lite", "--backends", "torch", "--torch-devices", "cuda", "--roofline"]
    assert main(words) == 2
    assert "--roofline: torch" in capsys.readouterr().err


def test_what_does_not_start_is_left_out_on_demand(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    words = ["--presets", "lite", "--backends", "torch", "--torch-devices", "cpu,cuda", "--keep-going"]
    assert main(["bench", *words, "--frames", "1", "--warmup", "0", "--rounds", "1"]) == 0
    out = capsys.readouterr().out
    assert out.count("lite, torch cpu eager fp32") == 2  # table and stages
    assert "left out: lite, torch cuda eager fp32, batch 1: backend 'torch': torch" in out


def test_cost_is_that_of_the_exported_graph(tmp_path):
    """The same layers, counted in torch and in ONNX."""
    pytest.importorskip("onnxscript")
    from orpose.bench_gpu import count_torch
    from orpose.bench_models import random_model
    from orpose.bench_roofline import count_file

    def config(**options) -> RuntimeConfig:
        model = str(random_model("lite", ".safetensors", (640, 480)))
        return RuntimeConfig(model=model, backend="torch", **options)

    exported = count_file(random_model("lite", ".onnx", (640, 480)))
    single = count_torch(config())
    assert single.flops == pytest.approx(exported.flops, rel=0.02)
    assert single.weight_bytes == pytest.approx(exported.weight_bytes, rel=0.02)
    assert single.activation_bytes == pytest.approx(exported.activation_bytes, rel=0.1)
    assert single.half_flops == 0
    half = count_torch(config(torch_device="cuda", torch_precision="fp16"))
    assert half.flops == single.flops
    assert half.half_flops > 0.9 * half.flops
    assert half.total_bytes == pytest.approx(single.total_bytes / 2, rel=0.15)


def test_ceilings_are_measured():
    """On the processor, with small matrices."""
    from orpose.bench_gpu import _measure_ceilings

    found = _measure_ceilings("cpu", side=64, copy_bytes=1 << 20)
    assert found.flops_per_s > 1e6
    assert found.bytes_per_s > 1e6
    assert found.half_flops_per_s is not None
