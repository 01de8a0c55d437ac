"""`orpose replay`: plays a camera bag through the real node over DDS, records its answers, and writes a report."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from orpose.options import add_options, settings_from_args
from orpose_models.errors import BackendError, InputError
from orpose_models.runtime.config import RuntimeConfig

if TYPE_CHECKING:
    from orpose_models.runtime.bags import BagImages
    from orpose_models.runtime.sources import Source

BAG, VIDEO, SHEET, REPORT, STATS = "bag", "overlay.mp4", "contact_sheet.png", "report.html", "stats.json"
LOGS = "logs"
#: Of the bag that is made where the input is none.
_TOPIC = "/camera/image_raw/compressed"
_FIRST_STAMP_NS = 1_600_000_000_000_000_000


class ReplayConfig(RuntimeConfig):
    """The runtime's configuration, and how the bag is played."""

    rate: str = Field(
        default="1",
        description="speed in times real time, or max: the next frame as soon as the last one was answered",
    )
    topic: str | None = Field(default=None, description="the bag's image topic; needed where it has several")
    fps: float = Field(
        default=10.0, gt=0, le=1000, description="frames a second where the input is no bag and has no rate of its own"
    )

    @field_validator("rate")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        try:
            is_rate = rate == "max" or 0 < float(rate) < float("inf")
        except ValueError:
            is_rate = False
        if not is_rate:
            raise ValueError("expected a factor above 0, or max")
        return rate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="INPUT", help="rosbag2 folder, .mcap or .db3 file; or images or a video, made into a bag first"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        type=Path,
        help=f"where {BAG}/ (MCAP), {VIDEO}, {SHEET}, {REPORT} and {STATS} go; made if it is not there",
    )
    add_options(parser, ReplayConfig)


def run(args: argparse.Namespace) -> int:
    from orpose_models.runtime.sources import open_source

    config = settings_from_args(ReplayConfig, args)
    source = open_source(args.input, config.topic)
    _require_ros()
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"{args.out}: is a file, expected a folder")
    logs = args.out / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    # Results are written beside the earlier ones first: an error half way leaves those as they were.
    with tempfile.TemporaryDirectory(prefix=".orpose-replay-", dir=args.out) as staging:
        results = Path(staging, "results")
        results.mkdir()
        bag = as_bag(source, Path(staging, "input"), config.fps)
        summary = _replay(bag, args.input, config, logs, results)
        _move_into(args.out, results)
    print(summary["table"])
    print(f"written to {args.out}")
    frames = summary["frames"]
    return 1 if frames["unaccounted"] or frames["lost"] else 0


def as_bag(source: Source, path: Path, frames_per_second: float) -> BagImages:
    """The source itself where it is a bag, else a bag made of it at `path`."""
    from orpose_models.bags import compressed_message, write_raw_bag
    from orpose_models.runtime.bags import BagImages, RawMessage
    from orpose_models.runtime.frames import Frame
    from orpose_models.runtime.images import to_bgr8
    from orpose_models.runtime.sources import ImageFiles

    if isinstance(source, BagImages):
        return source
    rate = source.frames_per_second or frames_per_second
    # What is a video already loses nothing that matters in a JPEG; images stay as they are.
    picture_format: Literal["jpeg", "png"] = "png" if isinstance(source, ImageFiles) else "jpeg"

    def messages() -> Iterator[RawMessage]:
        for item in source:
            if isinstance(item, Frame):
                stamp_ns = _FIRST_STAMP_NS + round(item.index * 1e9 / rate)
                yield compressed_message(to_bgr8(item.image), _TOPIC, stamp_ns, picture_format)
            else:
                print(f"orpose replay: left out {item.name}: {item.reason}", file=sys.stderr)

    write_raw_bag(path, messages())
    return BagImages(path)


def _replay(bag: BagImages, name: str, config: ReplayConfig, logs: Path, results: Path) -> dict[str, Any]:
    from orpose_ros.config import NodeConfig
    from orpose_ros.recording import draw, write_bag
    from orpose_ros.replay import replay
    from orpose_ros.replayed import put_together
    from orpose_ros.report import write_report
    from orpose_ros.summary import summarise, table

    runtime = {field: getattr(config, field) for field in RuntimeConfig.model_fields}
    node_config = NodeConfig(**runtime, compressed=bag.is_compressed)
    sent, recorder = replay(bag, node_config, config.rate, logs)
    frames, account = put_together(sent, recorder)
    summary = summarise(frames, account)
    facts = _facts(bag, name, config)
    write_bag(results / BAG, bag, sent, recorder, config.downsample)
    stills = draw(results, bag, frames, config.downsample)
    write_report(results / REPORT, frames, summary, stills, facts)
    (results / STATS).write_text(json.dumps({**summary, "facts": facts}, indent=1) + "\n", encoding="utf-8")
    return {**summary, "table": table(summary)}


def _facts(bag: BagImages, name: str, config: ReplayConfig) -> dict[str, str]:
    from orpose_models.machine import describe_machine, machine_line

    machine = describe_machine()
    versions = ", ".join(f"{package} {version}" for package, version in machine["packages"].items())
    return {
        "bag": name,
        "topic": str(bag.topic),
        "rate": config.rate if config.rate == "max" else f"{config.rate} x real time",
        "model": config.model,
        "backend": config.backend,
        "downsample": f"{config.downsample:g}",
        "frame size": "x".join(map(str, config.frame_size)) if config.frame_size else "that of the images",
        "machine": machine_line(machine),
        "versions": versions,
    }


def _require_ros() -> None:
    """Raises:
    BackendError: ROS 2 or our messages cannot be imported.
    """
    import importlib

    for module in ("rclpy", "orpose_msgs.msg"):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise BackendError(
                f"{module} cannot be imported ({error}): run `make msgs`, or source ROS 2 and your workspace"
            ) from None


def _move_into(folder: Path, results: Path) -> None:
    if (folder / BAG / "metadata.yaml").is_file():  # an earlier replay's; anything else of that name is not ours
        shutil.rmtree(folder / BAG)
    for path in results.iterdir():
        os.replace(path, folder / path.name)
