"""`orpose replay` as users run it: three processes, real DDS, every frame accounted for."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.bags import write_image_bag
from orpose_models.runtime.bags import BagImages

ROOT = Path(__file__).resolve().parents[2]
needs_ros = pytest.mark.skipif(
    importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("orpose_msgs") is None,
    reason="no ROS 2 for this platform",
)
FRAMES = 12


def replay(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orpose", "replay", *(str(word) for word in words)]
    environment = os.environ | {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def frames() -> list[np.ndarray]:
    """Every third one is empty; the others show one person to the fake model."""
    images = [np.zeros((480, 640, 3), np.uint8) for _ in range(FRAMES)]
    for index, image in enumerate(images):
        if index % 3:
            image[100:300, 20 * index : 20 * index + 60] = (255, 0, 0)
    return images


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "bag"
    stamps_ns = [10**18 + index * 100_000_000 for index in range(FRAMES)]
    write_image_bag(path, frames(), "/or1/image_raw/compressed", stamps_ns)
    return path


@pytest.fixture(scope="module")
def replayed(bag, fake_model, tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("out")
    return replay(bag, "--out", out, "--model", fake_model, "--threads", 1, "--rate", "max"), out


@needs_ros
def test_every_frame_is_accounted_for(replayed):
    ended, out = replayed
    assert ended.returncode == 0, ended.stderr
    stats = json.loads((out / "stats.json").read_text())
    counts = stats["frames"]
    assert counts["sent"] == FRAMES
    assert counts["sent"] == counts["received"] + counts["lost"]
    assert counts["received"] == counts["answered"] + counts["dropped"]
    assert (counts["lost"], counts["unaccounted"], counts["contradictions"]) == (0, 0, [])
    assert stats["persons"] == {"total": 8, "frames_with_persons": 8}
    assert 0 < stats["latency_ms"]["median"] <= stats["latency_ms"]["p95"]
    assert stats["stages_ms"]["infer"]["median"] < stats["latency_ms"]["median"]


@needs_ros
def test_it_ends_with_the_table(replayed):
    ended, _ = replayed
    for row in ("frames sent", "lost on the way", "received", "answered", "dropped", "unaccounted for", "persons"):
        assert re.search(rf"^\s*{row}.*\d", ended.stdout, re.MULTILINE), row
    assert re.search(r"latency, image stamp to message, ms\s+median [\d.]+, p95 [\d.]+", ended.stdout)


@needs_ros
def test_the_recording_holds_images_and_answers_of_the_same_stamps(replayed):
    from rosbags.highlevel import AnyReader

    _, out = replayed
    stamps: dict[str, list[int]] = {}
    with AnyReader([out / "bag"]) as reader:  # knows our messages from the file alone
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            if hasattr(message, "header"):
                stamp = message.header.stamp
                stamps.setdefault(connection.topic, []).append(stamp.sec * 10**9 + stamp.nanosec)
        topics = set(reader.topics)
    assert topics >= {
        "/or1/image_raw/compressed",
        "/orpose/camera/persons",
        "/orpose/camera/stats",
        "/orpose/skeletons",
    }
    assert stamps["/or1/image_raw/compressed"] == stamps["/orpose/camera/persons"] == stamps["/orpose/camera/stats"]
    assert len(list(BagImages(out / "bag", "/or1/image_raw/compressed"))) == FRAMES


@needs_ros
def test_pictures_and_a_report_that_needs_nothing_else(replayed):
    _, out = replayed
    video = cv2.VideoCapture(str(out / "overlay.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    assert cv2.imread(str(out / "contact_sheet.png")) is not None
    report = (out / "report.html").read_text()
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)", report)
    assert "<script" not in report and "@import" not in report
    assert report.count("<svg") == 2
    assert report.count("<img") == FRAMES
    assert "Not a medical device" in report


@needs_ros
def test_a_second_replay_replaces_the_first(bag, fake_model, tmp_path):
    """Here also: images instead of a bag, privacy downsampling, the bag's own speed."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index, image in enumerate(frames()[:4]):
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(image, (53, 40)))
    (folder / "broken.png").write_bytes(b"not a picture")
    out = tmp_path / "out"
    (out / "bag").mkdir(parents=True)
    (out / "bag/metadata.yaml").touch()
    (out / "mine.txt").touch()
    options = ("--frame-size", "640x480", "--downsample", 12, "--fps", 20, "--threads", 1)
    ended = replay(folder, "--out", out, "--model", fake_model, *options)
    assert ended.returncode == 0, ended.stderr
    assert "broken.png" in ended.stderr
    assert json.loads((out / "stats.json").read_text())["frames"]["sent"] == 4
    assert (out / "mine.txt").exists()
    (image, *_) = BagImages(out / "bag")
    assert image.image.shape == (40, 53, 3), "what the network saw, and no more"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["missing"], "missing: no such file"),
        (["BAG", "--topic", "/other"], "no image topic '/other'"),
        (["BAG", "--rate", "0"], "rate: got '0'"),
        (["BAG", "--rate", "fast"], "rate: got 'fast'"),
        (["BAG", "--downsample", "13"], "downsample"),
        pytest.param(["BAG", "--model", "missing.onnx"], "missing.onnx: no such model file", marks=needs_ros),
    ],
)
def test_bad_input_is_one_line(bag, tmp_path, words, expected):
    ended = replay(*(bag if word == "BAG" else word for word in words), "--out", tmp_path / "out")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert expected in ended.stderr
    assert not (tmp_path / "out" / "stats.json").exists()


@needs_ros
def test_a_truncated_bag_is_one_line(bag, fake_model, tmp_path):
    broken = tmp_path / "bag"
    broken.mkdir()
    content = (bag / "bag.mcap").read_bytes()
    (broken / "bag.mcap").write_bytes(content[: len(content) // 2])
    (broken / "metadata.yaml").write_bytes((bag / "metadata.yaml").read_bytes())
    ended = replay(broken, "--out", tmp_path / "out", "--model", fake_model)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "truncated" in ended.stderr
