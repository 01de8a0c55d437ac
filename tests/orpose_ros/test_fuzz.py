"""Images that no camera would send, through the running node: each is answered, or dropped, counted and explained.

They are handed to the subscription's callback, so that ten thousand of them take seconds.
"""

from __future__ import annotations

import array
import itertools
import threading

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from orpose_models.errors import CalibrationError
from orpose_models.intrinsics import lens_from_camera_info
from orpose_ros.counts import BAD_IMAGE, FrameCounts, Totals
from orpose_ros.messages import image_message, stamp_ns
from orpose_ros.node import PoseNode

#: Encodings of sensor_msgs with the bytes of a pixel, and some that are none.
ENCODINGS = {
    **{"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono8": 1, "mono16": 2, "bgr16": 6, "rgba16": 8},
    **{"8UC1": 1, "8UC3": 3, "8UC4": 4, "8SC1": 1, "16UC1": 2, "16SC3": 6, "32SC1": 4, "32FC1": 4, "32FC3": 12},
    **{"64FC1": 8, "8UC2": 2, "bayer_rggb8": 1, "bayer_gbrg16": 2, "yuv422": 2, "yuv422_yuy2": 2, "nv21": 1, "nv12": 1},
    **{"": 1, "BGR8": 3, "32FC": 4, "8UC0": 1, "8UC999": 1, "jpeg": 1, "\N{SNOWMAN}": 1},
}
#: As many messages are handed in at once.
CAMERAS = [f"camera{number}" for number in range(20)]
ALL_ENCODINGS = tuple(sorted(ENCODINGS))
SMALL_SIZES = st.tuples(st.integers(0, 9), st.integers(0, 9))
UINT32 = st.one_of(st.integers(0, 20), st.sampled_from([2**16, 2**31 - 1, 2**31, 2**32 - 1]))
STAMPS = st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1))
HEADERS = st.builds(Header, stamp=STAMPS, frame_id=st.text(max_size=4))


class WatchedCounts(FrameCounts):
    """Tells when a frame has been answered or dropped."""

    def __init__(self, done: threading.Semaphore) -> None:
        super().__init__()
        self._done = done

    def count_answered(self) -> None:
        super().count_answered()
        self._done.release()

    def count_dropped(self, reason: str, problem: str = "") -> None:
        super().count_dropped(reason, problem)
        self._done.release()


class Target:
    """A running node with so many cameras that a whole list of messages can be handed in at once."""

    def __init__(self, node: PoseNode) -> None:
        self.cameras = list(node.cameras.values())
        self._done = threading.Semaphore(0)

    def give(self, infos: list[CameraInfo], depths: list[Image]) -> None:
        """What belongs to the next images."""
        for camera, info, depth in zip(self.cameras, infos, depths, strict=True):
            camera.space._info_subscription.callback(info)
            camera.space._depth_subscription.callback(depth)

    def take(self, messages: list[Image] | list[CompressedImage]) -> list[bool]:
        """Which messages were answered; fails where one was neither that nor dropped for a reason."""
        for camera, message in zip(self.cameras, messages, strict=True):
            camera.counts = WatchedCounts(self._done)
            camera.source._subscription.callback(message)
        for _ in messages:
            assert self._done.acquire(timeout=60), "neither answered nor dropped"
        return [self._was_answered(camera.counts.totals()) for camera in self.cameras]

    def _was_answered(self, totals: Totals) -> bool:
        assert (totals.received, totals.answered + totals.dropped) == (1, 1)
        if totals.answered:
            return True
        assert totals.dropped_by_reason == {BAD_IMAGE: 1}, f"an error that nobody thought of: {totals.last_problem}"
        assert totals.last_problem.isprintable(), "a publisher writes lines of its own into our log"
        assert 0 < len(totals.last_problem) < 300
        return False


@pytest.fixture
def make_target(ros, namespace, make_fake_model):
    def make(**parameters) -> Target:
        values = {"model": str(make_fake_model((64, 48))), "threads": 1, "cameras": CAMERAS, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))
        assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS, node.failure
        return Target(node)

    return make


def fuzz(cases: int):
    """Settings of a test with so many cases: the same in every run, so that a red run is about the change in it."""
    return settings(
        max_examples=cases // len(CAMERAS),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def raw_images(draw, encodings=ALL_ENCODINGS, sizes=SMALL_SIZES) -> Image:
    """An image that fits its encoding, then up to two fields that do not."""
    encoding = draw(st.sampled_from(encodings))
    width, height = draw(sizes)
    step = width * ENCODINGS[encoding] + draw(st.sampled_from([0, 0, 0, 3]))
    lines = height * 3 // 2 if encoding.startswith("nv") else height
    value = draw(st.integers(0, 255))
    image = Image(header=draw(HEADERS), encoding=encoding, width=width, height=height, step=step)
    image.data = array.array("B", (np.arange(lines * step) + value).astype(np.uint8).tobytes())
    for name in draw(
        st.lists(st.sampled_from(["encoding", "width", "height", "step", "is_bigendian", "data"]), max_size=2)
    ):
        match name:
            case "encoding":
                image.encoding = draw(st.one_of(st.sampled_from(ALL_ENCODINGS), st.text(max_size=8)))
            case "is_bigendian":
                image.is_bigendian = draw(st.integers(0, 255))
            case "data":
                image.data = array.array("B", draw(st.binary(max_size=64)))
            case _:
                setattr(image, name, draw(UINT32))
    return image


def encoded(suffix: str) -> bytes:
    picture = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    return cv2.imencode(suffix, picture)[1].tobytes()


FILES = [encoded(suffix) for suffix in (".jpg", ".png", ".bmp", ".tiff", ".webp", ".ppm")]


@st.composite
def compressed_images(draw) -> CompressedImage:
    """A picture file with up to three damages, or anything at all."""
    content = bytearray(draw(st.one_of(st.sampled_from(FILES), st.binary(max_size=64))))
    for damage in draw(st.lists(st.sampled_from(["cut", "flip", "insert", "swap head"]), max_size=3)):
        at = draw(st.integers(0, len(content)))
        match damage:
            case "cut":
                del content[at : at + draw(st.sampled_from([1, 4, 10_000]))]
            case "flip":
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "insert":
                content[at:at] = draw(st.binary(max_size=8))
            case "swap head":
                content[:16] = draw(st.sampled_from(FILES))[:16]
    image = CompressedImage(header=draw(HEADERS), format=draw(st.one_of(st.just("jpeg"), st.text(max_size=8))))
    image.data = array.array("B", bytes(content))
    return image


def lists_of(messages):
    return st.lists(messages, min_size=len(CAMERAS), max_size=len(CAMERAS))


def test_raw_images(make_target):
    target = make_target()
    number = {True: 0, False: 0}

    @fuzz(5000)
    @given(lists_of(raw_images()))
    def run(images: list[Image]) -> None:
        for image, answered in zip(images, target.take(images), strict=True):
            number[answered] += 1
            lines = image.height * 3 // 2 if image.encoding in ("nv12", "nv21") else image.height
            if not (image.width and image.height and len(image.data) == image.step * lines):
                assert not answered, "answered what cannot be an image"

    run()
    assert min(number.values()) > 500, "the generator makes both kinds"


def test_compressed_images(make_target):
    target = make_target(compressed=True)
    number = {True: 0, False: 0}

    @fuzz(4000)
    @given(lists_of(compressed_images()))
    def run(images: list[CompressedImage]) -> None:
        for answered in target.take(images):
            number[answered] += 1

    run()
    assert min(number.values()) > 200, "the generator makes both kinds"


def test_with_a_frame_size_and_privacy(make_target):
    """More arithmetic on sizes."""
    target = make_target(frame_size="640x480", downsample=12.0)

    @fuzz(500)
    @given(lists_of(raw_images()))
    def run(images: list[Image]) -> None:
        target.take(images)

    run()


FLOATS = st.floats(width=64) | st.sampled_from([0.0, 1.0, 500.0, 1e-300, 1e300])
FOCAL_LENGTHS = st.sampled_from([500.0, 320.0]) | FLOATS


@st.composite
def camera_infos(draw) -> CameraInfo:
    """A calibration of 640x480 images, with fields that cannot be."""
    info = CameraInfo(header=draw(HEADERS), width=640, height=480)
    info.distortion_model = draw(
        st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant", ""]) | st.text(max_size=5)
    )
    info.d = draw(st.lists(st.just(0.0) | FLOATS, max_size=14))
    info.k = [draw(FOCAL_LENGTHS), 0.0, draw(FLOATS), 0.0, draw(FOCAL_LENGTHS), draw(FLOATS), 0.0, 0.0, draw(FLOATS)]
    if draw(st.booleans()):
        info.width, info.height = draw(UINT32), draw(UINT32)
    if draw(st.booleans()):
        roi = {name: draw(UINT32) for name in ("x_offset", "y_offset", "width", "height")}
        info.roi = RegionOfInterest(**roi, do_rectify=draw(st.booleans()))
    return info


def test_calibrations():
    """Each is a lens, or one clear error."""
    number = {True: 0, False: 0}

    @fuzz(2000)
    @given(lists_of(camera_infos()))
    def run(infos: list[CameraInfo]) -> None:
        for info in infos:
            number[is_lens(info)] += 1

    run()
    assert min(number.values()) > 100, "the generator makes both kinds"


def test_calibrations_and_depth_beside_good_images(make_target):
    """People are placed in metres or not: the image is answered."""
    target = make_target(depth=True)
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[10:40, 20:30] = 255
    depth_images = raw_images(
        ("16UC1", "32FC1", "mono16", "bgr8", ""), st.sampled_from([(8, 6), (32, 24), (9, 9), (0, 6)])
    )

    @fuzz(200)
    @given(lists_of(camera_infos()), lists_of(depth_images))
    def run(infos: list[CameraInfo], depths: list[Image]) -> None:
        target.give(infos, depths)
        headers = [depth.header for depth in depths]  # of the same moment and frame
        assert all(target.take([image_message(pixels, header) for header in headers]))

    run()
    facts = [camera.space.facts() for camera in target.cameras]
    assert sum(int(fact["metric: answers with depth"]) for fact in facts) > 10, "the generator makes usable ones"


def is_lens(info: CameraInfo) -> bool:
    try:
        lens = lens_from_camera_info(info, (640, 480))
    except CalibrationError as error:
        assert str(error).isprintable() and len(str(error)) < 300
        return False
    with np.errstate(all="ignore"):  # an absurd lens may see nothing
        rays = lens.rays(np.array([[0.0, 0.0], [320.0, 240.0]]))
        assert lens.project(rays).shape == (2, 2)
    return True


def test_extreme_stamps_do_not_disturb_the_count(make_target):
    target = make_target()
    stamps = itertools.product((-(2**31), -1, 0, 1, 2**31 - 1), (0, 1, 10**9, 2**32 - 1))
    images = []
    for sec, nanosec in stamps:
        image = Image(encoding="mono8", width=1, height=1, step=1, data=array.array("B", [0]))
        image.header.stamp = Time(sec=sec, nanosec=nanosec)
        assert stamp_ns(image.header) == sec * 10**9 + nanosec
        images.append(image)
    assert all(target.take(images))
