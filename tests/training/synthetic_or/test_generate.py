"""Data sets as files: the same bytes every time, resumed after an interruption, refused where they do not belong."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import pytest

from orpose_models.annotations import read_annotations, write_annotations
from orpose_models.errors import ConfigError, InputError
from training.synthetic_or import merge as merge_module
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import SceneWriter, generate
from training.synthetic_or.merge import merge

ROOT = Path(__file__).resolve().parents[3]
SMALL = SynthConfig(images=8, views=2, size="96x72", seed=5, depth=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def command(out: Path, *options: str) -> list[str]:
    """`orpose synth` for `SMALL`."""
    small = ["--images", "8", "--views", "2", "--size", "96x72", "--seed", "5"]
    return [sys.executable, "-m", "orpose", "synth", "--out", str(out), *small, *options]


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


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGKILL, 2)])
def test_an_interrupted_run_resumes_to_the_same_bytes(reference, tmp_path, number, workers):
    process = subprocess.Popen(
        command(tmp_path, "--workers", str(workers)),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(tmp_path.glob("shards/*.json")) and process.poll() is None:
        time.sleep(0.005)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as the terminal sends it
    else:
        process.kill()  # the parent alone
    _, errors = process.communicate(timeout=60)
    assert not (tmp_path / "annotations.json").exists()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in errors
    (tmp_path / "images" / ".0000003_0.jpg.host-1.part").write_bytes(b"half")  # what a killed run may leave behind
    generate(SMALL, tmp_path, workers=1)
    assert contents(tmp_path) == reference


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(("name", "damage"), [
    ("shards/0000001.json", cut),
    ("shards/0000001.json", lambda path: path.write_bytes(b"")),
    ("shards/0000001.json", lambda path: path.write_bytes(b"[]")),
    ("shards/0000001.json", Path.unlink),
    ("images/0000001_1.jpg", cut),
    ("images/0000001_0_depth.png", Path.unlink),
])  # fmt: skip
def test_damaged_scenes_are_noticed_and_drawn_again(reference, tmp_path, capsys, name, damage):
    for path, content in reference.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    damage(tmp_path / name)
    generate(SMALL, tmp_path, workers=1)
    assert contents(tmp_path) == reference
    told = "1 scenes had been damaged and were drawn again\n"
    assert capsys.readouterr().out == ("" if damage is Path.unlink and "shards" in name else told)


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


def test_sequences_are_not_cut(tmp_path):
    config = SynthConfig(images=5, views=1, size="64x64", sequence=0.4, fps=10, seed=5, depth=False)
    summary = generate(config, tmp_path, workers=1)
    assert summary.images == 8
    labels = read_annotations(tmp_path / "annotations.json")
    assert [image.frame_index for image in labels.images] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_the_summary_counts_what_the_file_holds(reference, tmp_path):
    summary = generate(SMALL, tmp_path, workers=1)
    labels = read_annotations(tmp_path / "annotations.json")
    ignored = sum(person.is_crowd for person in labels.persons)
    assert (summary.images, summary.ignored) == (len(labels.images), ignored)
    assert summary.people == len(labels.persons) - ignored
    assert summary.empty == sum(not people for people in labels.persons_by_image().values())


def test_the_merged_file_is_what_the_label_writer_writes(reference, tmp_path):
    (tmp_path / "merged.json").write_bytes(reference["annotations.json"])
    write_annotations(tmp_path / "written.json", read_annotations(tmp_path / "merged.json"))
    assert (tmp_path / "written.json").read_bytes() == reference["annotations.json"]


def test_other_settings_are_refused(tmp_path):
    generate(SMALL.model_copy(update={"images": 1}), tmp_path, workers=1)
    changed = SMALL.model_copy(update={"seed": 6, "depth": False})
    with pytest.raises(ConfigError, match=r"made with other settings \(depth, seed\)"):
        generate(changed, tmp_path, workers=1)


def test_a_folder_of_an_older_version_is_refused(tmp_path):
    (tmp_path / "synth.json").write_text(json.dumps({"domain": "or", "images": 8, "seconds": 0.0}))
    with pytest.raises(ConfigError, match=r"made with other settings \(.*seconds.*sequence.*\)"):
        generate(SMALL, tmp_path, workers=1)


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


def test_a_full_disk_is_one_line_and_leaves_no_half_image(tmp_path):
    """The kernel lets no file grow beyond 3 kB, in worker processes."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (3000, 3000))
    ended = subprocess.run(
        command(tmp_path, "--workers", "2"), cwd=ROOT, capture_output=True, text=True, timeout=60, preexec_fn=limit
    )
    assert ended.returncode == 2
    errors = [line for line in ended.stderr.splitlines() if line and "scene/s" not in line]
    assert len(errors) == 1 and re.search(r"images/.*: cannot be written \(File too large\)", errors[0])
    pictures = list((tmp_path / "images").iterdir())
    assert all(cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None for path in pictures)


def test_a_disk_that_is_full_at_the_end_leaves_no_half_label_file(reference, tmp_path, monkeypatch):
    generate(SMALL, tmp_path, workers=1)
    before = contents(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(merge_module.shutil, "copyfileobj", fail)
    with pytest.raises(InputError, match=r"annotations\.json: cannot be written \(No space left on device\)"):
        merge(SMALL, tmp_path)
    assert contents(tmp_path) == before


def test_a_missing_scene_is_an_error_when_merging(reference, tmp_path):
    generate(SMALL, tmp_path, workers=1)
    (tmp_path / "shards" / "0000002.json").unlink()
    with pytest.raises(InputError, match=r"0000002\.json: missing; run the same command again.*all machines see"):
        merge(SMALL, tmp_path)


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path):
    with pytest.raises(InputError, match=r"is not the same folder on .* that all machines share"):
        SceneWriter(SMALL, tmp_path)()


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_are_counted_from_one(tmp_path, workers):
    with pytest.raises(ConfigError, match="workers: got"):
        generate(SMALL, tmp_path, workers=workers)
