"""Data sets as files: the same bytes every time, resumed after an interruption, refused where they do not belong."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orpose_models.annotations import read_annotations
from orpose_models.errors import ConfigError, InputError
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate

ROOT = Path(__file__).resolve().parents[3]
SMALL = SynthConfig(images=8, views=2, size="96x72", seed=5, depth=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> dict[str, bytes]:
    """What `SMALL` gives in one process without interruption."""
    out = tmp_path_factory.mktemp("reference")
    generate(SMALL, out, workers=1)
    return contents(out)


def test_reference_is_complete(reference):
    images = [name for name in reference if name.endswith(".jpg")]
    assert len(images) == 8
    assert len([name for name in reference if name.startswith("images/")]) == 3 * 8
    assert "annotations.json" in reference


def test_two_workers_give_the_same_bytes(reference, tmp_path):
    generate(SMALL, tmp_path, workers=2)
    assert contents(tmp_path) == reference


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_resumes_to_the_same_bytes(reference, tmp_path, number):
    command = [sys.executable, "-m", "orpose", "synth", "--out", str(tmp_path), "--workers", "1"]
    command += ["--images", "8", "--views", "2", "--size", "96x72", "--seed", "5", "--depth"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    first_shard = tmp_path / "shards" / "0000000.json"
    while not first_shard.exists() and process.poll() is None:
        time.sleep(0.005)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert not (tmp_path / "annotations.json").exists()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in errors
    (tmp_path / "images" / ".0000003_0.jpg.part").write_bytes(b"half")  # what a killed run may leave behind
    generate(SMALL, tmp_path, workers=1)
    (tmp_path / "images" / ".0000003_0.jpg.part").unlink(missing_ok=True)
    assert contents(tmp_path) == reference


def test_more_images_continue_a_set(reference, tmp_path):
    generate(SMALL.model_copy(update={"images": 4}), tmp_path, workers=1)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in contents(tmp_path) if name.endswith(".jpg")}
    generate(SMALL, tmp_path, workers=1)
    assert contents(tmp_path) == reference
    assert all((tmp_path / name).stat().st_mtime_ns == stamp for name, stamp in before.items())


def test_an_odd_number_of_images_leaves_no_label_without_image(tmp_path):
    generate(SMALL.model_copy(update={"images": 3, "depth": False}), tmp_path, workers=1)
    labels = read_annotations(tmp_path / "annotations.json")
    assert len(labels.images) == 3
    assert {person.image_id for person in labels.persons} <= {image.image_id for image in labels.images}
    assert set(labels.cameras) == {image.camera_id for image in labels.images}


def test_other_settings_are_refused(tmp_path):
    generate(SMALL.model_copy(update={"images": 1}), tmp_path, workers=1)
    changed = SMALL.model_copy(update={"seed": 6, "depth": False})
    with pytest.raises(ConfigError, match=r"made with other settings \(depth, seed\)"):
        generate(changed, tmp_path, workers=1)


def test_a_damaged_settings_file_is_refused(tmp_path):
    (tmp_path / "synth.json").write_text("{")
    with pytest.raises(ConfigError, match=r"synth\.json: not the settings of a data set"):
        generate(SMALL, tmp_path, workers=1)


def test_a_file_in_place_of_the_folder_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: cannot be used"):
        generate(SMALL, tmp_path / "file", workers=1)


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def fail(path: Path, content: bytes) -> None:
        if path.suffix == ".part" and ".jpg" in path.name:
            with path.open("wb") as file:
                file.write(content[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        with path.open("wb") as file:
            file.write(content)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(InputError, match=r"0000000_0\.jpg: cannot be written \(No space left on device\)"):
        generate(SMALL, tmp_path, workers=1)
    assert list((tmp_path / "images").iterdir()) == []


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_are_counted_from_one(tmp_path, workers):
    with pytest.raises(ConfigError, match="workers: got"):
        generate(SMALL, tmp_path, workers=workers)
