"""Everything a camera delivers becomes 8-bit BGR, or one clear error."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orpose_models.errors import ImageError
from orpose_models.runtime.images import decode_image, to_bgr8


@pytest.mark.parametrize(
    ("pixel", "dtype", "expected"),
    [
        (7, np.uint8, [7, 7, 7]),
        ([7], np.uint8, [7, 7, 7]),
        ([1, 2, 3], np.uint8, [1, 2, 3]),
        ([1, 2, 3, 99], np.uint8, [1, 2, 3]),
        (65535, np.uint16, [255, 255, 255]),
        ([257, 514, 128], np.uint16, [1, 2, 0]),
        ([129, 385, 0, 9], np.uint16, [1, 1, 0]),
        ([0.0, 0.5, 1.0], np.float32, [0, 128, 255]),
        (0.25, np.float64, [64, 64, 64]),
    ],
)
def test_one_pixel(pixel, dtype, expected):
    image = np.array(pixel, dtype)[None, None]
    assert to_bgr8(image).tolist() == [[expected]]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 0), np.uint8), "no pixels"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 4, 2), np.uint8), r"got shape \(4, 4, 2\)"),
        (np.zeros((4,), np.uint8), r"got shape \(4,\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), "got shape"),
        (np.full((4, 4), np.nan, np.float32), "nan"),
        (np.array([[0, np.nan]], np.float32), "nan"),
        (np.array([[0, np.inf]], np.float32), "inf"),
        (np.full((4, 4), 200.0, np.float32), "expected 0 to 1"),
        (np.zeros((4, 4), np.int32), "got int32"),
        (np.zeros((4, 4), bool), "got bool"),
        ([[0, 1]], "got list"),
    ],
)
def test_unusable_images_are_named(image, message):
    with pytest.raises(ImageError, match=message):
        to_bgr8(image)


def test_fitting_image_is_not_copied():
    image = np.zeros((480, 640, 3), np.uint8)
    assert to_bgr8(image) is image


def test_large_image():
    image = np.zeros((6000, 8000), np.uint16)
    assert to_bgr8(image).shape == (6000, 8000, 3)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4])),
    )
)
def test_keeps_order_and_range(image):
    result = to_bgr8(image)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    scale = 255 / np.iinfo(image.dtype).max
    expected = image[..., :3] if image.shape[2] > 1 else np.repeat(image, 3, 2)
    assert np.abs(result - expected * scale).max() <= 0.5 + 1e-6
    # Any view of the same pixels gives the same result.
    flipped = to_bgr8(image[::-1, ::-1])
    assert np.array_equal(flipped, result[::-1, ::-1])


def encode(suffix: str, height: int = 48, width: int = 64) -> bytes:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(suffix, image)[1].tobytes()


def decode(content: bytes) -> np.ndarray:
    return decode_image(np.frombuffer(content, np.uint8))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tiff", ".webp"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_no_image(suffix, share):
    content = encode(suffix)
    assert decode(content).shape == (48, 64, 3)
    with pytest.raises(ImageError):
        decode(content[: int(share * len(content))])


def test_a_jpeg_that_lost_its_end_is_named_whatever_opencv_makes_of_it(monkeypatch):
    """OpenCV 4 gives a picture that is grey from there on."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: np.zeros((48, 64, 3), np.uint8))
    content = encode(".jpg")
    thumbnail = content[:2] + b"\xff\xe1\x00\x06\xff\xd9zz" + content[2:]  # an end inside a header
    for truncated in (content[:-2], content[: len(content) // 2], thumbnail[:-2]):
        with pytest.raises(ImageError, match="ends too early"):
            decode(truncated)
    for padded in (content, thumbnail, content + bytes(1000), content + b"driver's own"):
        decode(padded)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_000, 12_000, 2**31 - 1])
def test_a_small_file_that_claims_a_huge_picture_is_refused(side):
    with pytest.raises(ImageError, match=r"67108864"):
        decode(png_that_claims(side, side))
