"""`orpose export` from the command line."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from orpose.main import main


def test_weights_become_a_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from orpose_models.network import build_student, save_weights
    from orpose_models.network.weights import file_sha256

    weights, graph = tmp_path / "first.safetensors", tmp_path / "out" / "first.onnx"
    save_weights(build_student("lite"), weights)
    assert main(["export", "--model", str(weights), "--out", str(graph), "--size", "128x96"]) == 0
    model_id = f"first@{file_sha256(weights)[:8]}"
    assert model_id in capsys.readouterr().out
    properties = {entry.key: entry.value for entry in onnx.load(str(graph)).metadata_props}
    assert properties["orpose.model_id"] == model_id
    assert properties["orpose.input_size"] == "128x96"
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
    assert capsys.readouterr().err == f"orpose export: {missing}: no such weight file\n"
