"""Bags are written so that any reader of rosbag2 finds the frames again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpose_models.bags import stamp_ns_of, with_stamp, write_image_bag, write_raw_bag
from orpose_models.errors import InputError
from orpose_models.runtime.bags import BagImages

STAMPS_NS = [1_700_000_000_000_000_001, 1_700_000_000_100_000_002, 1_700_000_000_200_000_003]


@pytest.fixture
def frames() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (48, 64, 3), np.uint8) for _ in STAMPS_NS]


@pytest.mark.parametrize("options", [{"compressed": False}, {"picture_format": "png"}])
def test_frames_come_back_unchanged(tmp_path, frames, options):
    write_image_bag(tmp_path / "bag", iter(frames), "/or1/image_raw", STAMPS_NS, **options)
    bag = BagImages(tmp_path / "bag")
    assert bag.topic == "/or1/image_raw"
    assert bag.is_compressed == options.get("compressed", True)
    assert bag.frames_per_second == pytest.approx(10, rel=1e-3)
    read = list(bag)
    assert [frame.stamp_ns for frame in read] == STAMPS_NS
    for frame, expected in zip(read, frames, strict=True):
        np.testing.assert_array_equal(frame.image, expected)


def test_jpeg_is_near(tmp_path):
    frame = np.full((48, 64, 3), (10, 120, 200), np.uint8)
    write_image_bag(tmp_path / "bag", [frame], "/c", [1], jpeg_quality=95)
    (read,) = BagImages(tmp_path / "bag")
    assert np.abs(read.image.astype(int) - frame).max() <= 4


def test_an_existing_folder_is_not_overwritten(tmp_path, frames):
    with pytest.raises(InputError, match="exists already"):
        write_image_bag(tmp_path, frames, "/c", STAMPS_NS)


def test_another_number_of_stamps_is_an_error(tmp_path, frames):
    with pytest.raises(ValueError):
        write_image_bag(tmp_path / "bag", frames, "/c", STAMPS_NS[:2])


def test_raw_messages_are_passed_on_byte_for_byte(tmp_path, frames):
    write_image_bag(tmp_path / "first", frames, "/c", STAMPS_NS)
    messages = list(BagImages(tmp_path / "first").raw_messages())
    write_raw_bag(tmp_path / "second", messages)
    again = list(BagImages(tmp_path / "second").raw_messages())
    assert [(m.topic, m.msgtype, m.recorded_ns, m.cdr) for m in again] == [
        (m.topic, m.msgtype, m.recorded_ns, m.cdr) for m in messages
    ]


LITTLE_ENDIAN, BIG_ENDIAN = b"\0\1\0\0", b"\0\0\0\0"


@pytest.mark.parametrize(
    ("cdr", "stamp_ns"),
    [
        (LITTLE_ENDIAN + b"\2\0\0\0" + b"\3\0\0\0" + b"rest", 2_000_000_003),
        (BIG_ENDIAN + b"\0\0\0\2" + b"\0\0\0\3" + b"rest", 2_000_000_003),
    ],
)
def test_stamp_by_hand(cdr, stamp_ns):
    assert stamp_ns_of(cdr) == stamp_ns
    assert with_stamp(cdr, stamp_ns) == cdr
    assert with_stamp(cdr, 5)[12:] == b"rest"


@given(st.integers(0, 2**31 * 10**9 - 1), st.sampled_from([LITTLE_ENDIAN, BIG_ENDIAN]))
def test_any_stamp_comes_back(stamp_ns, encoding):
    assert stamp_ns_of(with_stamp(encoding + bytes(12), stamp_ns)) == stamp_ns
