"""A camera of the load test: `python -m orpose_ros.load_camera SOURCE`. Publishes a few pictures over and over.

Unlike the player it keeps its own time: so many frames a second for so many seconds, whatever the recording's rate was.
Every frame sent gets a line in the log: its stamp (ns).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from std_msgs.msg import Header

from orpose_models.bags import compressed_message
from orpose_models.errors import InputError, OrposeError
from orpose_models.runtime.config import parse_size
from orpose_models.runtime.frames import Frame
from orpose_models.runtime.images import to_bgr8
from orpose_models.runtime.sources import open_source
from orpose_ros.messages import image_message
from orpose_ros.player import Player

#: Different pictures that are kept in memory.
_PICTURES = 30
_SUBSCRIBER_WAIT_S = 60.0


def pictures(source: str, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """The first pictures of a source, `(H, W, 3)` BGR of the size.

    Raises:
        InputError: None of them can be read.
    """
    frames = (item for item in open_source(source) if isinstance(item, Frame))
    images = [to_bgr8(frame.image) for frame in itertools.islice(frames, _PICTURES)]
    if not images:
        raise InputError(f"{source}: no picture that can be read")
    return [np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8) for image in images]


def serialised(picture: NDArray[np.uint8], compressed: bool) -> bytes:
    """The picture as a message, CompressedImage (JPEG) or Image (bgr8)."""
    if compressed:
        return compressed_message(picture, "", 0).cdr
    return bytes(serialize_message(image_message(picture, Header(frame_id="camera"))))


@contextlib.contextmanager
def ros_node(name: str, **options) -> Iterator[Node]:
    """A node that this process starts ROS for, and ends it after."""
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name, **options)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def send_steadily(player: Player, messages: list[bytes], rate: float, duration_s: float, log: TextIO) -> None:
    """Sends `rate` messages a second; one that is late is sent at once, and the next one when it was due anyway."""
    started_s = time.monotonic()
    for index in range(round(rate * duration_s)):
        time.sleep(max(0.0, started_s + index / rate - time.monotonic()))
        log.write(f"{player.send(messages[index % len(messages)])}\n")
        log.flush()
    player.finish()


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orpose_ros.load_camera", description=__doc__)
    parser.add_argument("source", help="images, a video or a bag to take the pictures from")
    parser.add_argument("--camera", required=True, help="publish as this camera")
    parser.add_argument("--rate", type=float, required=True, help="frames a second")
    parser.add_argument("--seconds", type=float, required=True, help="how long, s")
    parser.add_argument("--size", type=parse_size, required=True, help="of the frames, WIDTHxHEIGHT in px")
    parser.add_argument("--compressed", action="store_true", help="JPEG instead of raw images")
    parser.add_argument("--log", type=Path, required=True, help="gets the stamp of each frame sent, ns")
    return parser


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    args = build_parser().parse_args(remove_ros_args(sys.argv)[1:])
    try:
        messages = [serialised(picture, args.compressed) for picture in pictures(args.source, args.size)]
        with args.log.open("w", encoding="utf-8") as log, ros_node(f"load_{args.camera}") as node:
            player = Player(node, args.camera, args.compressed, ReliabilityPolicy.RELIABLE)
            player.wait_for_subscriber(_SUBSCRIBER_WAIT_S)
            send_steadily(player, messages, args.rate, args.seconds, log)
    except OrposeError as error:
        print(f"load_camera: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
