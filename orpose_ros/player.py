"""Plays a bag's images as a camera would: `python -m orpose_ros.player BAG`. A process of its own in `orpose replay`.

Header stamps are set to the time of sending, so that ages mean what they mean with a camera. The messages are passed
on undecoded. Every frame sent gets a line in the log: index in the bag, stamp sent, recording time and stamp in the
bag (all in ns).
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

import rclpy
from orpose_msgs.msg import InferenceStats
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tqdm import tqdm

from orpose_models.bags import stamp_ns_of, with_stamp
from orpose_models.errors import InputError, OrposeError
from orpose_models.privacy import guard_process
from orpose_models.runtime.bags import BagImages
from orpose_ros.companions import CAMERA_INFO, DEPTH, NearestMessages, companions_of
from orpose_ros.messages import stamp_ns
from orpose_ros.qos import OUTPUT_QOS, is_reliable

AS_FAST_AS_ANSWERED = "max"
COMPANION_TYPES = {CAMERA_INFO: CameraInfo, DEPTH: Image}
#: Time to wait for a reliable subscription, once there is one at all: `qos: auto` needs a moment to find out.
_RELIABLE_WAIT_S = 3.0
#: Longest wait for one answer with `--rate max`.
_ANSWER_WAIT_S = 10.0


class Player:
    """Publishes serialised images on the topic that a node with this camera name listens to."""

    def __init__(
        self, node: Node, camera: str, compressed: bool, reliability: ReliabilityPolicy, beside: Sequence[str] = ()
    ) -> None:
        """Args:
        node: What publishes.
        camera: Its name, before all topics.
        compressed: Whether images are CompressedImage messages.
        reliability: To offer.
        beside: Names of `COMPANIONS` that are sent, too.
        """
        self._node = node
        self._sent_ns = self._answered_ns = -1
        suffix = "/compressed" if compressed else ""
        qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=reliability)
        image_type = CompressedImage if compressed else Image
        self._publisher: Publisher = node.create_publisher(image_type, f"{camera}/image_raw{suffix}", qos)
        self._beside = {name: node.create_publisher(COMPANION_TYPES[name], f"{camera}/{name}", qos) for name in beside}
        self._offers_reliable = reliability == ReliabilityPolicy.RELIABLE
        node.create_subscription(InferenceStats, f"orpose/{camera}/stats", self._note_answer, OUTPUT_QOS)

    def wait_for_subscriber(self, timeout_s: float) -> None:
        """Waits until a subscription of the same reliability matches, or any one after a while.

        Raises:
            InputError: Nobody subscribes in time.
        """
        started_s = time.monotonic()
        first_match_s: float | None = None
        while True:
            now_s = time.monotonic()
            if self._publisher.get_subscription_count():
                first_match_s = first_match_s or now_s
                if self._has_best_match() or now_s - first_match_s > _RELIABLE_WAIT_S:
                    return
            elif now_s - started_s > timeout_s:
                raise InputError(f"nobody subscribes to {self._publisher.topic_name} within {timeout_s:.0f} s")
            time.sleep(0.05)

    def send(self, cdr: bytes, beside: Mapping[str, bytes] = MappingProxyType({})) -> int:
        """Publishes a serialised image with the present time as its stamp; returns the stamp, ns.

        Args:
            cdr: The image.
            beside: Name of a companion -> its message; sent before the image, as far from it in time as it was.
        """
        self._sent_ns = max(time.time_ns(), self._sent_ns + 1)  # stamps are the frames' names: never twice the same
        later_ns = self._sent_ns - stamp_ns_of(cdr)
        for name, message in beside.items():
            self._beside[name].publish(with_stamp(message, stamp_ns_of(message) + later_ns))
        self._publisher.publish(with_stamp(cdr, self._sent_ns))
        return self._sent_ns

    def wait_for_answer(self, sent_ns: int) -> None:
        """Waits until the node has answered or dropped the frame with this stamp, or a later one."""
        deadline_s = time.monotonic() + _ANSWER_WAIT_S
        while self._answered_ns < sent_ns and time.monotonic() < deadline_s:
            rclpy.spin_once(self._node, timeout_sec=0.1)

    def finish(self) -> None:
        """Waits until every frame has reached its subscribers."""
        self._publisher.wait_for_all_acked(Duration(seconds=5))

    def _has_best_match(self) -> bool:
        subscriptions = self._node.get_subscriptions_info_by_topic(self._publisher.topic_name)
        return not self._offers_reliable or any(is_reliable(subscription) for subscription in subscriptions)

    def _note_answer(self, stats: InferenceStats) -> None:
        self._answered_ns = max(self._answered_ns, stamp_ns(stats.header))


def play(player: Player, bag: BagImages, beside: Sequence[NearestMessages], rate: float | None, log: TextIO) -> None:
    """Sends all images of a bag, with what belongs to them.

    Args:
        player: What sends.
        bag: Where they come from.
        beside: The companions that the player sends.
        rate: Times real time; None: the next one when the last one was answered.
        log: Gets one line for each image.
    """
    started_s, first_ns = time.monotonic(), -1
    for index, message in enumerate(tqdm(bag.raw_messages(), total=len(bag), unit="frame", disable=None)):
        first_ns = message.recorded_ns if first_ns < 0 else first_ns
        if rate is not None:
            due_s = started_s + (message.recorded_ns - first_ns) / 1e9 / rate
            time.sleep(max(0.0, due_s - time.monotonic()))
        original_ns = stamp_ns_of(message.cdr)
        found = {companion.name: companion.at(original_ns) for companion in beside}
        sent_ns = player.send(message.cdr, {name: cdr for name, cdr in found.items() if cdr is not None})
        log.write(f"{index} {sent_ns} {message.recorded_ns} {original_ns}\n")
        log.flush()
        if rate is None:
            player.wait_for_answer(sent_ns)
    player.finish()


def parse_rate(text: str) -> float | None:
    """`2.5` times real time; `max` is None: as fast as the node answers."""
    if text == AS_FAST_AS_ANSWERED:
        return None
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"got '{text}', expected a factor above 0, or {AS_FAST_AS_ANSWERED}")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orpose_ros.player", description=__doc__)
    parser.add_argument("bag", type=Path, help="rosbag2 folder, or .mcap or .db3 file")
    parser.add_argument("--topic", help="the bag's image topic; needed where it has several")
    parser.add_argument("--camera", default="camera", help="publish as this camera (default: camera)")
    parser.add_argument("--rate", type=parse_rate, default=1.0, help="times real time (default: 1), or max")
    parser.add_argument("--best-effort", action="store_true", help="offer the images best effort, not reliably")
    parser.add_argument(
        "--log",
        type=Path,
        help="write a line for each frame sent: index, stamp, recording time and stamp in the bag (ns)",
    )
    parser.add_argument("--wait", type=float, default=60.0, help="time to wait for a subscriber, s (default: 60)")
    return parser


@contextlib.contextmanager
def _ros_node(arguments: list[str]) -> Iterator[Node]:
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("orpose_player")
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    guard_process()  # whatever privacy the node was told: a crash here shows no image
    # argparse would take ROS arguments apart.
    own, ros = _split_ros_arguments(sys.argv[1:])
    args = build_parser().parse_args(own)
    reliability = ReliabilityPolicy.BEST_EFFORT if args.best_effort else ReliabilityPolicy.RELIABLE
    try:
        bag = BagImages(args.bag, args.topic)
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(open(args.log or "/dev/null", "w", encoding="utf-8"))
            node = stack.enter_context(_ros_node(ros))
            beside = [NearestMessages(bag.path, companion) for companion in companions_of(bag.path, str(bag.topic))]
            names = [companion.name for companion in beside]
            player = Player(node, args.camera, bag.is_compressed, reliability, names)
            player.wait_for_subscriber(args.wait)
            play(player, bag, beside, args.rate, log)
    except OrposeError as error:
        print(f"orpose_player: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"orpose_player: {args.log}: {error.strerror}; free the disk and play again", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _split_ros_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--ros-args" not in arguments:
        return arguments, []
    start = arguments.index("--ros-args")
    return arguments[:start], arguments[start:]


if __name__ == "__main__":
    sys.exit(main())
