"""Bag -> node -> recording: player and node in processes of their own, the recorder in this one, DDS between them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import rclpy
import yaml
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

from orpose_models.runtime.bags import BagImages
from orpose_ros.children import Child, Children, ReplayError
from orpose_ros.config import NodeConfig, ros_value
from orpose_ros.recorder import Recorder

#: Longest wait for the node to load its model and come up, and for news of the last frames.
_NODE_WAIT_S, _ANSWER_WAIT_S = 120.0, 10.0
#: A busy machine takes its time.
_STOP_WAIT_S = 60.0


@dataclass(frozen=True)
class SentFrame:
    """A line of the player's log.

    Attributes:
        index: Position in the bag.
        stamp_ns: Header stamp it was sent with, the time of sending.
        recorded_ns: When it was recorded.
        original_ns: Header stamp in the bag.
    """

    index: int
    stamp_ns: int
    recorded_ns: int
    original_ns: int


def replay(bag: BagImages, config: NodeConfig, rate: str, log_folder: Path) -> tuple[list[SentFrame], Recorder]:
    """Plays a bag through the node.

    Args:
        bag: The images to play.
        config: The node's; its first camera takes the images.
        rate: Times real time, or "max": the next frame when the last one was answered.
        log_folder: Where the logs of node and player go.

    Raises:
        ReplayError: Node or player failed.
    """
    # A namespace of its own, on this machine only: nothing of a live system is disturbed, nothing disturbs us.
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    namespace = f"/orpose_replay_{os.getpid()}"
    ros_arguments = ["--ros-args", "-r", f"__ns:={namespace}", "-r", "/diagnostics:=diagnostics"]
    camera, sent_log = config.cameras[0], log_folder / "sent.txt"
    with Children(log_folder) as children, _ros_node(namespace) as ros_node:
        recorder = Recorder(ros_node, camera)
        parameters = write_parameters(config, log_folder / "node.yaml")
        node = children.start("node", "orpose_ros.node", [*ros_arguments, "--params-file", str(parameters)])
        _spin_until_heard(ros_node, recorder, node)
        options = ["--topic", str(bag.topic), "--camera", camera, "--rate", rate, "--log", str(sent_log)]
        player = children.start("player", "orpose_ros.player", [str(bag.path), *options, *ros_arguments])
        with (
            tqdm(total=len(bag), unit="frame", desc="replay", disable=None) as progress,
            _losses_named(bag, recorder, sent_log),
        ):
            while player.is_running():
                rclpy.spin_once(ros_node, timeout_sec=0.1)
                progress.update(len(recorder.stats) - progress.n)
                node.require_running()
            player.require_success()
            sent = read_sent_log(sent_log)
            _spin_while_news_come(ros_node, recorder, sent[-1].stamp_ns)
            progress.update(len(recorder.stats) - progress.n)
        node.stop(timeout_s=_STOP_WAIT_S)
        node.require_success()
    return sent, recorder


def read_sent_log(path: Path) -> list[SentFrame]:
    """What the player wrote about the frames it sent."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [SentFrame(*(int(word) for word in line.split())) for line in lines]


@contextlib.contextmanager
def _losses_named(bag: BagImages, recorder: Recorder, sent_log: Path) -> Iterator[None]:
    """Where a process failed half way, the error says how far it came, and whether the disk is full."""
    try:
        yield
    except ReplayError as error:
        sent = len(read_sent_log(sent_log)) if sent_log.exists() else 0
        full = "" if shutil.disk_usage(sent_log.parent).free else f"; no space left in {sent_log.parent}"
        answered = len(recorder.persons)
        raise ReplayError(f"{error}; {sent} of {len(bag)} frames were sent, {answered} answered{full}") from None


def write_parameters(config: NodeConfig, path: Path) -> Path:
    """Writes a parameter file of ROS; returns its path."""
    values = {name: ros_value(getattr(config, name)) for name in NodeConfig.model_fields}
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}, sort_keys=False), encoding="utf-8")
    return path


@contextlib.contextmanager
def _ros_node(namespace: str) -> Iterator[Node]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("orpose_recorder", namespace=namespace)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def _spin_until_heard(ros_node: Node, recorder: Recorder, node: Child) -> None:
    deadline_s = time.monotonic() + _NODE_WAIT_S
    while not recorder.hears_the_node():
        rclpy.spin_once(ros_node, timeout_sec=0.1)
        node.require_running()
        if time.monotonic() > deadline_s:
            raise ReplayError(
                f"the node cannot be heard after {_NODE_WAIT_S:.0f} s (is the network interface lo up?); "
                f"it said last: {node.last_line()}"
            )


def _spin_while_news_come(ros_node: Node, recorder: Recorder, last_stamp_ns: int) -> None:
    """Until the node told what became of the last frame, or has told nothing new for a while."""
    last_news_s, known = time.monotonic(), -1
    while not recorder.has_account_of(last_stamp_ns) and time.monotonic() - last_news_s < _ANSWER_WAIT_S:
        rclpy.spin_once(ros_node, timeout_sec=0.1)
        if len(recorder.stats) != known:
            last_news_s, known = time.monotonic(), len(recorder.stats)
