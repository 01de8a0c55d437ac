"""ROS images to pixels: by hand, without a copy, and the same through cv_bridge."""

from __future__ import annotations

import array
import sys
import types

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from orpose_models.errors import ImageError
from orpose_ros import image_messages
from orpose_ros.image_messages import bgr8_from_ros, cv_bridge_converter


@pytest.fixture(autouse=True)
def fresh_choice():
    cv_bridge_converter.cache_clear()
    yield
    cv_bridge_converter.cache_clear()


def message(
    encoding: str, pixel_bytes: list[int], width: int = 2, height: int = 1, padding: int = 0, **fields
) -> Image:
    row_bytes = len(pixel_bytes) // height
    rows = [pixel_bytes[row * row_bytes : (row + 1) * row_bytes] + [99] * padding for row in range(height)]
    image = Image(encoding=encoding, width=width, height=height, step=row_bytes + padding, **fields)
    image.data = array.array("B", [value for row in rows for value in row])
    return image


#: Encoding, bytes of a 2x1 image, its BGR pixels.
CASES = [
    ("bgr8", [1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]),
    ("8UC3", [1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]),
    ("rgb8", [1, 2, 3, 4, 5, 6], [[3, 2, 1], [6, 5, 4]]),
    ("bgra8", [1, 2, 3, 0, 4, 5, 6, 255], [[1, 2, 3], [4, 5, 6]]),
    ("rgba8", [1, 2, 3, 0, 4, 5, 6, 255], [[3, 2, 1], [6, 5, 4]]),
    ("mono8", [7, 200], [[7, 7, 7], [200, 200, 200]]),
    ("8UC1", [7, 200], [[7, 7, 7], [200, 200, 200]]),
    # 16 bit: 65535 becomes 255, 257 becomes 1, 129 (more than half of 257) becomes 1.
    ("mono16", [0xFF, 0xFF, 129, 0], [[255, 255, 255], [1, 1, 1]]),
    ("bgr16", [0, 0, 1, 1, 0xFF, 0xFF] * 2, [[0, 1, 255]] * 2),
    ("rgb16", [0, 0, 1, 1, 0xFF, 0xFF] * 2, [[255, 1, 0]] * 2),
    # Without colour (U = V = 128) luma 16 is black and 235 is white.
    ("yuv422", [128, 16, 128, 235], [[0, 0, 0], [255, 255, 255]]),
    ("yuv422_yuy2", [16, 128, 235, 128], [[0, 0, 0], [255, 255, 255]]),
]


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(("encoding", "data", "expected"), CASES, ids=[case[0] for case in CASES])
def test_encodings_by_hand(encoding, data, expected, padding):
    np.testing.assert_array_equal(bgr8_from_ros(message(encoding, data, padding=padding)), [expected])


def test_rows_are_not_mixed_up():
    image = message("mono8", [1, 2, 3, 4], height=2, padding=3)
    np.testing.assert_array_equal(bgr8_from_ros(image)[..., 0], [[1, 2], [3, 4]])


def test_big_endian():
    image = message("mono16", [0x01, 0x01, 0xFF, 0xFF], is_bigendian=1)
    np.testing.assert_array_equal(bgr8_from_ros(image)[0, :, 0], [1, 255])


def test_bgr8_is_not_copied():
    image = message("bgr8", [1, 2, 3, 4, 5, 6])
    pixels = bgr8_from_ros(image)
    assert np.shares_memory(pixels, np.frombuffer(image.data, np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        message("purple8", [1, 2]),
        message("", [1, 2]),
        message("32FC2", [0] * 16),
        message("mono8", [1, 2], width=3),
        message("mono8", [1, 2], height=1, width=0),
        message("bgr8", [1, 2, 3, 4, 5]),
        Image(encoding="bgr8", width=2, height=2, step=6, data=array.array("B", bytes(11))),
        Image(encoding="bgr8", width=2, height=2, step=6, data=array.array("B", bytes(13))),
        CompressedImage(format="jpeg"),
        CompressedImage(format="jpeg", data=array.array("B", bytes(100))),
    ],
    ids=lambda image: f"{image.__class__.__name__}-{len(image.data)}",
)
def test_unusable_images_are_one_clear_error(image):
    with pytest.raises(ImageError) as caught:
        bgr8_from_ros(image)
    assert "\n" not in str(caught.value)


def test_real_cv_bridge_gives_the_same_pixels():
    pytest.importorskip("cv_bridge", reason="cv_bridge comes with ROS from apt only")
    converter = cv_bridge_converter()
    if converter is None:
        pytest.skip("this cv_bridge crashes with this numpy")
    for encoding, data, expected in CASES:
        np.testing.assert_array_equal(bgr8_from_ros(message(encoding, data, padding=5)), [expected])


def use_fake_cv_bridge(monkeypatch, numpy_version: str) -> list[str]:
    """A cv_bridge that notes what it is asked for, in the place of a real one."""
    asked: list[str] = []

    class CvBridgeError(TypeError):
        pass

    class CvBridge:
        def imgmsg_to_cv2(self, image, encoding):
            asked.append(encoding)
            if image.encoding in ("uyvy", "yuyv", "nv12", "nv21"):  # as Humble's
                raise CvBridgeError(f"Unrecognized image encoding [{image.encoding}]")
            rows = np.frombuffer(image.data, np.uint16).reshape(image.height, image.step // 2)
            return np.repeat(rows[..., None], 3, axis=-1)

    module = types.ModuleType("cv_bridge")
    module.CvBridge, module.CvBridgeError = CvBridge, CvBridgeError  # type: ignore[attr-defined]
    module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    monkeypatch.setattr(image_messages.np, "__version__", numpy_version)
    return asked


def test_cv_bridge_is_used_where_it_is_installed(monkeypatch):
    asked = use_fake_cv_bridge(monkeypatch, "1.26.4")
    pixels = bgr8_from_ros(message("mono16", [0xFF, 0xFF, 1, 1], padding=4))
    np.testing.assert_array_equal(pixels[0, :, 0], [255, 1])
    assert asked == ["bgr16"], "16 bit become 8 in one place only"


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("uyvy", [128, 16, 128, 235]), ("yuyv", [16, 128, 235, 128]), ("nv12", [16, 235, 16, 235, 128, 128])],
)
def test_what_cv_bridge_refuses_is_converted_without_it(monkeypatch, encoding, data):
    asked = use_fake_cv_bridge(monkeypatch, "1.26.4")
    image = message(encoding, data)
    if encoding == "nv12":
        image.height, image.step = 2, 2
    np.testing.assert_array_equal(bgr8_from_ros(image)[0], [[0, 0, 0], [255, 255, 255]])
    assert asked == ["bgr8"]


def test_cv_bridge_that_would_crash_is_not_touched(monkeypatch):
    asked = use_fake_cv_bridge(monkeypatch, "2.1.0")
    bgr8_from_ros(message("mono16", [0xFF, 0xFF, 1, 1]))
    assert asked == []
