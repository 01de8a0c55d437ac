"""With `downsample`, nothing written or published shows the camera's full resolution; without it, the search finds it.

The camera's images and depth carry stripes that downsampling by 12 turns into plain grey. Every file, message, log and
error is searched for them: pictures (also in videos, bags and HTML) by their frequency, everything else by the stripes'
bytes and by their values in a text.
"""

from __future__ import annotations

import array
import base64
import importlib.util
import itertools
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.bags import compressed_message, write_raw_bag
from orpose_models.draw import VideoWriter
from orpose_models.runtime.bags import RawMessage
from orpose_models.runtime.downsample import privacy_downsample

ROOT = Path(__file__).resolve().parents[1]
needs_ros = pytest.mark.skipif(
    importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("orpose_msgs") is None,
    reason="no ROS 2 for this platform",
)
#: What `orpose` can write for Rerun, where that is installed.
RERUN = {"clip.rrd"} if importlib.util.find_spec("rerun") else set()
#: Grey values and depths (mm) of the stripes, each three px wide.
DARK, BRIGHT = 37, 181
NEAR, FAR = 1237, 4181
FRAMES = 3

# --- what is hidden ------------------------------------------------------------------------------------------------


def stripes(low: int, high: int, dtype: type) -> np.ndarray:
    """`(240, 320)` vertical stripes with a period of 6 px."""
    columns = np.where(np.arange(320) // 3 % 2, high, low).astype(dtype)
    return np.tile(columns, (240, 1))


def camera_image(index: int) -> np.ndarray:
    """`(480, 640, 3)`: stripes below on the left, a person to the fake model above on the right."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[240:, :320] = stripes(DARK, BRIGHT, np.uint8)[..., None]
    image[40:200, 400 + 20 * index : 460 + 20 * index] = (255, 0, 0)
    return image


def camera_depth() -> np.ndarray:
    depth = np.full((480, 640), 3000, np.uint16)
    depth[240:, :320] = stripes(NEAR, FAR, np.uint16)
    return depth


def needles() -> list[bytes]:
    """Two periods of a row of stripes as bytes: grey, colour and depth."""
    row = np.repeat(np.array([DARK, BRIGHT, DARK, BRIGHT], np.uint8), 3)
    depth = np.repeat(np.array([NEAR, FAR, NEAR, FAR], np.uint16), 3)
    return [row.tobytes(), np.repeat(row, 3).tobytes(), depth.tobytes()]


#: Neighbouring px of a stripe, as Python or numpy print them: the colours of two, and the depths of three and another.
IN_A_TEXT = re.compile(rf"\b(?:{DARK}\D{{1,12}}){{5}}{DARK}\b|\b(?:{NEAR}\D{{1,4}}){{3}}{FAR}\b")

BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4}){50,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

# --- the search ----------------------------------------------------------------------------------------------------


def has_stripes(image: np.ndarray) -> bool:
    """Whether most of what varies somewhere in an image is one sine along x with a period of 2.5 to 14 px."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    window = np.hanning(64)
    for top in range(0, grey.shape[0] - 15, 16):
        profile = grey[top : top + 16].mean(axis=0)
        for left in range(0, len(profile) - 63, 32):
            part = profile[left : left + 64]
            amplitudes = np.abs(np.fft.rfft((part - part.mean()) * window)) * 4 / 64
            peak = 5 + int(amplitudes[5:26].argmax())
            power = amplitudes**2
            if amplitudes[peak] > 15 and power[peak - 1 : peak + 2].sum() > 0.6 * power.sum():
                return True
    return False


def bytes_show(content: bytes) -> bool:
    """Whether raw bytes, the text in them or an image file in them shows the stripes."""
    if any(needle in content for needle in needles()) or IN_A_TEXT.search(content.decode("utf-8", "replace")):
        return True
    starts = [match.start() for match in re.finditer(rb"\x89PNG\r\n|\xff\xd8\xff", content)]
    pictures = (cv2.imdecode(np.frombuffer(content[start:], np.uint8), cv2.IMREAD_COLOR) for start in starts)
    return any(picture is not None and has_stripes(picture) for picture in pictures)


def file_shows(path: Path) -> bool:
    content = path.read_bytes()
    embedded = (base64.b64decode(match[0]) for match in BASE64.finditer(content))
    if bytes_show(content) or any(bytes_show(part) for part in embedded):
        return True
    if path.suffix == ".mp4":
        return any(has_stripes(image) for image in frames_of(path))
    if path.suffix == ".rrd":
        return any(bytes_show(content) for content in rerun_values_of(path))
    return path.suffix in (".mcap", ".db3") and any(bytes_show(content) for content in messages_of(path))


def frames_of(path: Path) -> Iterator[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    while (read := video.read())[0]:
        yield read[1]
    video.release()


def messages_of(path: Path) -> Iterator[bytes]:
    from rosbags.highlevel import AnyReader

    with AnyReader([path.parent]) as reader:
        for _, _, content in reader.messages():
            yield bytes(content)


def rerun_values_of(path: Path) -> Iterator[bytes]:
    """Everything in a recording for Rerun: pixels and pictures are lists of bytes in it."""
    from rerun.chunk import RrdReader

    for chunk in RrdReader(path).stream().to_chunks():
        for column in chunk.to_record_batch().columns:
            for buffer in column.buffers():
                if buffer is not None:
                    yield buffer.to_pybytes()


def files_that_show(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and file_shows(path)}


# --- the search itself ---------------------------------------------------------------------------------------------


def small(image: np.ndarray) -> np.ndarray:
    return cv2.resize(privacy_downsample(image, 12), (640, 480))


@pytest.mark.parametrize(("change", "found"), [(lambda image: image, True), (small, False)], ids=["1x", "12x"])
def test_the_search_finds_full_resolution_and_nothing_else(tmp_path, change: Callable, found: bool):
    image = change(camera_image(0))
    assert has_stripes(image) == has_stripes(cv2.resize(image, (400, 300))) == found
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "b.jpg"), image)
    (tmp_path / "c.html").write_text(base64.b64encode((tmp_path / "b.jpg").read_bytes()).decode())
    (tmp_path / "d.log").write_text(f"ValueError: cannot use {image[300]!r}")
    (tmp_path / "e.bin").write_bytes(b"\0" * 7 + image.tobytes())
    with VideoWriter(tmp_path / "f.mp4", 10) as video:
        video.write(image)
    write_raw_bag(tmp_path / "bag", [compressed_message(image, "/camera/image", 10**18, "png")])
    everything = {"a.png", "b.jpg", "c.html", "d.log", "e.bin", "f.mp4", "bag.mcap"}
    assert files_that_show(tmp_path) == (everything if found else set())


def test_depth_is_found_as_bytes_and_as_a_text(tmp_path):
    assert bytes_show(b"\1" + camera_depth().tobytes())
    assert bytes_show(str(camera_depth()[300, :9].tolist()).encode())
    assert not bytes_show(np.full((40, 53), 2709, np.uint16).tobytes())


# --- commands ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    """Colour and depth as a camera records them."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.LATEST)
    time, header, image = (
        store.types[name] for name in ("builtin_interfaces/msg/Time", "std_msgs/msg/Header", "sensor_msgs/msg/Image")
    )

    def message(topic: str, pixels: np.ndarray, encoding: str, stamp_ns: int) -> RawMessage:
        head = header(stamp=time(*divmod(stamp_ns, 10**9)), frame_id="camera_optical")
        height, width = pixels.shape[:2]
        content = image(head, height, width, encoding, 0, pixels.strides[0], pixels.reshape(-1).view(np.uint8))
        cdr = bytes(store.serialize_cdr(content, content.__msgtype__))
        return RawMessage(topic, content.__msgtype__, stamp_ns, cdr)

    def messages() -> Iterator[RawMessage]:
        for index in range(FRAMES):
            stamp_ns = 10**18 + index * 10**8
            yield message("/camera/image_raw", camera_image(index), "bgr8", stamp_ns)
            yield message("/camera/depth/image_raw", camera_depth(), "16UC1", stamp_ns)

    path = tmp_path_factory.mktemp("input") / "bag"
    write_raw_bag(path, messages())
    return path


def run_in(home: Path, *words: object) -> None:
    """Runs `orpose` with all places that it may write to below `home`; what it prints goes there, too."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True)
    places = {"HOME": str(home), "TMPDIR": str(temporary), "XDG_CACHE_HOME": str(home), "ROS_HOME": str(home)}
    python_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | places | {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "PYTHONPATH": python_path}
    command = [sys.executable, "-m", "orpose", *(str(word) for word in words)]
    ended = subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=240)
    (home / "stdout").write_bytes(ended.stdout)
    (home / "stderr").write_bytes(ended.stderr)
    assert ended.returncode == 0, ended.stderr.decode()


def rerun_to(folder: Path) -> list[object]:
    return ["--rerun", folder / "clip.rrd"] if RERUN else []


@pytest.mark.parametrize("downsample", [1, 12])
def test_run_writes_reduced_images_only(bag, fake_model, tmp_path, downsample):
    options = ("--model", fake_model, "--threads", 1, "--topic", "/camera/image_raw", "--downsample", downsample)
    run_in(tmp_path, "run", bag, "--out", tmp_path / "out", "--draw", *options, *rerun_to(tmp_path))
    assert files_that_show(tmp_path) == ({"overlay.mp4", "contact_sheet.png"} | RERUN if downsample == 1 else set())


@needs_ros
@pytest.mark.parametrize("downsample", [1, 12])
def test_replay_writes_reduced_images_only(bag, fake_model, tmp_path, downsample):
    options = ("--model", fake_model, "--threads", 1, "--topic", "/camera/image_raw", "--downsample", downsample)
    run_in(tmp_path, "replay", bag, "--out", tmp_path / "out", "--rate", "max", *options, *rerun_to(tmp_path))
    found = files_that_show(tmp_path)
    shown = {"overlay.mp4", "contact_sheet.png", "report.html", "bag.mcap"} | RERUN
    assert found == (shown if downsample == 1 else set())


# --- the node ------------------------------------------------------------------------------------------------------


_numbers = itertools.count()


class Ears:
    """A node in this process, a camera before it, and a listener to everything it publishes, undecoded."""

    def __init__(self, fake_model: Path, downsample: int) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.parameter import Parameter
        from sensor_msgs.msg import Image

        from orpose_ros.node import PoseNode

        values = {"model": str(fake_model), "threads": 1, "overlay": True, "downsample": downsample}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        namespace = f"/privacy_{os.getpid()}_{next(_numbers)}"
        self.node = PoseNode(namespace=namespace, parameter_overrides=overrides)
        self.listener = rclpy.create_node("listener", namespace=namespace)
        self.executor = SingleThreadedExecutor()
        for node in (self.node, self.listener):
            self.executor.add_node(node)
        self.node.trigger_configure()
        self.node.trigger_activate()
        self.heard: dict[str, bytes] = {}
        for topic, (kind, *_) in self._published():
            package, _, name = kind.split("/")
            message_type = getattr(importlib.import_module(f"{package}.msg"), name)
            self.listener.create_subscription(message_type, topic, partial(self._hear, topic), 10, raw=True)
        self._camera = self.listener.create_publisher(Image, "camera/image_raw", 10)
        self._depth_camera = self.listener.create_publisher(Image, "camera/depth/image_raw", 10)
        pixels, depth = (array.array("B", image.tobytes()) for image in (camera_image(0), camera_depth()))
        self._image = Image(height=480, width=640, encoding="bgr8", step=1920, data=pixels)
        self._depth = Image(height=480, width=640, encoding="16UC1", step=1280, data=depth)

    def _published(self) -> list[tuple[str, list[str]]]:
        """Topics and types; the graph takes a moment to know them."""
        topics: list[tuple[str, list[str]]] = []
        while not any(topic.endswith("/stats") for topic, _ in topics):
            self.executor.spin_once(timeout_sec=0.1)
            topics = self.listener.get_publisher_names_and_types_by_node("orpose", self.node.get_namespace())
        return topics

    def _hear(self, topic: str, content: bytes) -> None:
        name = topic.rsplit("/", 1)[-1]
        self.heard[name] = self.heard.get(name, b"") + content

    def listen(self, is_enough: Callable[[dict[str, bytes]], bool]) -> dict[str, bytes]:
        """Sends images until enough was heard: topic's last word -> all its messages' bytes."""
        deadline_s = time.monotonic() + 60
        while not is_enough(self.heard):
            assert time.monotonic() < deadline_s, f"heard only {list(self.heard)}"
            self._depth_camera.publish(self._depth)
            self._camera.publish(self._image)
            for _ in range(5):
                self.executor.spin_once(timeout_sec=0.1)
        return self.heard

    def close(self) -> None:
        self.node.trigger_deactivate()
        self.executor.shutdown()
        for node in (self.node, self.listener):
            node.destroy_node()


@pytest.fixture
def make_ears(fake_model, tmp_path, monkeypatch) -> Iterator[Callable[[int], Ears]]:
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    made: list[Ears] = []
    yield lambda downsample: made.append(Ears(fake_model, downsample)) or made[-1]
    for ears in made:
        ears.close()
    rclpy.try_shutdown()


@needs_ros
@pytest.mark.parametrize(("downsample", "shown_by"), [(1, {"overlay"}), (12, set())])
def test_no_topic_shows_more_than_reduced_images(make_ears, downsample, shown_by):
    heard = make_ears(downsample).listen(lambda heard: {"persons", "overlay", "markers", "diagnostics"} <= heard.keys())
    assert {topic for topic, content in heard.items() if bytes_show(content)} == shown_by


@needs_ros
@pytest.mark.parametrize(("downsample", "shown_by"), [(1, {"diagnostics", "rosout"}), (12, set())])
def test_no_error_quotes_pixels(make_ears, monkeypatch, capfd, downsample, shown_by):
    """A library that puts an array into its error's text, as the last problem of diagnostics, in logs and on stderr."""
    ears = make_ears(downsample)

    def fail(image: np.ndarray) -> None:
        raise ValueError(f"this does not fit: {image[300, 3:9]!r}")

    monkeypatch.setattr(ears.node.estimator, "prepare", fail)
    heard = ears.listen(lambda heard: all(b"ValueError" in heard.get(name, b"") for name in ("diagnostics", "rosout")))
    assert {topic for topic, content in heard.items() if bytes_show(content)} == shown_by
    assert bytes_show("".join(capfd.readouterr()).encode()) == bool(shown_by)


@needs_ros
def test_the_nodes_process_forbids_core_dumps(fake_model, tmp_path):
    """With `downsample`, an aborted node leaves no image of its memory."""
    if not os.WCOREDUMP(_abort([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], tmp_path)):
        pytest.skip("this machine writes no core dumps at all")
    options = ["--ros-args", "-r", "__ns:=/core", "-p", f"model:={fake_model}", "-p", "autostart:=false"]
    node = [sys.executable, "-c", _NODE_THAT_SAYS_WHEN_IT_SPINS, *options, "-p", "downsample:=12"]
    assert not os.WCOREDUMP(_abort(node, tmp_path))


_NODE_THAT_SAYS_WHEN_IT_SPINS = """
from orpose_ros import node
spin_once = node.SingleThreadedExecutor.spin_once
node.SingleThreadedExecutor.spin_once = lambda *args, **options: (print(flush=True), spin_once(*args, **options))
node.main()
"""


def _abort(command: list[str], folder: Path) -> int:
    """Wait status of a process that may leave a core dump, aborted after its first line."""

    def unlimited_cores() -> None:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, preexec_fn=unlimited_cores)
    assert process.stdout and process.stdout.readline()
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    return status
