"""Which frames are labelled: thinning, recordings, splits, bags and videos, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, Camera, LabelledImage, write_annotations
from orpose_models.bags import write_image_bag
from orpose_models.errors import InputError
from training.teacher.config import LabellingConfig
from training.teacher.frames import (
    FrameRef,
    _Finder,
    cameras_of,
    forget_listing,
    listed_frames,
    read_listing,
    recordings_kept_aside,
)


def save(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((8, 12, 3), value, np.uint8))


def listed(inputs: list[Path], out: Path, **options):
    out.mkdir(exist_ok=True)
    return listed_frames(inputs, out, LabellingConfig(**options))


def test_a_folder_of_images_is_thinned_and_stays_where_it_is(tmp_path):
    for number in range(7):
        save(tmp_path / f"room/frame{number + 5}.png")
    listing = listed([tmp_path / "room"], tmp_path / "out", every=3)
    assert [(f.image_id, f.path, f.frame_index) for f in listing.frames] == [
        (0, "../room/frame5.png", 0),
        (1, "../room/frame8.png", 3),
        (2, "../room/frame11.png", 6),
    ]
    assert {f.sequence for f in listing.frames} == {"room"}


def test_every_folder_below_is_a_recording_thinned_by_itself(tmp_path):
    for name in ("day1/a", "day1/b", "day2/a"):
        for number in range(3):
            save(tmp_path / f"or/{name}/{number}.png")
    listing = listed([tmp_path / "or"], tmp_path / "out", every=2)
    expected = ["or/day1/a", "or/day1/b", "or/day2/a"]
    assert [f.sequence for f in listing.frames] == [name for name in expected for _ in range(2)]
    assert [f.image_id for f in listing.frames] == list(range(6))


def test_the_output_folder_is_no_input(tmp_path):
    save(tmp_path / "or/a/0.png")
    save(tmp_path / "or/out/images/old.png")
    assert [f.path for f in listed([tmp_path / "or"], tmp_path / "or/out").frames] == ["../a/0.png"]


def test_frames_of_a_bag_are_written_with_topic_and_stamp(tmp_path):
    frames = [np.full((8, 12, 3), 10 * n, np.uint8) for n in range(5)]
    write_image_bag(tmp_path / "bag", frames, "/cam/image", [10**9 + n for n in range(5)], compressed=False)
    listing = listed([tmp_path / "bag"], tmp_path / "out", every=2)
    assert [(f.frame_index, f.topic, f.stamp_ns, f.sequence) for f in listing.frames] == [
        (n, "/cam/image", 10**9 + n, "bag") for n in (0, 2, 4)
    ]
    for n, frame in zip((0, 2, 4), listing.frames, strict=True):
        assert (cv2.imread(str(tmp_path / "out" / frame.path)) == 10 * n).all()
    assert sorted(p.name for p in (tmp_path / "out/images").rglob("*.png")) == [f"000000{n}.png" for n in (0, 2, 4)]


def test_a_folder_of_bags_and_videos(tmp_path):
    frames = [np.full((48, 64, 3), 9, np.uint8)] * 2
    for name in ("monday", "tuesday"):
        (tmp_path / "or").mkdir(exist_ok=True)
        write_image_bag(tmp_path / "or" / name, frames, "/cam/image", [1, 2])
    writer = cv2.VideoWriter(str(tmp_path / "or/clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for frame in frames:
        writer.write(frame)
    writer.release()
    listing = listed([tmp_path / "or"], tmp_path / "out")
    assert [f.sequence for f in listing.frames] == [f"or/{n}" for n in ("monday", "tuesday", "clip.avi") for _ in "ab"]
    assert len({f.path for f in listing.frames}) == 6


def test_several_topics_of_a_bag(tmp_path, write_two_topics):
    with pytest.raises(InputError, match="choose one with --topic"):
        listed([write_two_topics], tmp_path / "out")
    listing = listed([write_two_topics], tmp_path / "out", topic=("/a/image", "/b/image"))
    assert [f.topic for f in listing.frames] == ["/a/image", "/a/image", "/b/image", "/b/image"]
    assert len({f.path for f in listing.frames}) == 4 and {f.sequence for f in listing.frames} == {"bag"}


def test_topics_without_a_bag_are_not_ignored(tmp_path):
    save(tmp_path / "room/0.png")
    with pytest.raises(InputError, match=r"room: topics \(/a/image\) can be chosen only in bags"):
        listed([tmp_path / "room"], tmp_path / "out", topic=("/a/image",))
    assert not (tmp_path / "out/frames.json").exists()


@pytest.fixture
def write_two_topics(tmp_path) -> Path:
    from orpose_models.bags import compressed_message, write_raw_bag

    frame = np.zeros((8, 12, 3), np.uint8)
    messages = [
        compressed_message(frame, topic, stamp, "png", 90, "camera")
        for stamp in (1, 2)
        for topic in ("/a/image", "/b/image")
    ]
    write_raw_bag(tmp_path / "bag", messages)
    return tmp_path / "bag"


def label_file(folder: Path, first_id: int = 100) -> None:
    images = []
    for number in range(4):
        save(folder / f"images/{number}.png")
        images.append(
            LabelledImage(first_id + number, f"images/{number}.png", 12, 8, f"cam{number % 2}", f"scene{number // 2}")
        )
    camera = Camera("cam0", "plumb_bob", (12, 8), 10, 10, 6, 4)
    write_annotations(folder / "annotations.json", AnnotationSet(tuple(images), (), {"cam0": camera}))


def test_a_label_file_gives_ids_sequences_and_cameras(tmp_path):
    label_file(tmp_path / "set")
    listing = listed([tmp_path / "set"], tmp_path / "out")
    assert [(f.image_id, f.sequence, f.camera_id) for f in listing.frames] == [
        (100, "scene0", "cam0"),
        (101, "scene0", "cam1"),
        (102, "scene1", "cam0"),
        (103, "scene1", "cam1"),
    ]
    assert list(cameras_of([tmp_path / "set" / "annotations.json"])) == ["cam0"]


def test_a_label_file_whose_first_image_is_missing(tmp_path):
    label_file(tmp_path / "set")
    (tmp_path / "set/images/0.png").unlink()
    assert listed([tmp_path / "set"], tmp_path / "out").frames[1].path == "../set/images/1.png"


def test_a_label_file_without_its_images(tmp_path):
    label_file(tmp_path / "set")
    (tmp_path / "set/images").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"its images \(images/0.png, ...\) are not beside it; give the image folder"):
        listed([tmp_path / "set"], tmp_path / "out")


def test_two_label_files_do_not_mix_ids_sequences_and_cameras(tmp_path):
    label_file(tmp_path / "one")
    label_file(tmp_path / "two")
    listing = listed([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    assert [f.image_id for f in listing.frames] == list(range(8))
    assert listing.frames[0].sequence == "one/scene0" and listing.frames[4].camera_id == "two/cam0"
    assert list(cameras_of([tmp_path / "one", tmp_path / "two"])) == ["one/cam0", "two/cam0"]


def test_a_restart_does_not_look_again(tmp_path):
    save(tmp_path / "room/0.png")
    first = listed([tmp_path / "room"], tmp_path / "out")
    save(tmp_path / "room/1.png")
    assert listed([tmp_path / "room"], tmp_path / "out") == first == read_listing(tmp_path / "out")


def two_recordings(tmp_path: Path) -> list[Path]:
    for name, value in (("monday", 9), ("tuesday", 90)):
        write_image_bag(tmp_path / name, [np.full((8, 12, 3), value, np.uint8)] * 2, "/cam/image", [1, 2])
    return [tmp_path / "monday", tmp_path / "tuesday"]


def test_a_kill_between_two_recordings_decodes_neither_twice(tmp_path, monkeypatch):
    inputs, opened = two_recordings(tmp_path), []
    whole = listed(inputs, tmp_path / "whole")
    decoded = _Finder._decoded

    def killed_at_the_second(finder, source, *rest):
        opened.append(source.path.name)
        if opened == ["monday", "tuesday"]:
            raise KeyboardInterrupt
        return decoded(finder, source, *rest)

    monkeypatch.setattr(_Finder, "_decoded", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        listed(inputs, tmp_path / "out")
    assert not (tmp_path / "out/frames.json").exists()
    assert listed(inputs, tmp_path / "out") == whole
    assert opened == ["monday", "tuesday", "tuesday"]
    assert [frame.image_id for frame in whole.frames] == [0, 1, 2, 3]


def test_what_is_forgotten_is_decoded_anew(tmp_path):
    inputs = two_recordings(tmp_path)
    assert len(listed(inputs, tmp_path / "out").frames) == 4
    forget_listing(tmp_path / "out")
    assert [f.frame_index for f in listed(inputs, tmp_path / "out", every=2).frames] == [0, 0]


def test_frames_that_cannot_be_decoded_are_listed(tmp_path):
    from orpose_models.bags import compressed_message, write_raw_bag

    good = compressed_message(np.zeros((8, 12, 3), np.uint8), "/cam/image", 1, "png", 90, "camera")
    bad = compressed_message(np.zeros((8, 12, 3), np.uint8), "/cam/image", 2, "png", 90, "camera")
    object.__setattr__(bad, "cdr", bad.cdr[:-40] + bytes(40))
    write_raw_bag(tmp_path / "bag", [good, bad])
    listing = listed([tmp_path / "bag"], tmp_path / "out")
    assert len(listing.frames) == 1
    assert [name for name, _ in listing.unreadable] == ["/cam/image#2"]


def test_two_recordings_of_one_name(tmp_path):
    for name in ("x/room", "y/room"):
        save(tmp_path / name / "0.png")
    with pytest.raises(InputError, match="recording 'room' is in two inputs"):
        listed([tmp_path / "x/room", tmp_path / "y/room"], tmp_path / "out")


def test_image_files_of_one_folder_are_one_recording(tmp_path):
    for name in ("a/frame10.png", "a/frame9.png", "a/frame11.png", "b/frame9.png"):
        save(tmp_path / name)
    files = [tmp_path / name for name in ("a/frame10.png", "b/frame9.png", "a/frame11.png", "a/frame9.png")]
    listing = listed(files, tmp_path / "out", every=2)
    assert [(f.image_id, f.path, f.sequence, f.frame_index) for f in listing.frames] == [
        (0, "../a/frame9.png", "a", 0),
        (1, "../a/frame11.png", "a", 2),
        (2, "../b/frame9.png", "b", 0),
    ]
    assert recordings_kept_aside(listing.frames, 0.1) in ({"a"}, {"b"})
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        listed([files[0], tmp_path / "a/gone.png"], tmp_path / "other")


def test_nothing_to_label(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    for path, message in (("empty", "no images"), ("none", "no such file"), ("notes.txt", "unknown kind of file")):
        with pytest.raises(InputError, match=f"{path}.*{message}"):
            listed([tmp_path / path], tmp_path / "out")


def test_a_truncated_bag(tmp_path):
    frames = [np.random.default_rng(n).integers(0, 255, (48, 64, 3)).astype(np.uint8) for n in range(20)]
    write_image_bag(tmp_path / "bag", frames, "/cam/image", list(range(1, 21)), picture_format="png")
    (file,) = (tmp_path / "bag").glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="truncated or damaged"):
        listed([tmp_path / "bag"], tmp_path / "out")
    assert not (tmp_path / "out/frames.json").exists()


def refs(**counts: int) -> list[FrameRef]:
    return [FrameRef(0, "", name, n) for name, count in counts.items() for n in range(count)]


@pytest.mark.parametrize("share", [0.04, 0.3, 0.6])
def test_whole_recordings_are_kept_aside(share):
    frames = refs(a=10, b=20, c=30, d=40)
    aside = recordings_kept_aside(frames, share)
    images = sum(frame.sequence in aside for frame in frames)
    assert images >= share * 100 and aside < {"a", "b", "c", "d"}
    assert recordings_kept_aside(list(reversed(frames)), share) == aside  # the order of names, not of files


def test_no_split():
    assert recordings_kept_aside(refs(a=10), 0) == set()
    with pytest.raises(
        InputError, match=r"split 0.04: all images are of one recording \('a'\), .* never split by frame"
    ):
        recordings_kept_aside(refs(a=10), 0.04)
