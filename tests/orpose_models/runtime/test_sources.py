"""Frames from folders, images, videos and bags; and what is said where there are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from orpose_models.errors import InputError
from orpose_models.runtime.frames import Frame, Unreadable
from orpose_models.runtime.sources import open_source


def save(path, value=0, shape=(4, 6, 3), dtype=np.uint8):
    cv2.imwrite(str(path), np.full(shape, value, dtype))


def test_folder_in_natural_order(tmp_path):
    for name in ("frame10.png", "frame2.png", "frame1.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    source = open_source(tmp_path)
    assert len(source) == 3
    assert [(f.index, f.name) for f in source] == [(0, "frame1.png"), (1, "frame2.png"), (2, "frame10.png")]
    assert [f.index for f in source] == [0, 1, 2]  # again from the beginning


def test_depth_and_instances_beside_an_image_are_no_frames(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        save(tmp_path / name)
    for name in ("a_depth.png", "a_instances.png", "seen_in_depth.png"):
        save(tmp_path / name, 1000, (4, 6), np.uint16)
    assert [frame.name for frame in open_source(tmp_path)] == ["a.jpg", "b.jpg", "seen_in_depth.png"]


def test_folders_of_several_cameras_only_where_they_are_wanted(tmp_path):
    for name in ("day2/cam1/0.png", "day1/cam10/0.png", "day1/cam2/0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        save(tmp_path / name)
    (tmp_path / "day2/cam1/1.png").write_bytes(b"")
    names = [item.name for item in open_source(tmp_path, nested=True)]
    assert names == ["day1/cam2/0.png", "day1/cam10/0.png", "day2/cam1/0.png", "day2/cam1/1.png"]
    with pytest.raises(InputError, match=r"no images .* in this folder"):
        open_source(tmp_path)


def test_depth_and_colour_of_files_are_kept(tmp_path):
    save(tmp_path / "a.png", 40000, (4, 6), np.uint16)
    (frame,) = open_source(tmp_path / "a.png")
    assert frame.image.dtype == np.uint16
    assert frame.image.max() == 40000
    assert frame.decode_ms > 0


def test_unreadable_images_take_their_place(tmp_path):
    save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"\x89PNG broken")
    (tmp_path / "2.png").write_bytes(b"")
    save(tmp_path / "3.jpg")
    items = list(open_source(tmp_path))
    assert [type(item) for item in items] == [Frame, Unreadable, Unreadable, Frame]
    assert items[1].reason == "not an image that can be decoded (11 bytes)"
    assert items[3].index == 3


def test_a_link_to_nowhere_takes_its_place(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone/b.png")
    frames = list(open_source(tmp_path))
    assert isinstance(frames[0], Frame) and isinstance(frames[1], Unreadable)
    assert (frames[1].name, frames[1].reason) == ("b.png", "cannot be read (No such file or directory)")


def test_video(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for value in (10, 100, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    source = open_source(path)
    frames = list(source)
    assert len(source) == 3
    assert source.frames_per_second == 25
    assert [f.name for f in frames] == ["clip.avi#000000", "clip.avi#000001", "clip.avi#000002"]
    assert [round(float(f.image.mean()), -1) for f in frames] == [10, 100, 200]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("as_file", [False, True])
def test_bag(write_bag, storage, as_file):
    path = write_bag(storage=storage)
    if as_file:
        (path,) = (p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    source = open_source(path)
    frames = list(source)
    assert len(source) == 5
    assert source.topic == "/camera/image_raw"
    assert source.frames_per_second == pytest.approx(10, rel=0.01)
    assert [int(f.image[0, 0, 0]) for f in frames] == [0, 1, 2, 3, 4]
    assert [f.stamp_ns for f in frames] == [10**9 + i * 10**8 for i in range(5)]
    assert frames[1].name == "/camera/image_raw#1100000000"


def test_bag_with_several_topics(write_bag):
    path = write_bag(topics=("/a/image_raw", "/b/image_raw"), count=2)
    with pytest.raises(InputError, match="choose one with --topic: /a/image_raw, /b/image_raw"):
        open_source(path)
    assert len(list(open_source(path, "/b/image_raw"))) == 2
    with pytest.raises(InputError, match="no image topic '/c' in the bag, it has /a/image_raw, /b/image_raw"):
        open_source(path, "/c")


def test_bad_images_of_a_bag_take_their_place(write_bag):
    items = list(open_source(write_bag(broken_step_at=(1, 3))))
    assert [type(item) for item in items] == [Frame, Unreadable, Frame, Unreadable, Frame]
    assert "6x4 bgr8 image has step 17 and 72 bytes" in items[1].reason


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
def test_truncated_bags(write_bag, storage, kept):
    path = write_bag(storage=storage, count=40, shape=(40, 60))
    (file,) = (p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    for target in (path, file):
        with pytest.raises(InputError) as caught:
            list(open_source(target))
        assert str(target) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_bag_without_its_file_or_with_broken_metadata(write_bag):
    path = write_bag(count=1)
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    with pytest.raises(InputError, match="truncated or damaged"):
        open_source(path)
    path = write_bag(count=1)
    next(path.glob("*.mcap")).unlink()
    with pytest.raises(InputError, match="missing"):
        open_source(path)


def test_bags_without_images(write_bag):
    with pytest.raises(InputError, match="no topic of type sensor_msgs/msg/Image"):
        open_source(write_bag(topics=()))
    with pytest.raises(InputError, match="no messages"):
        open_source(write_bag(count=0))


def test_missing_empty_and_unknown(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        open_source(tmp_path / "missing")
    with pytest.raises(InputError, match="no images"):
        open_source(tmp_path)
    (tmp_path / "frames").mkdir()
    save(tmp_path / "frames" / "0.png")
    with pytest.raises(InputError, match="there are some in its folders frames"):
        open_source(tmp_path)
    (tmp_path / "a.xyz").write_text("x")
    with pytest.raises(InputError, match=r"unknown kind of file '\.xyz'"):
        open_source(tmp_path / "a.xyz")
    with pytest.raises(InputError, match="only in a bag"):
        open_source(tmp_path / "frames", "/topic")


@pytest.mark.parametrize("content", [b"", b"not a video"])
def test_broken_video(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a video that can be decoded"):
        open_source(path)


def test_a_video_that_ends_early_says_which_frames_are_missing(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(40):
        writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    items = list(open_source(path))
    assert [item.index for item in items] == list(range(40))
    read = sum(isinstance(item, Frame) for item in items)
    assert 10 < read < 30
    assert items[-1] == Unreadable(39, "clip.avi#000039", "the video ends before this frame")
