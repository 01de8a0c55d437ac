"""Processes that are killed or stopped, and disks that are full: nothing hangs, and what is lost is said."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from orpose_msgs.msg import InferenceStats, PersonArray
from rclpy import create_node

from orpose_models.bags import write_image_bag
from orpose_ros.messages import stamp_ns

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 1000


class Listener:
    """Somebody in this process who reads all that the node says."""

    def __init__(self, ros, namespace: str) -> None:
        self.persons: list[PersonArray] = []
        self.stats: list[InferenceStats] = []
        self.warnings: list[str] = []
        self.node = ros.add(create_node("listener", namespace=namespace))
        self.node.create_subscription(PersonArray, "orpose/camera/persons", self.persons.append, 1000)
        self.node.create_subscription(InferenceStats, "orpose/camera/stats", self.stats.append, 1000)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._note, 10)

    def unheard(self) -> int:
        """Frames that the node dealt with since the first it was heard about, and that nobody heard about."""
        return self.stats[-1].received - self.stats[0].received + 1 - len(self.stats)

    def _note(self, message: DiagnosticArray) -> None:
        self.warnings += [status.message for status in message.status if status.level != b"\0"]


@pytest.fixture
def listener(ros, namespace) -> Listener:
    return Listener(ros, namespace)


@pytest.fixture
def node_arguments(namespace, make_fake_model) -> list[str]:
    values = {"model": make_fake_model((64, 48)), "threads": 1, "compressed": True, "watchdog_s": 0.5}
    options = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
    return ["--ros-args", "-r", f"__ns:={namespace}", *options]


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    """10 frames/s, for longer than any test takes."""
    path = tmp_path_factory.mktemp("bags") / "bag"
    frames = [np.zeros((48, 64, 3), np.uint8)] * FRAMES
    write_image_bag(path, frames, "/camera/image_raw/compressed", [index * 10**8 for index in range(FRAMES)])
    return path


@pytest.fixture
def play(start, namespace, bag) -> Callable[..., subprocess.Popen]:
    """Starts a camera."""
    return lambda *options: start("orpose_ros.player", str(bag), *options, "--ros-args", "-r", f"__ns:={namespace}")


def test_a_killed_camera_is_noticed_and_another_one_is_answered(ros, listener, start, node_arguments, play):
    node = start("orpose_ros.node", *node_arguments)
    first = play()
    ros.until(lambda: len(listener.persons) >= 3, timeout_s=60)
    first.kill()
    ros.until(lambda: any("no image for" in warning for warning in listener.warnings))
    before = len(listener.persons)
    play()
    ros.until(lambda: len(listener.persons) >= before + 3, timeout_s=60)
    assert abs(listener.unheard()) <= 1, "all but what is on its way"
    assert node.poll() is None


def small_disk(folder: Path, size: str, script: str) -> list[str]:
    """What to put before a command, for the script's "$@": with a disk of that size mounted on the folder."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk for a test")
    return [*unshare, "sh", "-c", f"mount -t tmpfs -o size={size} tmpfs {folder} && {script}", "sh"]


#: A subscriber of everything; says when it has heard something.
SUBSCRIBER = """
import sys, rclpy
from orpose_msgs.msg import InferenceStats, PersonArray
rclpy.init()
node = rclpy.create_node("subscriber", namespace=sys.argv[1])
node.create_subscription(PersonArray, "orpose/camera/persons", lambda _: print("heard", flush=True), 1000)
node.create_subscription(InferenceStats, "orpose/camera/stats", lambda _: None, 1000)
rclpy.spin(node)
"""


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_subscriber_that_hangs_or_dies_holds_nobody_up(ros, listener, namespace, start, node_arguments, play, number):
    """It has asked for reliable delivery, and acknowledges nothing any more."""
    node = start("orpose_ros.node", *node_arguments)
    subscriber = subprocess.Popen([sys.executable, "-c", SUBSCRIBER, namespace], stdout=subprocess.PIPE)
    try:
        play()
        assert subscriber.stdout.readline() == b"heard\n"
        subscriber.send_signal(number)
        ros.until(lambda: len(listener.persons) >= 3 and listener.stats, timeout_s=60)
        begin = stamp_ns(listener.stats[-1].header)
        ros.until(lambda: stamp_ns(listener.stats[-1].header) > begin + 4 * 10**9, timeout_s=60)
        assert abs(listener.unheard()) <= 2, "all but what is being worked on"
        node.send_signal(signal.SIGINT)
        assert node.wait(20) == 0
    finally:
        subscriber.kill()
        subscriber.communicate()


def test_a_node_whose_log_cannot_be_written_goes_on(ros, listener, node_arguments, play, tmp_path):
    """Its disk is full: neither standard output nor ROS' log files take anything."""
    script = f'dd if=/dev/zero of={tmp_path}/filler 2>&-; ROS_LOG_DIR={tmp_path} exec "$@" >/dev/full 2>&1'
    command = [*small_disk(tmp_path, "64k", script), sys.executable, "-m", "orpose_ros.node", *node_arguments]
    node = subprocess.Popen(command, cwd=ROOT)
    try:
        play()
        ros.until(lambda: len(listener.persons) >= 5, timeout_s=60)
        assert node.poll() is None
    finally:
        node.kill()
        node.wait()


# --- orpose replay -------------------------------------------------------------------------------------------------


def start_replay(words: list[object], before: Sequence[str] = ()) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-m", "orpose", "replay", *(str(word) for word in words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def process_of(module: str, replay: subprocess.Popen[str]) -> psutil.Process:
    """The replay's process that runs a module."""
    (found,) = (child for child in psutil.Process(replay.pid).children() if module in child.cmdline())
    return found


@pytest.fixture
def running_replay(bag, make_fake_model, tmp_path):
    """A replay that has sent frames for two seconds."""
    options = ["--model", make_fake_model((64, 48)), "--threads", 1]
    replay = start_replay([bag, "--out", tmp_path / "out", *options])
    sent = tmp_path / "out/logs/sent.txt"
    deadline_s = time.monotonic() + 60
    while not (sent.exists() and sent.read_text().count("\n") >= 20):
        assert time.monotonic() < deadline_s and replay.poll() is None, replay.communicate()
        time.sleep(0.1)
    yield replay
    replay.kill()
    replay.communicate()


@pytest.mark.parametrize("victim", ["node", "player"])
def test_a_replay_whose_process_is_killed_says_how_far_it_came(running_replay, victim, tmp_path):
    process_of(f"orpose_ros.{victim}", running_replay).kill()
    _, errors = running_replay.communicate(timeout=60)
    assert running_replay.returncode == 2
    (line,) = (line for line in errors.splitlines() if line.startswith("orpose replay: "))
    found = re.search(
        rf"the {victim} ended with exit code -9: .*; (\d+) of {FRAMES} frames were sent, (\d+) answered", line
    )
    assert found, line
    assert FRAMES > int(found[1]) >= int(found[2]) >= 1
    assert not (tmp_path / "out/stats.json").exists()


def test_a_killed_replay_leaves_no_process_behind(running_replay):
    """It records: neither node nor player is of use without it."""
    children = [process_of(f"orpose_ros.{name}", running_replay) for name in ("node", "player")]
    running_replay.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def test_a_disk_that_fills_up_under_a_recording(make_fake_model, tmp_path):
    """The results do not fit: one line, no half results, and the earlier ones are still there."""
    bag, out = tmp_path / "bag", tmp_path / "out"
    images = np.random.default_rng(0).integers(0, 255, (4, 480, 640, 3), np.uint8)
    write_image_bag(bag, images, "/camera/image_raw/compressed", [index * 10**8 for index in range(4)])
    out.mkdir()
    script = f'echo earlier > {out}/stats.json && "$@"; code=$?; ls -A {out}; cat {out}/stats.json; exit $code'
    words = [bag, "--out", out, "--model", make_fake_model((64, 48)), "--threads", 1]
    replay = start_replay(words, small_disk(out, "600k", script))
    output, errors = replay.communicate(timeout=120)
    assert replay.returncode == 2, errors
    (line,) = (line for line in errors.splitlines() if line.startswith("orpose replay: "))
    assert "No space left" in line
    assert "Traceback" not in errors
    assert output.splitlines() == ["logs", "stats.json", "earlier"]


def test_a_player_whose_log_cannot_be_written(ros, listener, start, node_arguments, play):
    """Frames that nobody could account for are not sent."""
    start("orpose_ros.node", *node_arguments)
    player = play("--log", "/dev/full")
    ros.until(lambda: player.poll() is not None, timeout_s=60)
    _, errors = player.communicate()
    assert player.returncode == 2
    assert errors.splitlines()[-1].startswith("orpose_player: ")
    assert "No space left" in errors and "Traceback" not in errors
