"""`orpose synth` on the command line: exit codes, the printed line, the files."""

from __future__ import annotations

import errno
import json
import re
import sys
from pathlib import Path

import pytest

from orpose.main import main

pytest.importorskip("embreex", reason="rendering needs the extra 'synth'")


def exit_code(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as ended:  # argparse's usage errors
        return int(ended.code or 0)


def test_writes_a_set_a_bag_and_a_sheet(tmp_path, capsys):
    out, bag, sheet = tmp_path / "set", tmp_path / "bag", tmp_path / "sheet.jpg"
    options = "--images 2 --views 1 --size 64x64 --sequence 0.2 --workers 1 --report"
    arguments = ["synth", "--out", str(out), "--bag", str(bag), "--contact-sheet", str(sheet), *options.split()]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"images 2  people \d+  ignored \d+  {out}/annotations\.json", printed[0])
    assert re.fullmatch(r"views with nobody: \d  views rejected: .*", printed[1])
    assert printed[2:] == [f"bag {bag}", f"contact sheet {sheet}", f"report {out}/report.html"]
    assert (out / "report.html").stat().st_size > 1000
    assert sheet.stat().st_size > 1000 and (bag / "metadata.yaml").exists()
    written = json.loads((out / "annotations.json").read_text())
    assert written["info"]["format"] == "orpose-1"
    assert written["info"]["synth"]["size"] == "64x64"


@pytest.mark.parametrize(("options", "message"), [
    ("--size 0x0", "size: got '0x0'"),
    ("--size 640x", "size: got '640x': expected WIDTHxHEIGHT, such as 640x480"),
    ("--size 640x480x3", "size: got '640x480x3'"),
    ("--size 63x480", "expected a width and height from 64 to 4096"),
    ("--size 99999x480", "expected a width and height from 64 to 4096"),
    ("--images 0", "images: got '0'"),
    ("--images -5", "images: got '-5'"),
    ("--images many", "images: got 'many'"),
    ("--views 7", "views: got '7'"),
    ("--seed -1", "seed: got '-1'"),
    ("--sequence -1", "sequence: got '-1'"),
    ("--sequence 0.1", "fewer than 2 frames"),
    ("--sequence 4000", "sequence: got '4000'"),
    ("--sequence nan", "sequence: got 'nan'"),
    ("--fps 0", "fps: got '0'"),
    ("--sequence 1 --fps 0", "fps: got '0'"),
    ("--sequence 1 --fps -5", "fps: got '-5'"),
    ("--fps 5", "fps: only sequences have frames a second; give --sequence"),
    ("--size -640x480", "expected one argument"),
    ("--images 99999999999", "images: got '99999999999'"),
    ("--views 0", "views: got '0'"),
    ("--seed x", "seed: got 'x'"),
    ("--room missing.yaml", "missing.yaml: cannot be read"),
    ("--workers 1.5", "invalid int value: '1.5'"),
    ("--workers 2 --cluster auto", "not allowed with argument --workers"),
    ("--mvor", "MVOR's format has no fisheye lens"),
    ("--jpeg-quality 101", "jpeg_quality: got '101'"),
    ("--domain mars", "domain: got 'mars'"),
    ("--workers 0", "workers: got 0"),
    ("--report-real x", "give --report as well"),
    ("--compare x.png", "give --contact-sheet as well"),
    ("--contact-sheet sheet.tiff", "sheet.tiff: expected a file name that ends in .png or .jpg"),
    ("--contact-sheet FILE/sheet.png", "cannot be written (not in a folder)"),
    ("--contact-sheet s.png --compare nowhere", "nowhere: no such file or folder"),
    ("--bag BAG", "only sequences can be written as a bag"),
])  # fmt: skip
def test_bad_values_are_one_line_and_exit_2(tmp_path, capsys, options, message):
    (tmp_path / "file").write_text("")
    arguments = options.replace("BAG", str(tmp_path / "bag")).replace("FILE", str(tmp_path / "file")).split()
    assert exit_code(["synth", "--out", str(tmp_path / "set"), *arguments]) == 2
    errors = capsys.readouterr().err
    assert len(errors.splitlines()) == 1 and message in errors
    assert not (tmp_path / "set").exists()


def test_an_out_that_cannot_be_a_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["synth", "--out", str(tmp_path / "file" / "set"), "--images", "1"]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_an_out_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert main(["synth", "--out", str(tmp_path / "set"), "--images", "1"]) == 2
    assert "set: cannot be used (Permission denied); choose another --out" in capsys.readouterr().err


def test_a_missing_out_is_one_line(capsys):
    assert main(["synth", "--images", "1"]) == 2
    assert capsys.readouterr().err == "orpose synth: command line: out: missing; give the folder to write with --out\n"


def test_building_bodies_without_anny_names_the_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "anny", None)
    assert main(["synth", "--build-bodies"]) == 2
    assert "pip install 'orpose[bodies]'" in capsys.readouterr().err


def test_a_cluster_without_ray_names_the_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["synth", "--out", str(tmp_path / "set"), "--cluster", "auto"]) == 2
    assert "pip install 'orpose[ray]'" in capsys.readouterr().err


def test_a_room_whose_cameras_see_nothing_but_a_wall(tmp_path, capsys):
    lens = "image_size: [64, 64], fx: 60, fy: 60, cx: 32, cy: 32, position_m: [0, 2.9, 2], look_at_m: [0, 2.99, 2]"
    (tmp_path / "room.yaml").write_text(f"size_m: [6, 6, 3]\nmachines: []\ncameras: [{{{lens}}}]\n")
    arguments = ["--room", str(tmp_path / "room.yaml"), "--images", "1", "--size", "64x64", "--workers", "1"]
    assert main(["synth", "--out", str(tmp_path / "set"), *arguments]) == 2
    assert "no images: a wall or things filled every view" in capsys.readouterr().err
    assert not (tmp_path / "set/annotations.json").exists()


def test_an_existing_bag_is_noticed_before_the_work(tmp_path, capsys):
    (tmp_path / "bag").mkdir()
    arguments = ["--bag", str(tmp_path / "bag"), "--sequence", "1", "--images", "10", "--views", "1"]
    assert main(["synth", "--out", str(tmp_path / "set"), *arguments]) == 2
    assert "exists already" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
