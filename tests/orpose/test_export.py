"""`orpose export` from the command line."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest

from orpose.main import main
from orpose_models.runtime import RuntimeConfig, backends
from orpose_models.runtime.models import ModelInfo


def test_weights_become_a_graph(exported: tuple[Path, Path, str]) -> None:
    from orpose_models.files import file_sha256

    weights, graph, printed = exported
    model_id = f"first@{file_sha256(weights)[:8]}"
    assert model_id in printed
    properties = {entry.key: entry.value for entry in onnx.load(str(graph)).metadata_props}
    assert properties["orpose.model_id"] == model_id
    assert properties["orpose.input_size"] == "160x90"
    assert properties["orpose.network_size"] == "128x96", "the weights' own, for want of a --size"
    assert properties["orpose.precision"] == "float32 / float16 weights"
    assert graph.stat().st_size < 15e6
    assert [path.name for path in graph.parent.iterdir()] == ["first.onnx"]


@pytest.mark.parametrize("text", ["640", "640x", "x480", "640*480", "-640x480"])
def test_a_bad_size_is_named(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--model", "a.safetensors", "--out", "a.onnx", f"--size={text}"]) == 2
    assert "expected WIDTHxHEIGHT in px" in capsys.readouterr().err


def test_a_missing_weight_file_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "gone.safetensors"
    assert main(["export", "--model", str(missing), "--out", str(tmp_path / "a.onnx")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"orpose export: {missing}: no such weight file; give ") and error.count("\n") == 1


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from orpose_models.network import build_student, save_weights

    path = tmp_path_factory.mktemp("weights") / "lite.safetensors"
    save_weights(build_student("lite"), path)
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that the command prints when it ends with exit code 2."""
    assert main(["export", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "32x480"], "size: .*expected sides of 64 px or more"),
        (
            ["--format", "tensorrt-rtx", "--sm", "87"],
            "sm: got '87': input should be '75', '80', '86', '89', '120' or '121'",
        ),
        (["--format", "tensorrt-rtx"], "give --sm, such as --sm 86"),
        (["--format", "caffe"], "format: got 'caffe': input should be 'onnx', 'torch-export'"),
        (["--precision", "fp8"], "precision: got 'fp8': input should be 'fp32', 'fp16' or 'int8'"),
        (["--batch", "0"], "batch: got '0': input should be greater than or equal to 1"),
        (["--frame-size", "hd"], "frame_size: got 'hd': expected WIDTHxHEIGHT in px"),
        (["--activations", "signed"], "--activations is for --precision int8; got --precision fp32"),
        (["--precision", "fp16", "--max-drop", "0.1"], "--max-drop is for --precision int8; got --precision fp16"),
    ],
)
def test_bad_options(capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    assert re.search(message, refused(capsys, "--model", "a.safetensors", "--out", "a.onnx", *options))


def test_corrupt_weights(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:100_000])
    line = refused(capsys, "--model", cut, "--out", tmp_path / "a.onnx")
    assert line.startswith(f"orpose export: {cut}: not a readable safetensors file")
    assert [path.name for path in tmp_path.iterdir()] == ["cut.safetensors"]


def test_weights_of_another_preset(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    other = tmp_path / "other.safetensors"
    save_file(load_file(weights), other, metadata={"orpose.format": "1", "orpose.preset": "lite_single"})
    line = refused(capsys, "--model", other, "--out", tmp_path / "a.onnx")
    assert "weights do not fit preset 'lite_single'" in line


def test_an_out_that_cannot_be_written(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    line = refused(capsys, "--model", weights, "--out", tmp_path / "file" / "a.onnx")
    assert "a.onnx: cannot be written" in line


def test_more_slots_than_proposals(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "--model", weights, "--out", tmp_path / "a.onnx", "--max-persons", 33)
    assert line == "orpose export: max_persons: expected 1-32, got 33"


def test_a_graphs_engine_goes_into_the_cache(
    fake_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load(config: RuntimeConfig) -> SimpleNamespace:
        asked.append(config)
        info = ModelInfo("fake@00000000", "lite", (640, 480), 3, "fp16", "built (not built yet), stored as x.engine")
        return SimpleNamespace(info=info)

    monkeypatch.setattr(backends, "load_backend", load)
    arguments = ["export", "--model", str(fake_model), "--format", "tensorrt", "--engine-cache", str(tmp_path)]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "fake@00000000: fp16, built (not built yet), stored as x.engine\n"
    assert asked == [RuntimeConfig(backend="tensorrt", model=str(fake_model), engine_cache=str(tmp_path))]


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "torch", "torch_mode": "compile", "torch_size": "96x64", "threads": "2"},
        {"backend": "onnxruntime", "provider": "tensorrt"},
        {"backend": "torch-tensorrt"},
        {"backend": "tensorrt"},
    ],
    ids=lambda options: options["backend"],
)
def test_what_a_backend_builds_goes_into_the_cache(
    options: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load(config: RuntimeConfig) -> SimpleNamespace:
        asked.append(config)
        return SimpleNamespace(info=ModelInfo("a@00000000", "lite", (96, 64), 3, "fp32", "loaded from x.engine"))

    monkeypatch.setattr(backends, "load_backend", load)
    words = [word for name, value in options.items() for word in ("--" + name.replace("_", "-"), value)]
    assert main(["export", "--model", "some.model", *words]) == 0
    assert capsys.readouterr().out == "a@00000000: fp32, loaded from x.engine\n"
    assert asked == [RuntimeConfig.model_validate({"model": "some.model", **options})]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "tensorrt", "--out", "x.engine"], "--out: what is built of .* goes into --engine-cache"),
        (["--format", "tensorrt", "--precision", "fp16"], "--precision: what is built of .* is as the model is"),
        (["--precision", "int8", "--calibration", "a", "--validation", "b.json"], "--out: missing"),
        ([], "--out: missing"),
        (
            ["--backend", "onnxruntime"],
            "--backend onnxruntime: builds nothing so; tensorrt, torch-tensorrt, onnxruntime",
        ),
        (["--backend", "torch", "--torch-mode", "eager"], "--backend torch: builds nothing so"),
        (["--backend", "tensorrt", "--out", "x.engine"], "--out: what is built of .* goes into --engine-cache"),
        (["--backend", "tensorrt", "--format", "onnx"], "--format: what is built of"),
        (["--backend", "tensorrt", "--torch-mode", "compile"], "torch_mode compile is for backend torch"),
        (
            ["--threads", "2", "--out", "x.onnx"],
            "--threads: is for building only; give --backend, too, or leave it out",
        ),
    ],
)
def test_what_a_graphs_engine_cannot_be(
    options: list[str], message: str, fake_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(message, refused(capsys, "--model", fake_model, *options))
