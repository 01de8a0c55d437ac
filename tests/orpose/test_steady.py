"""`python -m orpose.steady` finds a leak, and reports what it ran."""

from __future__ import annotations

import json
import mmap

from orpose import steady
from orpose_models.runtime import PoseEstimator, RuntimeConfig

SHORT = steady.SteadyConfig(frames=100, warmup=3, size="64x48")


def test_report(fake_model, capsys):
    arguments = ["--model", str(fake_model), "--threads", "1", "--frames", "100", "--warmup", "3", "--size", "64x48"]
    assert steady.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["backend"], report["model"], report["precision"]) == ("onnxruntime", "fake@00000000", "fp32")
    assert report["frames"] == 100
    assert 0 < report["import_and_load_s"] < 100
    assert report["memory_largest_mib"] >= report["memory_after_warmup_mib"] > 10


def test_a_leak_shows(fake_model, monkeypatch):
    kept = []
    estimate = PoseEstimator.estimate

    def leaking(self, image):
        kept.append(mmap.mmap(-1, 2**21))  # past the heap, which may have room from before
        kept[-1].write(bytes(2**21))
        return estimate(self, image)

    monkeypatch.setattr(PoseEstimator, "estimate", leaking)
    report = steady.run(RuntimeConfig(model=str(fake_model), threads=1), SHORT)
    assert report["growth_mib"] > 150
    assert report["slope_mib_per_1000_frames"] > 1500


def test_a_user_error_is_one_line(capsys):
    assert steady.main(["--model", "missing.onnx"]) == 2
    assert capsys.readouterr().err == "orpose.steady: missing.onnx: no such model file\n"
