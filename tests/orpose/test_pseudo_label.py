"""`orpose pseudo-label` on the command line: what it prints and writes, exit codes, and going on after a kill."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from orpose.main import main
from orpose_models.network import build_student
from orpose_models.network.weights import save_weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with a teacher of random weights (teacher.yaml), and two recordings of 20 images (or/a, or/b)."""
    folder = tmp_path_factory.mktemp("work")
    torch.manual_seed(3)
    student = build_student("lite")
    with torch.no_grad():
        student.heads.box.score.bias.copy_(torch.tensor([0.0, 0.5]))
    save_weights(student, folder / "w.safetensors")
    eye = {"kind": "network", "weights": str(folder / "w.safetensors"), "size": [64, 64]}
    lifting = {"kind": "network", "weights": str(folder / "w.safetensors")}
    teacher = {"name": "random", "boxes": eye, "keypoints": eye, "lifting": lifting, "max_people": 2, "device": "cpu"}
    (folder / "teacher.yaml").write_text(yaml.safe_dump(teacher))
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "or" / name).mkdir(parents=True)
        for number in range(20):
            image = cv2.resize(rng.integers(0, 255, (4, 4, 3)).astype(np.uint8), (64, 64))
            cv2.imwrite(str(folder / "or" / name / f"{number:02d}.png"), image)
    return folder


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Threads that spin while they wait make tiny images take a hundred times as long on a busy machine."""
    monkeypatch.setattr("training.teacher.labelling.usable_cpus", lambda: 1)


def arguments(work: Path, *options: str, out: str = "out") -> list[str]:
    words = [str(work / "or"), "--teacher", str(work / "teacher.yaml"), "--out", str(work / out), *options]
    return ["pseudo-label", *words]


def test_labels_results_and_sheet(work, tmp_path, capsys):
    (work / "or" / "a" / "99.png").write_bytes(b"")
    options = f"--every 10 --split 0.3 --threshold 0 --results --contact-sheet {tmp_path}/sheet.jpg"
    assert main(arguments(work, *options.split())) == 0
    (work / "or" / "a" / "99.png").unlink()
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        rf"images \d  people \d+  hard joints 100%  unreadable 1  {work}/out/annotations.json", printed[0]
    )
    assert re.fullmatch(rf"kept aside for validation: images \d  {work}/out/validation.json", printed[1])
    assert printed[2] == "unreadable: ../or/a/99.png: not an image that can be decoded (0 bytes)"
    assert printed[3:] == [f"results {work}/out/results.json", f"contact sheet {tmp_path}/sheet.jpg"]
    assert cv2.imread(str(tmp_path / "sheet.jpg")) is not None
    results = json.loads((work / "out/results.json").read_text())
    labels = [json.loads((work / "out" / name).read_text()) for name in ("annotations.json", "validation.json")]
    people = {(p["image_id"], p["score"]): p for part in labels for p in part["annotations"]}
    assert len(results) == len(people)
    for result in results:
        person = people[result["image_id"], result["score"]]
        np.testing.assert_allclose(result["keypoints"], person["keypoints_soft"], atol=0.011)
        np.testing.assert_allclose(result["keypoints_3d"][::4], person["keypoints_3d_soft"][::4], atol=0.06)


@pytest.mark.parametrize(("words", "message"), [
    ("OR --teacher NONE", "none.yaml: cannot be read"),
    ("OR --teacher UNKNOWN", "boxes: input tag 'magic' found"),
    ("OR --teacher CORRUPT", "cut.safetensors: not a readable safetensors file"),
    ("NONE --teacher GOOD", "none.yaml: no such file or folder"),
    ("EMPTY --teacher GOOD", "no images"),
    ("OR --teacher GOOD --every 0", "every: got '0'"),
    ("OR --teacher GOOD --split 1", "split: got '1'"),
    ("OR --teacher GOOD --threshold 2", "joint_threshold: got '2'"),
    ("OR --teacher GOOD --device gpu", "device: got 'gpu'"),
    ("OR --teacher GOOD --device cuda:77", "device cuda:77: this machine has"),
    ("OR --teacher GOOD --workers 0", "workers: got 0"),
    ("OR --teacher GOOD --workers 2 --gpus 1", "gpus: got 1 without a cluster"),
    ("OR --teacher GOOD --cluster auto --device auto", "gpus: got 0 with a cluster and device auto"),
    ("OR --teacher GOOD --contact-sheet sheet.txt", "expected a file name that ends in .png or .jpg"),
    ("OR/a --teacher GOOD --split 0.1", "all images are of one recording"),
])  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(work, tmp_path, capsys, words, message):
    good = yaml.safe_load((work / "teacher.yaml").read_text())
    (tmp_path / "cut.safetensors").write_bytes((work / "w.safetensors").read_bytes()[:5000])
    unknown = {**good, "boxes": {"kind": "magic"}}
    corrupt = {**good, "lifting": {"kind": "network", "weights": str(tmp_path / "cut.safetensors")}}
    for name, content in (("unknown", unknown), ("corrupt", corrupt)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "empty").mkdir()
    places = {"OR": work / "or", "GOOD": work / "teacher.yaml", "EMPTY": tmp_path / "empty"}
    places |= {name.upper(): tmp_path / f"{name}.yaml" for name in ("none", "unknown", "corrupt")}
    filled = [re.sub("^[A-Z]+", lambda found: str(places[found[0]]), word) for word in words.split()]
    assert main(["pseudo-label", *filled, "--out", str(tmp_path / "out")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "orpose pseudo-label" in line]
    assert len(errors) == 1 and message in errors[0]


def test_a_killed_run_goes_on_to_the_same_bytes(work, capsys):
    call = [sys.executable, "-m", "orpose", *arguments(work, "--batch", "1", out="killed")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    shards = work / "killed" / "shards"
    process = subprocess.Popen(call, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(shards.glob("*.json"))) < 3:
        time.sleep(0.002)
    process.kill()
    process.wait()
    done = {path.name: path.stat().st_mtime_ns for path in shards.glob("*.json")}
    assert 3 <= len(done) < 40
    assert main(arguments(work, "--batch", "1", out="killed")) == 0
    assert main(arguments(work, "--batch", "1", out="whole")) == 0
    capsys.readouterr()
    assert main(arguments(work, "--batch", "1", out="whole")) == 0
    told = f"labelled before: {work}/whole keeps the images that it began with; label newer ones into another --out"
    assert capsys.readouterr().out.splitlines()[1] == told
    assert {path.name: path.stat().st_mtime_ns for path in shards.glob("*.json") if path.name in done} == done
    for name in ("annotations.json", *(f"shards/{index:07d}.json" for index in range(40))):
        assert (work / "killed" / name).read_bytes() == (work / "whole" / name).read_bytes()
    assert not list(shards.glob(".*"))
