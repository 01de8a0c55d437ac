"""Whether a node is alive: `python3 -m orpose_ros.health`, the health check of its container.

Alive: its diagnostics come, so its executor spins; and while images come in, some are dealt with, so its worker works.
A camera that is silent or sends bad images is no reason to start the node again, and does not count.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from orpose_ros.counts import NEWER_FRAME, RATE


class Listener:
    """What a node's diagnostics say, from the first message to the last.

    Args:
        node: The node's name, with its namespace where several have the same, such as `or1/orpose`.

    Attributes:
        seen: Full name -> `(received, finished)` of all cameras together, one for each message.
    """

    def __init__(self, node: str) -> None:
        self._end = "/" + node.strip("/")
        self.seen: dict[str, list[tuple[int, int]]] = {}

    def receive(self, message: DiagnosticArray) -> None:
        counts: dict[str, list[tuple[int, int]]] = {}
        for status in message.status:
            name = status.name.partition(": ")[0]
            if name.endswith(self._end):
                counts.setdefault(name, []).append(frames({item.key: item.value for item in status.values}))
        for name, found in counts.items():
            total = (sum(received for received, _ in found), sum(finished for _, finished in found))
            self.seen.setdefault(name, []).append(total)


def frames(values: dict[str, str]) -> tuple[int, int]:
    """Frames that there was work for, and of those the ones that were answered or refused.

    What a newer frame displaced was neither; what came beyond `max_fps` was no work.
    """
    received, answered, dropped, displaced, beyond = (
        int(values.get(key, 0))
        for key in ("received", "answered", "dropped", f"dropped: {NEWER_FRAME}", f"dropped: {RATE}")
    )
    return received - beyond, answered + dropped - displaced - beyond


def find_problem(seen: list[tuple[int, int]]) -> str:
    """Why a node is not well, "" if it is."""
    if len(seen) < 2:
        return "no diagnostics: it is not running, not configured yet, or hangs"
    (received_before, finished_before), (received, finished) = seen[0], seen[-1]
    if received - received_before > 1 and finished == finished_before:  # one may wait in the mailbox
        return f"{received - received_before} images came in and none was dealt with: its worker hangs"
    return ""


def listen(node: str, window_s: float) -> dict[str, list[tuple[int, int]]]:
    """Listens for a while; returns what `Listener.seen` holds then."""
    listener = Listener(node)
    context = Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor(context=context)
    # With SROS 2, whatever a node offers needs a permission: this one offers nothing.
    own = rclpy.create_node("orpose_health", context=context, enable_rosout=False, start_parameter_services=False)
    try:
        own.create_subscription(DiagnosticArray, "/diagnostics", listener.receive, 10)
        executor.add_node(own)
        deadline_s = time.monotonic() + window_s
        while time.monotonic() < deadline_s:
            executor.spin_once(timeout_sec=0.2)
    finally:
        executor.shutdown()
        own.destroy_node()
        rclpy.try_shutdown(context=context)
    return listener.seen


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 or 1, what Docker understands."""
    parser = argparse.ArgumentParser(prog="python3 -m orpose_ros.health", description=__doc__)
    parser.add_argument(
        "--node",
        default=os.environ.get("ORPOSE_NODE", "orpose"),
        help="the node, with its namespace where several have the same name (default: $ORPOSE_NODE, or orpose)",
    )
    parser.add_argument("--window", type=float, default=5.0, help="time to listen, s (default: 5)")
    args = parser.parse_args(arguments)
    seen_by_node = listen(args.node, args.window) or {args.node: []}
    problems = {node: find_problem(seen) for node, seen in seen_by_node.items()}
    for node, problem in problems.items():
        print(f"{node}: {problem or 'alive'}")
    return 1 if any(problems.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
