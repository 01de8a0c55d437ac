"""`orpose convert` from the command line."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from orpose.main import main


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A torchvision network with random weights."""
    import torch
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    path = tmp_path_factory.mktemp("torchvision") / "keypointrcnn.pth"
    torch.save(keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict(), path)
    return path


def test_a_checkpoint_becomes_weights_with_a_card(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from orpose_models.files import file_sha256
    from orpose_models.network import load_student

    out = tmp_path / "new" / "coco.safetensors"
    assert main(["convert", str(checkpoint), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    lifters = "not trained: 3D joints are 0 with score 0"
    assert told == f"{out}: r50_single, 640x480, from torchvision keypointrcnn.pth; lifters {lifters}\n"
    student = load_student(out)
    assert student.preset.name == "r50_single"
    assert not student.preset.conventions.aligned_rois
    card = yaml.safe_load(out.with_suffix(".yaml").read_text())
    assert card["source"] == {"file": checkpoint.name, "sha256": file_sha256(checkpoint), "family": "torchvision"}
    assert card["sha256"] == file_sha256(out)
    assert card["conventions"] == student.preset.conventions.model_dump()
    assert "Not a medical device" in card["limitations"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["coco.safetensors", "coco.yaml"]


def test_a_shipped_graph_becomes_the_weights_that_it_was_made_of(
    exported: tuple[Path, Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from orpose_models.files import file_sha256
    from orpose_models.network import load_student
    from orpose_models.network.weights import read_input_size

    weights, made, _ = exported
    student = load_student(weights)
    graph, out = (tmp_path / name for name in ("shipped/own.onnx", "back.safetensors"))
    graph.parent.mkdir()
    shutil.copy(made, graph)
    card = {"name": "own", "data": "rendered", "exported": "twice", "licence": "Apache-2.0"}
    card |= {"sha256": file_sha256(weights), "onnx": {"sha256": file_sha256(graph), "bytes": 1}}
    graph.with_suffix(".yaml").write_text(yaml.safe_dump(card))
    monkeypatch.setattr("orpose_models.runtime.models.WEIGHTS_DIR", graph.parent)
    capsys.readouterr()
    assert main(["convert", "own", "--out", str(out)]) == 0
    model_id = f"first@{file_sha256(weights)[:8]}"
    assert capsys.readouterr().out == f"{out}: lite, 128x96, from {model_id} own.onnx; float32 / float16 weights\n"
    assert read_input_size(out) == (128, 96)
    again = load_student(out)
    assert again.preset == student.preset
    tensors = again.state_dict()
    for name, value in student.state_dict().items():
        torch.testing.assert_close(tensors[name], value, rtol=0, atol=6e-4 * float(value.abs().max()))
    card = yaml.safe_load(out.with_suffix(".yaml").read_text())
    assert (card["name"], card["data"], card["licence"]) == ("back", "rendered", "Apache-2.0")
    assert (card["sha256"], card["lifter_input"]) == (file_sha256(out), "confidence")
    assert card["input_size"] == "128x96"
    assert card["source"] == {"file": "own.onnx", "sha256": file_sha256(graph), "model_id": model_id,
                              "precision": "float32 / float16 weights"}  # fmt: skip
    assert not {"exported", "onnx"} & set(card) and "Not a medical device" in card["limitations"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lite", "--preset", "r50"], "--preset: is for other people's checkpoints; lite says all of itself"),
        (["nosuch"], "model 'nosuch': no such shipped model (as .onnx: "),
        (["gone.onnx"], "gone.onnx: no such model file"),
        (["own.onnx"], "own.onnx: exported before graphs could be read back"),
    ],
)
def test_graphs_that_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make_fake_model: Callable[..., Path],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(make_fake_model(precision="float32 / float16 weights"), "own.onnx")
    assert main(["convert", *arguments, "--out", "a.safetensors"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"orpose convert: {message}")
    assert told.count("\n") == 1
    assert not Path("a.safetensors").exists()


@pytest.mark.parametrize(
    ("card", "fits"),
    [
        ({"data": "rendered"}, True),
        ({"sha256": "0000000012"}, True),  # the weights', as the model id fake@00000000 has it
        ({"sha256": "1" * 64}, False),
        ({"sha256": "1" * 64, "onnx": {"sha256": "2" * 64}}, False),
        ({"sha256": "1" * 64, "onnx": {"sha256": "GRAPH"}}, True),
    ],
)
def test_a_card_beside_the_graph_must_be_its_own(fake_model: Path, tmp_path: Path, card: dict, fits: bool) -> None:
    from orpose.convert import _card_of
    from orpose_models.errors import ModelError
    from orpose_models.files import file_sha256
    from orpose_models.runtime.models import ModelInfo
    from orpose_models.runtime.onnx_file import read_metadata

    info, beside = ModelInfo.from_metadata(read_metadata(fake_model), fake_model), tmp_path / "fake.yaml"
    beside.write_text(yaml.safe_dump(card).replace("GRAPH", file_sha256(fake_model)))
    if fits:
        assert set(_card_of(fake_model, info, beside)) == set(card)
    else:
        with pytest.raises(ModelError, match=r"fake\.yaml: is the card of another model \(sha256 11111111; fake\.onnx"):
            _card_of(fake_model, info, beside)


def test_the_graphs_card_is_not_replaced(fake_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph, card = Path(shutil.copy(fake_model, tmp_path / "own.onnx")), tmp_path / "own.yaml"
    card.write_text("name: own\n")
    assert main(["convert", str(graph), "--out", str(tmp_path / "own.safetensors")]) == 2
    assert "own.safetensors would replace" in capsys.readouterr().err
    assert card.read_text() == "name: own\n"


class Runs:
    def __reduce__(self) -> object:
        return exec, ("raise SystemExit(7)",)


def damaged(path: Path, kind: str) -> Path:
    match kind:
        case "malicious":
            path = path.with_suffix(".pkl")
            path.write_bytes(pickle.dumps({"model": {"weight": np.ones(2), "x": Runs()}}))
        case "truncated":
            path.write_bytes(b"PK\x03\x04" + b"\0" * 100)
        case "foreign":
            path = path.with_suffix(".pkl")
            path.write_bytes(pickle.dumps({"model": {"fc.weight": np.ones(2)}}))
        case "other layers":
            path = path.with_suffix(".pkl")
            path.write_bytes(pickle.dumps({"model": {"backbone.bottom_up.stem.conv1.weight": np.ones(2, np.float32)}}))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such weight file"),
        ("malicious", "it wants builtins.exec, which is never run"),
        ("truncated", "not a readable weight file"),
        ("foreign", "1 tensors (fc.weight), none of backbone.body or backbone.bottom_up"),
        ("other layers", "missing (backbone.bottom_up.res2"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, message: str
) -> None:
    path = damaged(tmp_path / "a.pth", kind)
    assert main(["convert", str(path), "--out", str(tmp_path / "out" / "a.safetensors")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"orpose convert: {path}: ")
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["a.pth", "weights", "same.safetensors"])
def test_the_name_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str) -> None:
    source = tmp_path / "same.safetensors"
    assert main(["convert", str(source), "--out", str(tmp_path / out)]) == 2
    assert "expected another file, with a name that ends in .safetensors" in capsys.readouterr().err
