"""`orpose synth` on the command line: exit codes, the printed line, the files."""

from __future__ import annotations

import json
import re

import pytest

from orpose.main import main

pytest.importorskip("embreex", reason="rendering needs the extra 'synth'")


def test_writes_a_set_a_bag_and_a_sheet(tmp_path, capsys):
    out, bag, sheet = tmp_path / "set", tmp_path / "bag", tmp_path / "sheet.jpg"
    options = "--images 2 --views 1 --size 64x64 --sequence 0.2 --workers 1"
    arguments = ["synth", "--out", str(out), "--bag", str(bag), "--contact-sheet", str(sheet), *options.split()]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"images 2  people \d+  ignored \d+  {out}/annotations\.json", printed[0])
    assert printed[1:] == [f"bag {bag}", f"contact sheet {sheet}"]
    assert sheet.stat().st_size > 1000 and (bag / "metadata.yaml").exists()
    written = json.loads((out / "annotations.json").read_text())
    assert written["info"]["format"] == "orpose-1"
    assert written["info"]["synth"]["size"] == "64x64"


@pytest.mark.parametrize(("options", "message"), [
    ("--size 0x0", "size: got '0x0'"),
    ("--size 640x", "size: got '640x'"),
    ("--size 640x480x3", "size: got '640x480x3'"),
    ("--size 63x480", "expected a width and height from 64 to 4096"),
    ("--size 99999x480", "expected a width and height from 64 to 4096"),
    ("--images 0", "images: got '0'"),
    ("--images -5", "images: got '-5'"),
    ("--images many", "images: got 'many'"),
    ("--views 7", "views: got '7'"),
    ("--seed -1", "seed: got '-1'"),
    ("--sequence -1", "sequence: got '-1'"),
    ("--sequence nan", "sequence: got 'nan'"),
    ("--fps 0", "fps: got '0'"),
    ("--jpeg-quality 101", "jpeg_quality: got '101'"),
    ("--domain mars", "domain: got 'mars'"),
    ("--workers 0", "workers: got 0"),
    ("--compare x.png", "give --contact-sheet as well"),
    ("--contact-sheet s.png --compare nowhere", "nowhere: no such file or folder"),
    ("--bag BAG", "only sequences can be written as a bag"),
])  # fmt: skip
def test_bad_values_are_one_line_and_exit_2(tmp_path, capsys, options, message):
    arguments = options.replace("BAG", str(tmp_path / "bag")).split()
    assert main(["synth", "--out", str(tmp_path / "set"), *arguments]) == 2
    errors = capsys.readouterr().err
    assert len(errors.splitlines()) == 1 and message in errors
    assert not (tmp_path / "set").exists()


def test_an_out_that_cannot_be_a_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["synth", "--out", str(tmp_path / "file" / "set"), "--images", "1"]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_an_existing_bag_is_noticed_before_the_work(tmp_path, capsys):
    (tmp_path / "bag").mkdir()
    arguments = ["--bag", str(tmp_path / "bag"), "--sequence", "1", "--images", "10", "--views", "1"]
    assert main(["synth", "--out", str(tmp_path / "set"), *arguments]) == 2
    assert "exists already" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
