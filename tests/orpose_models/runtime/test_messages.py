"""ROS image messages -> BGR, every byte annotated, for messages as rosbags and as rclpy hand them out."""

from __future__ import annotations

import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from orpose_models.errors import ImageError
from orpose_models.runtime.messages import bgr8_from_message


def raw(encoding: str, content: bytes, *, width=2, height=1, step=None, big_endian=0, kind=bytes) -> SimpleNamespace:
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=big_endian,
        step=len(content) // max(1, height) if step is None else step,
        data=kind(content),
    )


@pytest.mark.parametrize(
    ("encoding", "content", "expected"),
    [
        ("bgr8", b"\x01\x02\x03\x04\x05\x06", [[1, 2, 3], [4, 5, 6]]),
        ("rgb8", b"\x01\x02\x03\x04\x05\x06", [[3, 2, 1], [6, 5, 4]]),
        ("bgra8", b"\x01\x02\x03\xff\x04\x05\x06\x00", [[1, 2, 3], [4, 5, 6]]),
        ("rgba8", b"\x01\x02\x03\xff\x04\x05\x06\x00", [[3, 2, 1], [6, 5, 4]]),
        ("mono8", b"\x07\x09", [[7, 7, 7], [9, 9, 9]]),
        ("8UC1", b"\x07\x09", [[7, 7, 7], [9, 9, 9]]),
        ("8UC3", b"\x01\x02\x03\x04\x05\x06", [[1, 2, 3], [4, 5, 6]]),
        ("mono16", b"\xff\xff\x01\x01", [[255, 255, 255], [1, 1, 1]]),  # 0x0101 = 257 = one 8-bit step
        ("16UC1", b"\xff\xff\x02\x02", [[255, 255, 255], [2, 2, 2]]),
        ("rgb16", b"\x01\x01\x02\x02\x03\x03\x04\x04\x05\x05\xff\xff", [[3, 2, 1], [255, 5, 4]]),
        ("32FC1", np.array([0, 1], "<f4").tobytes(), [[0, 0, 0], [255, 255, 255]]),
    ],
)
def test_encodings(encoding, content, expected):
    assert bgr8_from_message(raw(encoding, content)).tolist() == [expected]


def test_byte_order():
    assert bgr8_from_message(raw("mono16", b"\x01\x02\x00\x00", big_endian=1))[0, 0, 0] == 1  # 0x0102 / 257


def test_nv12_and_yuv_and_bayer_have_the_images_size():
    # nv12: 2 lines of brightness 128 and one of colour 128, 128: grey.
    image = bgr8_from_message(raw("nv12", bytes([128] * 12), width=4, height=2, step=4))
    assert image.shape == (2, 4, 3)
    assert np.abs(image.astype(int) - 130).max() <= 3
    assert bgr8_from_message(raw("yuv422_yuy2", bytes([128] * 16), width=4, height=2)).shape == (2, 4, 3)
    assert bgr8_from_message(raw("bayer_rggb8", bytes([128] * 16), width=4, height=4)).shape == (4, 4, 3)


def test_padded_rows_are_cut():
    content = b"\x01\x02\x03\x04\x05\x06\xee\xee" + b"\x07\x08\x09\x0a\x0b\x0c\xee\xee"
    image = bgr8_from_message(raw("bgr8", content, height=2, step=8))
    assert image.tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, lambda b: array.array("B", b), lambda b: np.frombuffer(b, np.uint8)]
)
def test_every_kind_of_buffer_is_viewed_not_copied(kind):
    message = raw("bgr8", bytes(range(6)), kind=kind)
    image = bgr8_from_message(message)
    assert image.ravel().tolist() == list(range(6))
    assert np.shares_memory(image, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (raw("bgr8", b"", width=0, height=0), "0x0"),
        (raw("bgr8", b"\x00" * 5), "step 5"),  # a row needs 6 bytes
        (raw("bgr8", b"\x00" * 6, height=2, step=6), "6 bytes, expected step >= 6 and step x 2"),
        (raw("bgr8", b"\x00" * 13, height=2, step=6), "13 bytes"),
        (raw("bgr8", b"\x00" * 6, step=0), "step 0"),
        (raw("klingon8", b"\x00" * 6), "encoding 'klingon8' is unknown"),
        (raw("", b"\x00" * 6), "encoding '' is unknown"),
        (raw("32FC1", np.array([0, 3.5], "<f4").tobytes()), "expected 0 to 1"),
        (raw("16SC1", b"\x00" * 4), "int16"),
        (raw("8UC2", b"\x00" * 4), "shape"),
    ],
)
def test_bad_messages(message, text):
    with pytest.raises(ImageError, match=text) as caught:
        bgr8_from_message(message)
    assert "\n" not in str(caught.value)


def compressed(content: bytes, name="png") -> SimpleNamespace:
    return SimpleNamespace(format=name, data=np.frombuffer(content, np.uint8))


def test_compressed_images():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    content = cv2.imencode(".png", image)[1].tobytes()
    assert np.array_equal(bgr8_from_message(compressed(content)), image)
    grey = cv2.imencode(".png", np.full((2, 2), 65535, np.uint16))[1].tobytes()
    assert bgr8_from_message(compressed(grey)).tolist() == [[[255] * 3] * 2] * 2


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_bad_compressed_images(content):
    with pytest.raises(ImageError, match="compressed image \\(jpeg\\)"):
        bgr8_from_message(compressed(content, "jpeg"))
