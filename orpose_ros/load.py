"""Load test: `python -m orpose_ros.load --out DIR`. Cameras, node and recorder as in a room, at several frame rates.

Each camera and the node are processes of their own; this one records every answer into a bag, as `orpose replay` does,
and measures them all once a second. Writes DIR/load.md, DIR/load.json and for each rate a folder with bag and logs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rclpy.executors import Executor, SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage, Image

from orpose_models.bags import write_raw_bag
from orpose_models.errors import InputError, OrposeError
from orpose_models.machine import describe_machine, machine_line
from orpose_models.runtime.bags import RawMessage
from orpose_models.runtime.config import parse_size
from orpose_models.settings import build_settings
from orpose_ros.account import account_of
from orpose_ros.bag_types import typestore
from orpose_ros.children import Child, Children, ReplayError
from orpose_ros.config import NodeConfig
from orpose_ros.load_camera import ros_node
from orpose_ros.load_recording import Meter, Recording
from orpose_ros.load_report import level_summary, markdown
from orpose_ros.replay import write_parameters

_NODE_WAIT_S = 120.0
#: Longest wait for news of the last frames.
_LAST_ANSWERS_S = 10.0


def run_level(
    folder: Path, config: NodeConfig, camera_options: Sequence[str], rate: float, seconds: float, *, way: bool = False
) -> dict:
    """One level of load: starts all processes, records, ends them; with `way`, receives the images here, too.

    Raises:
        ReplayError: A process failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    namespace = f"/orpose_load_{os.getpid()}"
    ros_arguments = ["--ros-args", "-r", f"__ns:={namespace}", "-r", "/diagnostics:=diagnostics"]
    with Children(folder) as children, ros_node("load_recorder", namespace=namespace) as own:
        images = (CompressedImage if config.compressed else Image) if way else None
        recordings = {camera: Recording(own, camera, images) for camera in config.cameras}
        parameters = write_parameters(config, folder / "node.yaml")
        node = children.start("node", "orpose_ros.node", [*ros_arguments, "--params-file", str(parameters)])
        executor = SingleThreadedExecutor()  # rclpy.spin_once would add and remove the node for each message
        executor.add_node(own)
        _spin_until_heard(executor, list(recordings.values()), node)
        logs = {camera: folder / f"{camera}.sent" for camera in config.cameras}
        cameras = {}
        for camera, log in logs.items():
            options = ["--camera", camera, "--rate", str(rate), "--seconds", str(seconds), "--log", str(log)]
            options += [*camera_options, *ros_arguments]
            cameras[camera] = children.start(camera, "orpose_ros.load_camera", options)
        meter = Meter({"node": node.pid, "recorder": os.getpid(), **{name: each.pid for name, each in cameras.items()}})
        messages = _messages_until_done(executor, recordings, node, cameras, logs, meter)
        write_raw_bag(folder / "bag", messages, typestore())
        executor.shutdown()
        node.stop(timeout_s=10.0)
        node.require_success()
    accounts = {
        camera: account_of(_sent(logs[camera]), recording.stats, recording.persons_ns)
        for camera, recording in recordings.items()
    }
    answered = [frame for recording in recordings.values() for frame in recording.answered]
    ways_ms = [way_ms for recording in recordings.values() for way_ms in recording.ways_ms]
    return level_summary(rate, seconds, accounts, answered, meter.samples, ways_ms)


def _messages_until_done(
    executor: Executor,
    recordings: dict[str, Recording],
    node: Child,
    cameras: dict[str, Child],
    logs: dict[str, Path],
    meter: Meter,
) -> Iterator[RawMessage]:
    """What is recorded, as it comes, until the node has told what became of the last frame of each camera."""
    last_news_s = time.monotonic()
    last_ns: dict[str, int] = {}
    while True:
        executor.spin_once(timeout_sec=0.1)
        meter.sample()
        node.require_running()
        arrived = [message for recording in recordings.values() for message in recording.arrived]
        for recording in recordings.values():
            recording.arrived.clear()
        yield from arrived
        if arrived or any(camera.is_running() for camera in cameras.values()):
            last_news_s = time.monotonic()
            continue
        if not last_ns:
            for name, camera in cameras.items():
                camera.require_success()
                last_ns[name] = _sent(logs[name])[-1]
        complete = all(recordings[name].has_account_of(at_ns) for name, at_ns in last_ns.items())
        if complete or time.monotonic() - last_news_s > _LAST_ANSWERS_S:
            return


def _spin_until_heard(executor: Executor, recordings: Sequence[Recording], node: Child) -> None:
    deadline_s = time.monotonic() + _NODE_WAIT_S
    while not all(recording.hears_the_node() for recording in recordings):
        executor.spin_once(timeout_sec=0.1)
        node.require_running()
        if time.monotonic() > deadline_s:
            raise ReplayError(f"the node cannot be heard after {_NODE_WAIT_S:.0f} s; it said last: {node.last_line()}")


def _sent(log: Path) -> list[int]:
    return [int(line) for line in log.read_text(encoding="utf-8").splitlines()]


def parse_rates(text: str) -> list[float]:
    """`10,15` frames a second."""
    rates = [float(part) for part in text.split(",")]
    if not all(0 < rate < 1000 for rate in rates):
        raise ValueError("expected rates above 0")
    return rates


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orpose_ros.load", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="where everything goes; must not hold an earlier test")
    parser.add_argument(
        "--source", default="samples/or_clip", help="images, a video or a bag to take the pictures from"
    )
    parser.add_argument("--cameras", type=int, default=2, help="how many")
    parser.add_argument(
        "--rates", type=parse_rates, default="15", help="frames a second of a camera; several: 10,15,20"
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="length of each level, s")
    parser.add_argument(
        "--size", type=parse_size, default=(320, 240), help="of the cameras' frames, WIDTHxHEIGHT in px"
    )
    parser.add_argument("--compressed", action="store_true", help="JPEG instead of raw images")
    parser.add_argument(
        "--way", action="store_true", help="also receive the images in the recorder: how long an image's way takes"
    )
    # None: the node's own defaults.
    parser.add_argument("--model", help="of the node")
    parser.add_argument("--backend", help="of the node")
    parser.add_argument("--downsample", type=float, help="of the node")
    parser.add_argument("--threads", type=int, help="of the node")
    return parser


def node_config(args: argparse.Namespace) -> NodeConfig:
    values: dict[str, Any] = {name: getattr(args, name) for name in ("model", "backend", "downsample", "threads")}
    values = {name: value for name, value in values.items() if value is not None}
    cameras = tuple(f"camera{number + 1}" for number in range(args.cameras))
    return build_settings(NodeConfig, {**values, "cameras": cameras, "compressed": args.compressed}, "command line")


def run(args: argparse.Namespace) -> None:
    """Runs all levels; writes what there is after each."""
    config = node_config(args)
    if args.out.exists():
        raise InputError(f"{args.out}: exists already; choose another folder or remove it")
    size = "x".join(map(str, args.size))
    camera_options = [args.source, "--size", size, *(["--compressed"] if args.compressed else [])]
    machine = describe_machine()
    facts = {
        "cameras": f"{args.cameras}, {size}, {'JPEG' if args.compressed else 'raw bgr8'}, from {args.source}",
        "each level": f"{args.seconds:g} s",
        "node": f"{config.model}, {config.backend}, threads {config.threads}, downsample {config.downsample:g}",
        "machine": machine_line(machine),
        "versions": ", ".join(f"{name} {version}" for name, version in machine["packages"].items()),
        "load of the machine before": str(machine["load_average_1min"]),
    }
    levels = []
    for rate in args.rates:
        folder = args.out / f"{rate:g}"
        levels.append(run_level(folder, config, camera_options, rate, args.seconds, way=args.way))
        (args.out / "load.json").write_text(json.dumps({"facts": facts, "levels": levels}, indent=1) + "\n", "utf-8")
        (args.out / "load.md").write_text(markdown(facts, levels), "utf-8")


def main() -> int:
    # On this machine only: nothing of a live system is disturbed.
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    args = build_parser().parse_args()
    try:
        run(args)
    except OrposeError as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print((args.out / "load.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
