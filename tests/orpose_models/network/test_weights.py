from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from orpose_models.errors import InputError, ModelError
from orpose_models.files import file_sha256
from orpose_models.network import Student, build_student, load_student, save_weights
from orpose_models.network.presets import get_preset
from orpose_models.network.weights import FORMAT_KEY, INPUT_SIZE_KEY, LIFTER_KEY, PRESET_KEY, read_input_size


@pytest.fixture(scope="module")
def student() -> Student:
    return build_student("lite")


@pytest.fixture(scope="module")
def saved(student: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "first.safetensors"
    save_weights(student, path, {"licence": "Apache-2.0"})
    return path


def test_weights_come_back(student: Student, saved: Path) -> None:
    loaded = load_student(saved)
    assert not loaded.training
    again = loaded.state_dict()
    for key, value in student.state_dict().items():
        assert torch.equal(value, again[key]), key


def test_the_card_lies_beside_and_names_the_file(saved: Path) -> None:
    card = yaml.safe_load(saved.with_suffix(".yaml").read_text())
    assert card["licence"] == "Apache-2.0"
    assert card["preset"] == "lite"
    assert card["sha256"] == file_sha256(saved)
    assert card["bytes"] == saved.stat().st_size


def test_what_the_lifters_read_is_in_the_file(tmp_path: Path) -> None:
    student = build_student(get_preset("lite").with_lifter_input("confidence"))
    save_weights(student, tmp_path / "a.safetensors")
    loaded = load_student(tmp_path / "a.safetensors")
    assert loaded.preset.lifter_input == loaded.heads.lifter_stats.kind == "confidence"
    assert torch.equal(loaded.heads.lifter_soft.w1.weight, student.heads.lifter_soft.w1.weight)


def test_files_that_do_not_say_what_the_lifters_read_are_the_papers(saved: Path, tmp_path: Path) -> None:
    """As they were written before there was a choice."""
    old = tmp_path / "old.safetensors"
    save_file(load_file(str(saved)), str(old), {FORMAT_KEY: "1", PRESET_KEY: "lite"})
    assert load_student(old).preset.lifter_input == "paper"


def test_the_input_size_is_in_the_file_and_on_the_card(tmp_path: Path, student: Student, saved: Path) -> None:
    save_weights(student, tmp_path / "a.safetensors", input_size=(320, 240))
    assert read_input_size(tmp_path / "a.safetensors") == (320, 240)
    assert yaml.safe_load((tmp_path / "a.yaml").read_text())["input_size"] == "320x240"
    assert read_input_size(saved) is None
    assert "input_size" not in yaml.safe_load(saved.with_suffix(".yaml").read_text())


@pytest.mark.parametrize("text", ["320", "0x240", "320x240x3", ""])
def test_an_input_size_that_is_none(saved: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file(load_file(str(saved)), str(path), {FORMAT_KEY: "1", PRESET_KEY: "lite", INPUT_SIZE_KEY: text})
    with pytest.raises(ModelError, match=rf"a\.safetensors: orpose\.input_size is '{text}', expected WIDTHxHEIGHT"):
        read_input_size(path)


def test_statistics_and_calibration_are_saved(tmp_path: Path) -> None:
    student = build_student("lite")
    student.set_score_calibration(torch.linspace(0, 1, 17), torch.linspace(0, 1, 17).sqrt())
    student.set_lifter_statistics(torch.ones(16, 2), torch.ones(16, 2) * 7, torch.ones(16, 3), torch.ones(16, 3) * 5)
    save_weights(student, tmp_path / "a.safetensors")
    loaded = load_student(tmp_path / "a.safetensors")
    assert torch.equal(loaded.heads.calibration.scores, torch.linspace(0, 1, 17).sqrt())
    assert (loaded.heads.lifter_stats.std2d == 7).all()


def damaged(saved: Path, tmp_path: Path, kind: str) -> Path:
    """A copy of the file with one thing wrong."""
    path = tmp_path / "damaged.safetensors"
    tensors = load_file(str(saved))
    ours = {FORMAT_KEY: "1", PRESET_KEY: "lite"}
    match kind:
        case "truncated":
            path.write_bytes(saved.read_bytes()[:100_000])
        case "noise":
            path.write_bytes(b"\x80\x04not a weight file" * 100)
        case "empty":
            path.write_bytes(b"")
        case "foreign":
            save_file(tensors, str(path))
        case "newer format":
            save_file(tensors, str(path), {**ours, FORMAT_KEY: "2"})
        case "other preset":
            save_file(tensors, str(path), {**ours, PRESET_KEY: "r50"})
        case "unknown lifter input":
            save_file(tensors, str(path), {**ours, LIFTER_KEY: "rays"})
        case "unknown preset":
            save_file(tensors, str(path), {**ours, PRESET_KEY: "r101"})
        case "missing tensor":
            tensors.popitem()
            save_file(tensors, str(path), ours)
        case "other shape":
            tensors["heads.box.fc7.0.weight"] = torch.zeros(3, 3)
            save_file(tensors, str(path), ours)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "not a readable safetensors file"),
        ("noise", r"not a readable safetensors file .*; copy it again, or give .* \(not its checkpoint.pt\)"),
        ("empty", "not a readable safetensors file"),
        ("foreign", r"not an orpose model: orpose\.format is none, expected 1"),
        ("newer format", r"orpose\.format is 2, expected 1"),
        ("other preset", "weights do not fit preset 'r50'"),
        ("unknown preset", "preset: got 'r101', expected one of r50, lite"),
        ("missing tensor", "Missing key"),
        ("other shape", r"size mismatch for heads\.box\.fc7"),
    ],
)
def test_files_that_do_not_fit_are_refused_in_one_line(saved: Path, tmp_path: Path, kind: str, message: str) -> None:
    path = damaged(saved, tmp_path, kind)
    with pytest.raises(ModelError, match=message) as caught:
        load_student(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.safetensors: no such weight file; give weights.safetensors of"):
        load_student(tmp_path / "gone.safetensors")


def test_weights_that_are_there_are_whole_and_have_their_card(
    tmp_path: Path, student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, content: bytes) -> None:
        if path.suffix == ".safetensors":
            raise KeyboardInterrupt
        path.write_bytes(content)

    monkeypatch.setattr("orpose_models.network.weights.write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        save_weights(student, tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_weights_that_cannot_be_written(tmp_path: Path, student: Student) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        save_weights(student, tmp_path / "file/a.safetensors")
