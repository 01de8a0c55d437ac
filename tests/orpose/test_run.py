"""`orpose run` from end to end, with a graph that finds bright boxes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose.main import main

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def frames(tmp_path) -> Path:
    """Three 64x48 frames, in each a bright blue box of columns 10-20 and a green one of 30-50, rows 12-36."""
    folder = tmp_path / "frames"
    folder.mkdir()
    image = np.zeros((48, 64, 3), np.uint8)
    image[12:36, 10:20, 0] = 255
    image[12:36, 30:50, 1] = 255
    image[12:36, 56:60, 2] = 255
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder


def call(fake_model, *words) -> int:
    return main(["run", "--model", str(fake_model), "--threads", "1", *map(str, words)])


def test_results_and_table(fake_model, frames, tmp_path, capsys):
    assert call(fake_model, frames, "--out", tmp_path / "out") == 0
    entries = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(e["image_id"], e["file_name"], e["score"]) for e in entries[:4]] == [
        (0, "0.png", 0.9),
        (0, "0.png", 0.6),
        (0, "0.png", 0.2),
        (1, "1.png", 0.9),
    ]
    # Resizing by ten blurs an edge over one pixel of the image; the box is what is brighter than 200.
    np.testing.assert_allclose(entries[0]["bbox"], [10, 12, 10, 24], atol=1.01)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["results.json"]
    assert not list(tmp_path.glob(".orpose*"))
    lines = capsys.readouterr().out.splitlines()
    table = {line[:40].strip(): line[40:].strip() for line in lines[:4]}
    assert table == {
        "frames": "3",
        "unreadable": "0",
        "persons (score >= 0.5)": "6",
        "persons per frame": "2.00",
    }
    assert [line.split()[0] for line in lines[5:10]] == ["decode", "preprocess", "infer", "post", "total"]


def test_frame_size_gives_the_original_pixels(fake_model, frames, tmp_path):
    assert call(fake_model, frames, "--out", tmp_path / "out", "--frame-size", "640x480") == 0
    entries = json.loads((tmp_path / "out" / "results.json").read_text())
    np.testing.assert_allclose(entries[0]["bbox"], [100, 120, 100, 240], atol=10.1)


def test_drawings_show_the_reduced_image_only(fake_model, tmp_path):
    # Fine stripes: at 12x nothing of them may be left in any picture.
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    cv2.imwrite(str(tmp_path / "stripes.png"), stripes)
    out = tmp_path / "out"
    assert call(fake_model, tmp_path / "stripes.png", "--out", out, "--draw", "--downsample", 12) == 0
    capture = cv2.VideoCapture(str(out / "overlay.mp4"))
    found, frame = capture.read()
    assert found
    assert frame.shape == (480, 760, 3)
    assert frame[100:400, 100:500].std() < 12
    sheet = cv2.imread(str(out / "contact_sheet.png"))
    assert sheet[50:250, 50:350].std() < 12


def test_a_recording_for_rerun(fake_model, frames, tmp_path):
    pytest.importorskip("rerun")
    from rerun.chunk import RrdReader

    assert call(fake_model, frames, "--out", tmp_path / "out", "--rerun", tmp_path / "new" / "clip.rrd") == 0
    rows = {}
    for chunk in RrdReader(tmp_path / "new" / "clip.rrd").stream().to_chunks():
        rows[chunk.entity_path] = rows.get(chunk.entity_path, 0) + chunk.num_rows
    entities = ("/room/camera/image/persons/boxes", "/room/camera/persons/limbs", "/times/infer")
    assert {name: rows[name] for name in entities} == dict.fromkeys(entities, 3)


def test_existing_folder_keeps_other_files(fake_model, frames, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "results.json").write_text("old")
    assert call(fake_model, frames, "--out", out) == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert len(json.loads((out / "results.json").read_text())) == 9


def test_unreadable_frames_are_counted_and_named(fake_model, frames, tmp_path, capsys):
    (frames / "1.png").write_bytes(b"broken")
    assert call(fake_model, frames, "--out", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "unreadable: 1.png: not an image that can be decoded (6 bytes)" in out
    assert {e["image_id"] for e in json.loads((tmp_path / "out" / "results.json").read_text())} == {0, 2}


@pytest.mark.parametrize("given", ["", "day1", "day1/cam1/color", "day1/cam1/color/0.png"])
def test_images_of_several_cameras_with_the_same_names(fake_model, frames, tmp_path, capsys, given):
    """As MVOR has them: dayN/camM/color/0.png, beside depth images that are no frames, and not even decoded."""
    images = []
    for number, camera in enumerate(("day1/cam1", "day1/cam2", "day2/cam1")):
        for kind in ("color", "depth"):
            folder = tmp_path / "mvor" / camera / kind
            folder.mkdir(parents=True)
            shutil.copy(frames / "0.png", folder)
        (folder / "0.png").write_bytes(b"depth that nobody reads")
        images.append({"id": 10 + number, "file_name": f"{camera}/color/0.png", "width": 64, "height": 48})
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"images": images, "annotations": []}))
    assert call(fake_model, tmp_path / "mvor" / given, "--out", tmp_path / "out", "--annotations", labels) == 0
    entries = json.loads((tmp_path / "out" / "results.json").read_text())
    expected = [10, 11, 12] if given == "" else [10, 11] if given == "day1" else [10]
    assert sorted({entry["image_id"] for entry in entries}) == expected
    table = capsys.readouterr().out
    assert re.search(r"^unreadable +0$", table, re.MULTILINE)
    if given in ("", "day1"):
        assert re.search(rf"^skipped, not in the annotations +{len(expected)}$", table, re.MULTILINE)


def test_annotations_give_image_ids(fake_model, frames, tmp_path, capsys):
    labels = tmp_path / "labels.json"
    images = [{"id": 70 + i, "file_name": f"sub/{i}.png", "width": 64, "height": 48} for i in (0, 2)]
    labels.write_text(json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "person"}]}))
    assert call(fake_model, frames, "--out", tmp_path / "out", "--annotations", labels) == 0
    assert {e["image_id"] for e in json.loads((tmp_path / "out" / "results.json").read_text())} == {70, 72}
    assert "skipped, not in the annotations" in capsys.readouterr().out


#: What is wrong -> (input, further options, what the error must say); {tmp} holds what `broken_files` made.
BAD_INPUT = {
    "missing input": ("{tmp}/missing", "", "no such file or folder"),
    "empty folder": ("{tmp}/empty", "", "no images"),
    "nothing readable": ("{tmp}/all_broken", "", "none of its 1 frames is usable; 0.png: not an image"),
    "bag with broken metadata": ("{tmp}/bag", "", "truncated or damaged"),
    "truncated bag": ("{tmp}/cut.mcap", "", "truncated or damaged"),
    "broken video": ("{tmp}/film.mp4", "", "not a video"),
    "corrupt model": ("{tmp}/frames", "--model {tmp}/corrupt.onnx", "corrupt.onnx"),
    "missing model": ("{tmp}/frames", "--model none", "no such shipped model"),
    "unknown backend": (
        "{tmp}/frames",
        "--backend tpu",
        "'torch', 'torch-tensorrt' or 'tensorrt'",
    ),
    "factor": ("{tmp}/frames", "--downsample 20", "less than or equal to 12"),
    "frame size": ("{tmp}/frames", "--frame-size big", "expected WIDTHxHEIGHT"),
    "another frame": ("{tmp}/frames", "--frame-size 1920x1080", "no reduced 1920x1080 frame"),
    "out is a file": ("{tmp}/frames", "--out {tmp}/film.mp4", "is a file"),
    "broken labels": ("{tmp}/frames", "--annotations {tmp}/broken.json", "not JSON"),
    "other labels": ("{tmp}/frames", "--annotations {tmp}/other.json", "none of its 3 frames is in the annotations"),
    "topic of a folder": ("{tmp}/frames", "--topic /a", "only in a bag"),
}


@pytest.fixture
def broken_files(fake_model, frames, tmp_path) -> Path:
    (tmp_path / "empty").mkdir()
    (tmp_path / "all_broken").mkdir()
    (tmp_path / "all_broken" / "0.png").write_bytes(b"x")
    (tmp_path / "corrupt.onnx").write_bytes(fake_model.read_bytes()[:500])
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: 9}\n")
    (tmp_path / "cut.mcap").write_bytes(b"\x89MCAP0\r\n\x01\x00")
    (tmp_path / "film.mp4").write_bytes(b"x")
    (tmp_path / "broken.json").write_text("{")
    image = {"id": 1, "file_name": "z.png", "width": 1, "height": 1}
    (tmp_path / "other.json").write_text(json.dumps({"images": [image], "annotations": []}))
    return tmp_path


@pytest.mark.parametrize(("source", "options", "expected"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_line_and_writes_nothing(fake_model, broken_files, capsys, source, options, expected):
    before = sorted(broken_files.rglob("*"))
    words = f"{source} --out {{tmp}}/out --draw --model {fake_model} {options}".format(tmp=broken_files).split()
    assert main(["run", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("orpose run: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert captured.out == ""
    assert sorted(broken_files.rglob("*")) == before


def test_as_a_process_stderr_holds_one_line(fake_model, tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"not a video")
    command = [sys.executable, "-m", "orpose", "run", str(tmp_path / "film.mp4"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_real_reduced_frames(fake_model, tmp_path):
    folder = SHARED / "data" / "mvor_seq1_x12_color"
    if not folder.is_dir():
        pytest.skip("needs the real frames of ../shared/data")
    assert call(fake_model, folder, "--out", tmp_path / "out", "--frame-size", "640x480", "--draw") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["contact_sheet.png", "overlay.mp4", "results.json"]


# --- over time and in metres ----------------------------------------------------------------------------------------

STAMPS_NS = [10**18 + index * 100_000_000 for index in range(6)]
#: The fake model's 3D joints lie on a line, joint i at 10 i mm on every axis: its pelvis is at its first joint.
INFO = {"fx": 500.0, "fy": 500.0, "cx": 320.0, "cy": 240.0}


def walking(index: int) -> np.ndarray:
    """640x480: a person (bright blue box) who walks to the right, 6 px a frame."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:300, 200 + 6 * index : 260 + 6 * index, 0] = 255
    return image


def depth_image(index: int) -> np.ndarray:
    """Registered depth, mm: the person 2.4 m away (its lower half behind a table), a wall of 4 m."""
    depth = np.full((480, 640), 4000, np.uint16)
    depth[95:305, 195 + 6 * index : 265 + 6 * index] = 2400
    depth[270:] = 1300
    return depth


@pytest.fixture
def bag(tmp_path) -> Path:
    """Six stamped frames with calibration and depth; depth of the fourth is 30 ms late, of the fifth missing."""
    from orpose_models.bags import write_raw_bag
    from training.synthetic_or import bag as messages

    labels = messages.Camera("c", "plumb_bob", (640, 480), **INFO)
    written = []
    for index, stamp_ns in enumerate(STAMPS_NS):
        _, header = index, messages._header(stamp_ns, "camera_optical_frame")
        cv2.imwrite(str(tmp_path / "depth.png"), depth_image(index))
        cv2.imwrite(str(tmp_path / "image.jpg"), walking(index), [cv2.IMWRITE_JPEG_QUALITY, 100])
        info = messages._camera_info(header, labels)
        image = messages._compressed_image(header, tmp_path / "image.jpg")
        written += [messages._raw(info, "/cam/camera_info", stamp_ns)]
        written += [messages._raw(image, "/cam/image_raw/compressed", stamp_ns)]
        if index != 4:
            late = messages._header(stamp_ns + (30_000_000 if index == 3 else 0), "camera_optical_frame")
            depth = messages._depth_image(late, tmp_path / "depth.png")
            written += [messages._raw(depth, "/cam/depth/image_raw", stamp_ns + 30_000_000)]
    write_raw_bag(tmp_path / "bag", written)
    return tmp_path / "bag"


def people_of(out: Path) -> list[dict]:
    """The walker's entries, one a frame."""
    return [e for e in json.loads((out / "results.json").read_text()) if e["score"] == 0.9]


def test_a_bag_gives_identities_and_metres(fake_model, bag, tmp_path, capsys):
    assert call(fake_model, bag, "--out", tmp_path / "out", "--no-smoothing") == 0
    found = people_of(tmp_path / "out")
    assert [e["track_id"] for e in found] == [1] * 6
    assert [e["track_state"] for e in found] == [1, 1, 2, 2, 2, 2]
    # Without depth nothing is left: the fake model's joints are no body whose size could tell a distance.
    assert [e["root"] and e["root"]["source"] for e in found] == ["depth"] * 4 + [None, "depth"]
    assert found[4]["keypoints_3d_metric"] is None
    for entry in (found[0], found[3]):
        joints = np.reshape(entry["keypoints_3d_metric"], (17, 4))
        assert joints[0, 2] == pytest.approx(2400, abs=200)
        # back in the image the joints are where they were found
        pixels = joints[:10, :2] / joints[:10, 2:3] * 500 + (320, 240)
        assert pixels[:, 0].min() > 190 and pixels[:, 0].max() < 285
    assert "persons placed by depth                  " in capsys.readouterr().out


def test_smoothing_changes_joints_and_no_scores(fake_model, bag, tmp_path):
    call(fake_model, bag, "--out", tmp_path / "raw", "--no-smoothing")
    call(fake_model, bag, "--out", tmp_path / "smooth")
    for raw, smooth in zip(people_of(tmp_path / "raw")[1:], people_of(tmp_path / "smooth")[1:], strict=True):
        raw_joints, joints = (np.reshape(e["keypoints"], (17, 3)) for e in (raw, smooth))
        assert (joints[1:, 0] < raw_joints[1:, 0]).all(), "smoothed joints lag behind the walker"
        np.testing.assert_array_equal(joints[:, 2], raw_joints[:, 2])
        assert raw["bbox"] == smooth["bbox"]


def test_a_folder_of_images_is_no_recording_unless_said(fake_model, tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), walking(index))
    call(fake_model, folder, "--out", tmp_path / "out")
    assert {e["track_id"] for e in people_of(tmp_path / "out")} == {-1}
    call(fake_model, folder, "--out", tmp_path / "tracked", "--tracking")
    assert {e["track_id"] for e in people_of(tmp_path / "tracked")} == {1}
    labels = tmp_path / "labels.json"
    images = [
        {"id": i, "file_name": f"{i}.png", "width": 640, "height": 480, "sequence": f"s{i // 2}", "frame_index": i % 2}
        for i in range(4)
    ]
    labels.write_text(json.dumps({"images": images, "annotations": []}))
    call(fake_model, folder, "--out", tmp_path / "labelled", "--annotations", labels)
    assert [e["track_state"] for e in people_of(tmp_path / "labelled")] == [1] * 4, "two recordings of two frames"


def test_depth_beside_frames_with_intrinsics(fake_model, tmp_path):
    frames, depths = tmp_path / "frames", tmp_path / "depths"
    frames.mkdir(), depths.mkdir()
    for index in range(2):
        cv2.imwrite(str(frames / f"{index}.png"), walking(index))
    cv2.imwrite(str(depths / "0.png"), depth_image(0))
    cv2.imwrite(str(depths / "1_depth.tiff"), depth_image(1).astype(np.float32) / 1000)
    options = ["--intrinsics", "500,500,320,240", "--depth", depths]
    assert call(fake_model, frames, "--out", tmp_path / "out", *options) == 0
    found = people_of(tmp_path / "out")
    assert [e["root"]["source"] for e in found] == ["depth"] * 2
    assert [e["keypoints_3d_metric"][2] for e in found] == pytest.approx([2400] * 2, abs=200)


def test_no_calibration_is_said_and_leaves_places_empty(fake_model, frames, tmp_path, capsys):
    assert call(fake_model, frames, "--out", tmp_path / "out") == 0
    assert {(e["root"], e["keypoints_3d_metric"]) for e in people_of(tmp_path / "out")} == {(None, None)}
    assert "places in metres: no calibration" in capsys.readouterr().out


def test_a_labelled_camera_of_another_aspect_places_nobody(fake_model, tmp_path, capsys):
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames/0.png"), walking(0))  # 640x480
    camera = {"model": "plumb_bob", "image_size": [1280, 720], "fx": 900, "fy": 900, "cx": 640, "cy": 360}
    image = {"id": 0, "file_name": "0.png", "width": 640, "height": 480, "camera_id": "a"}
    (tmp_path / "l.json").write_text(json.dumps({"images": [image], "annotations": [], "cameras": {"a": camera}}))
    call(fake_model, tmp_path / "frames", "--out", tmp_path / "out", "--annotations", tmp_path / "l.json")
    assert [e["root"] for e in people_of(tmp_path / "out")] == [None]
    assert "camera 'a': calibrated at 1280x720, its images are 640x480, another aspect" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--intrinsics 0,500,320,240", "focal"),
        ("--intrinsics none.yaml", "none.yaml"),
        ("--depth none", "depth: none: no such folder"),
        ("--smoothing-cutoff-hz 0", "smoothing_cutoff_hz"),
    ],
)
def test_bad_options_of_places_and_time(fake_model, frames, tmp_path, capsys, options, expected):
    assert call(fake_model, frames, "--out", tmp_path / "out", *options.split()) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_full_resolution_depth_reaches_no_file(fake_model, bag, tmp_path):
    """A pattern in the depth's background, and none of it in anything that is written."""
    out = tmp_path / "out"
    assert call(fake_model, bag, "--out", out, "--downsample", 12, "--draw") == 0
    written = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(written) == ["contact_sheet.png", "overlay.mp4", "results.json"]
    row = depth_image(0)[0].tobytes()
    assert all(row[:64] not in content for content in written.values())
    numbers = [e["keypoints_3d_metric"] for e in json.loads(written["results.json"]) if e["keypoints_3d_metric"]]
    assert sum(len(one) for one in numbers) == 68 * len(numbers), "17 joints of each person, no more"
