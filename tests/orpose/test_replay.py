"""`orpose replay` as users run it: three processes, real DDS, every frame accounted for."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from orpose.main import main
from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel, write_annotations
from orpose_models.bags import compressed_message, write_image_bag, write_raw_bag
from orpose_models.runtime.bags import BagImages, RawMessage
from orpose_models.runtime.downsample import privacy_downsample

ROOT = Path(__file__).resolve().parents[2]
needs_ros = pytest.mark.skipif(
    importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("orpose_msgs") is None,
    reason="no ROS 2 for this platform",
)
FRAMES = 12
TOPIC, INFO, OTHER_IMAGES = "/or1/image_raw/compressed", "/or1/camera_info", "/or2/image_raw/compressed"
FIRST_NS = 10**18
#: The frame in which somebody is labelled whom the fake model cannot see.
UNSEEN = 4


def replay(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orpose", "replay", *(str(word) for word in words)]
    environment = os.environ | {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)


def stamp_ns(index: int) -> int:
    return FIRST_NS + index * 100_000_000


def box_of(index: int) -> tuple[int, int, int, int] | None:
    """Every third frame is empty; the others show one person to the fake model."""
    return (20 * index, 100, 60, 200) if index % 3 else None


def frames() -> list[np.ndarray]:
    images = [np.zeros((480, 640, 3), np.uint8) for _ in range(FRAMES)]
    for index, image in enumerate(images):
        if (box := box_of(index)) is not None:
            left, top, width, height = box
            image[top : top + height, left : left + width] = (255, 0, 0)
    return images


def camera_info(index: int) -> RawMessage:
    store = get_typestore(Stores.LATEST)
    types = store.types
    stamp = types["builtin_interfaces/msg/Time"](sec=stamp_ns(index) // 10**9, nanosec=stamp_ns(index) % 10**9)
    roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    k = np.array([500, 0, 320, 0, 500, 240, 0, 0, 1], float)
    info = types["sensor_msgs/msg/CameraInfo"](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera"),
        height=480,
        width=640,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=k,
        r=np.eye(3).ravel(),
        p=np.hstack([k.reshape(3, 3), np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )
    return RawMessage(INFO, info.__msgtype__, stamp_ns(index), bytes(store.serialize_cdr(info, info.__msgtype__)))


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    """Two cameras' images, of which the first is played, and its calibration."""

    def messages() -> Iterator[RawMessage]:
        for index, image in enumerate(frames()):
            yield camera_info(index)
            yield compressed_message(image, TOPIC, stamp_ns(index), "png")
            yield compressed_message(image, OTHER_IMAGES, stamp_ns(index), "png")

    path = tmp_path_factory.mktemp("bags") / "bag"
    write_raw_bag(path, messages())
    return path


def label(number: int, index: int, box: tuple[int, int, int, int]) -> PersonLabel:
    """What the fake model finds in such a box: joints on its diagonal, 3D joints 10 mm apart."""
    shares = np.arange(17)[:, None] / 16
    keypoints = np.hstack([box[:2] + shares * box[2:], np.full((17, 1), 2)])
    depth_mm = np.array([0, 0, 3000])
    joints_mm = np.hstack([np.tile(np.arange(17)[:, None] * 10, (1, 3)) + depth_mm, np.full((17, 1), 2)])
    return PersonLabel(number, 100 + index, np.array(box, float), keypoints, keypoints_3d=joints_mm, track_id=1)


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    images = [
        LabelledImage(100 + i, f"{i}.png", 640, 480, sequence="s", frame_index=i, stamp_ns=stamp_ns(i), topic=TOPIC)
        for i in range(FRAMES)
    ]
    people = [label(i, i, box) for i in range(FRAMES) if (box := box_of(i)) is not None]
    people.append(label(99, UNSEEN, (400, 100, 60, 200)))
    path = tmp_path_factory.mktemp("labels") / "labels.json"
    write_annotations(path, AnnotationSet(tuple(images), tuple(people)))
    return path


@pytest.fixture(scope="module")
def replayed(bag, labels, fake_model, tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("out")
    options = ["--threads", 1, "--rate", "max", "--topic", TOPIC, "--annotations", labels, "--no-smoothing"]
    if importlib.util.find_spec("rerun"):
        options += ["--rerun", out / "clip.rrd"]
    return replay(bag, "--out", out, "--model", fake_model, *options), out


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
    ended, out = replayed
    for row in ("frames sent", "lost on the way", "received", "answered", "dropped", "unaccounted for", "persons"):
        assert re.search(rf"^\s*{row}.*\d", ended.stdout, re.MULTILINE), row
    assert re.search(r"latency, image stamp to message, ms\s+median [\d.]+, p95 [\d.]+", ended.stdout)
    assert re.search(r"coco-bbox: AP\s+0.8812", ended.stdout)
    assert ended.stdout.endswith(f"written to {out}; open {out / 'report.html'} in a browser\n")


@needs_ros
def test_metrics_beside_the_labels(replayed):
    _, out = replayed
    accuracy = json.loads((out / "stats.json").read_text())["accuracy"]
    assert accuracy["answered"]["images"] == accuracy["sent"]["images"] == FRAMES
    # Eight of nine are found, each exactly: full precision at the 89 of 101 recalls up to 8 / 9.
    assert accuracy["answered"]["coco-bbox"]["AP"] == pytest.approx(89 / 101)
    # The metric's root is between the hips, joints 1 and 4: 25 mm on each axis from the network's, joint 0.
    error_mm = 25 * 3**0.5
    assert accuracy["answered"]["mpjpe"] == pytest.approx(
        {
            "mpjpe_mm": error_mm,
            "found": 8,
            "missed": 1,
            "without_root": 0,
            "published_mm": error_mm,
            "published_people": 9,
        },
        abs=0.1,
    )


@needs_ros
@pytest.mark.parametrize("protocol", ["coco-bbox", "coco-keypoints", "mpjpe"])
def test_orpose_evaluate_says_the_same_of_the_results(replayed, labels, tmp_path, capsys, protocol):
    _, out = replayed
    words = ["--annotations", labels, "--results", out / "results.json", "--json", tmp_path / "metrics.json"]
    assert main(["evaluate", "--protocol", protocol, *map(str, words)]) == 0
    (run,) = json.loads((tmp_path / "metrics.json").read_text())["runs"].values()
    ours = json.loads((out / "stats.json").read_text())["accuracy"]["answered"][protocol]
    assert {name: value for name, value in ours.items() if value != -1} == pytest.approx(
        {name: run["metrics"][name] for name, value in ours.items() if value != -1}
    )


@needs_ros
def test_the_recording_holds_the_input_and_the_answers_at_the_bags_own_times(replayed, bag):
    _, out = replayed
    stamps: dict[str, list[int]] = {}
    with AnyReader([out / "bag"]) as reader:  # knows our messages from the file alone
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            header = message.markers[0].header if hasattr(message, "markers") else getattr(message, "header", None)
            if header is not None:
                stamps.setdefault(connection.topic, []).append(header.stamp.sec * 10**9 + header.stamp.nanosec)
        assert {c.topic for c in reader.connections} >= {"/orpose/skeletons"}
    sent = [stamp_ns(index) for index in range(FRAMES)]
    answers = [f"/orpose/camera/{name}" for name in ("persons", "stats", "markers", "overlay/compressed")]
    for topic in (TOPIC, INFO, OTHER_IMAGES, *answers):
        assert stamps[topic] == sent, topic

    def contents(path: Path, topic: str) -> list[bytes]:
        return [message.cdr for message in BagImages(path, topic).raw_messages()]

    for topic in (TOPIC, OTHER_IMAGES):
        assert contents(out / "bag", topic) == contents(bag, topic), "byte for byte"


@needs_ros
def test_a_recording_can_be_played_again_and_still_has_its_labels(replayed, labels, fake_model, tmp_path):
    _, out = replayed
    words = ["--topic", TOPIC, "--annotations", labels, "--model", fake_model, "--threads", 1, "--out", tmp_path]
    assert main(["run", str(out / "bag"), *map(str, words)]) == 0
    entries = json.loads((tmp_path / "results.json").read_text())
    assert {entry["image_id"] for entry in entries} == {100 + i for i in range(FRAMES) if i % 3}


@needs_ros
def test_pictures(replayed):
    _, out = replayed
    video = cv2.VideoCapture(str(out / "overlay.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    assert cv2.imread(str(out / "contact_sheet.png")) is not None


@needs_ros
def test_the_report_in_a_browser(replayed, open_page, tmp_path):
    """It needs nothing but itself, draws everything, and its 3D view turns with the mouse."""
    _, out = replayed
    page = open_page(out / "report.html", height=1000)
    plots = "[...document.querySelectorAll('.js-plotly-plot')]"
    page.until(f"{plots}.length >= 8 && {plots}.every(plot => plot._fullLayout && plot.querySelector('.main-svg'))")
    page.until("document.getElementById('scene')._fullLayout.scene._scene?.glplot != null")
    assert page.evaluate("document.getElementById('scene')._transitionData._frames.length") == FRAMES
    assert "Not a medical device" in page.evaluate("document.body.innerText")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
    # The frame with somebody missed comes first, and only it.
    assert page.evaluate("[...document.querySelectorAll('#worst figcaption')].map(c => c.innerText)")[0].startswith(
        f"{UNSEEN / 10:.1f} s: 1 of 2 missed, 0 invented"
    )
    page.evaluate("document.getElementById('scene').scrollIntoView({block: 'center'})")
    eye = "JSON.stringify(document.getElementById('scene')._fullLayout.scene._scene.getCamera().eye)"
    before, picture_before = page.evaluate(eye), tmp_path / "before.png"
    page.screenshot(picture_before)
    page.drag((600, 500), (750, 420))
    page.until(f"{eye} !== {json.dumps(before)}", timeout_s=20)
    page.screenshot(tmp_path / "after.png")
    first, second = (cv2.imread(str(path)).astype(int) for path in (picture_before, tmp_path / "after.png"))
    assert (np.abs(first - second).max(axis=2) > 30).sum() > 500, "something else is seen"
    assert [event for event in page.events if event["method"] == "Runtime.exceptionThrown"] == []
    requests = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in requests if not url.startswith(("data:", "blob:", (out / "report.html").as_uri()))] == []


@needs_ros
def test_a_recording_for_rerun(replayed):
    pytest.importorskip("rerun")
    from rerun.chunk import RrdReader

    _, out = replayed
    rows: dict[str, int] = {}
    for chunk in RrdReader(out / "clip.rrd").stream().to_chunks():
        rows[chunk.entity_path] = rows.get(chunk.entity_path, 0) + chunk.num_rows
    assert rows["/room/camera/image"] >= FRAMES
    for name in ("image/persons/boxes", "image/persons/limbs", "persons/limbs", "persons/joints", "labels"):
        assert rows[f"/room/camera/{name}"] == FRAMES, name
    assert rows["/times/latency"] == FRAMES
    assert not list(out.glob(".*.part"))


@needs_ros
def test_a_bag_in_sqlite_is_played_all_the_same(bag, fake_model, tmp_path):
    with (
        AnyReader([bag]) as reader,
        Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer,
    ):
        store = reader.typestore
        made = {c.id: writer.add_connection(c.topic, c.msgtype, typestore=store) for c in reader.connections}
        for connection, recorded_ns, cdr in reader.messages():
            writer.write(made[connection.id], recorded_ns, cdr)
    assert (tmp_path / "bag/bag.db3").exists()
    options = ("--topic", TOPIC, "--rate", "max", "--threads", 1)
    ended = replay(tmp_path / "bag", "--out", tmp_path / "out", "--model", fake_model, *options)
    assert ended.returncode == 0, ended.stderr
    stats = json.loads((tmp_path / "out/stats.json").read_text())
    assert (stats["frames"]["sent"], stats["persons"]["total"]) == (FRAMES, 8)


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


@needs_ros
def test_with_downsampling_the_recording_has_the_reduced_images_and_nothing_larger(bag, fake_model, tmp_path):
    ended = replay(bag, "--topic", TOPIC, "--out", tmp_path, "--model", fake_model, "--downsample", 12, "--threads", 1)
    assert ended.returncode == 0, ended.stderr
    with AnyReader([tmp_path / "bag"]) as reader:
        images = {c.topic for c in reader.connections if c.msgtype.startswith("sensor_msgs/msg/Compressed")}
        assert images == {"/or1/image_reduced/compressed", "/orpose/camera/overlay/compressed"}
        assert INFO in reader.topics
    reduced = list(BagImages(tmp_path / "bag"))
    assert len(reduced) == FRAMES
    for frame, original in zip(reduced, frames(), strict=True):
        np.testing.assert_array_equal(frame.image, privacy_downsample(original, 12))
    facts = json.loads((tmp_path / "stats.json").read_text())["facts"]
    assert facts["left out of the bag for privacy"] == f"{TOPIC}, {OTHER_IMAGES}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["missing"], "missing: no such file"),
        (["BAG", "--topic", "/other"], "no image topic '/other'"),
        (["BAG"], "several image topics, choose one with --topic"),
        (["BAG", "--rate", "0"], "rate: got '0'"),
        (["BAG", "--rate", "fast"], "rate: got 'fast'"),
        (["BAG", "--downsample", "13"], "downsample"),
        pytest.param(
            ["BAG", "--topic", TOPIC, "--model", "missing.onnx"], "2: configure failed: missing.onnx", marks=needs_ros
        ),
        pytest.param(["BAG", "--topic", TOPIC, "--annotations", "OTHER"], "none of the bag's frames", marks=needs_ros),
        pytest.param(["BAG", "--topic", TOPIC, "--annotations", "SMALL"], "the frames are 640x480", marks=needs_ros),
        pytest.param(["BAG", "--topic", TOPIC, "--annotations", "missing"], "cannot be read", marks=needs_ros),
        pytest.param(["BAG", "--topic", TOPIC, "--rerun", "clip.txt"], "ends in .rrd", marks=needs_ros),
    ],
)
def test_bad_input_is_one_line(bag, tmp_path, capfd, words, expected):
    if "--rerun" in words:
        pytest.importorskip("rerun")
    image = LabelledImage(1, "x.png", 640, 480, stamp_ns=5, topic=TOPIC)
    small = LabelledImage(1, "x.png", 320, 240, stamp_ns=FIRST_NS, topic=TOPIC)
    for name, only in (("OTHER", image), ("SMALL", small)):
        write_annotations(tmp_path / f"{name}.json", AnnotationSet((only,), ()))
    known = {"BAG": bag, "OTHER": tmp_path / "OTHER.json", "SMALL": tmp_path / "SMALL.json"}
    assert main(["replay", *(str(known.get(word, word)) for word in words), "--out", str(tmp_path / "out")]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("orpose replay: ")
    assert expected in error
    out = tmp_path / "out"
    assert not out.exists() or [path.name for path in out.iterdir()] == ["logs"], "docs/replay.md says so"


@needs_ros
def test_a_truncated_bag_is_one_line(fake_model, tmp_path):
    bag = tmp_path / "whole"
    write_image_bag(bag, frames(), TOPIC, [stamp_ns(index) for index in range(FRAMES)])
    broken = tmp_path / "bag"
    broken.mkdir()
    content = (bag / "whole.mcap").read_bytes()
    (broken / "bag.mcap").write_bytes(content[: len(content) // 2])
    metadata = (bag / "metadata.yaml").read_text().replace("whole.mcap", "bag.mcap")
    (broken / "metadata.yaml").write_text(metadata)
    ended = replay(broken, "--out", tmp_path / "out", "--model", fake_model)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "truncated" in ended.stderr


@needs_ros
def test_a_full_disk_is_one_line_and_leaves_nothing_half(bag, fake_model, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        ended = replay(bag, "--topic", TOPIC, "--out", disk, "--model", fake_model, "--threads", 1, "--rate", "max")
        assert ended.returncode == 2, ended.stderr
        assert ended.stderr.count("\n") == 1
        assert "No space left on device" in ended.stderr
        assert [path.name for path in disk.iterdir()] == ["logs"]
    finally:
        subprocess.run(["umount", disk], check=True)
