"""`orpose replay`: plays a camera bag through the real node over DDS, records its answers, and writes a report."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from orpose.options import add_options, settings_from_args
from orpose.replay_input import ReplayInput, as_bag, read_labels
from orpose_models.errors import BackendError, InputError
from orpose_models.people import PeopleConfig
from orpose_models.runtime.config import RuntimeConfig

if TYPE_CHECKING:
    from orpose_models.bag_topics import PassedTopics
    from orpose_models.runtime.bags import BagImages

BAG, REPORT, STATS, RESULTS, LOGS = "bag", "report.html", "stats.json", "results.json", "logs"
#: Frames a second of the overlay where the recording has one frame.
DEFAULT_RATE = 10.0


class ReplayConfig(RuntimeConfig, PeopleConfig):
    """The configuration of the runtime and of what the node makes of its results, and how the bag is played."""

    tracking: bool = Field(
        default=True, description="give people identities over time (track_id) and smooth their joints"
    )

    rate: str = Field(
        default="1",
        description="speed in times real time, or max: the next frame as soon as the last one was answered",
    )
    topic: str | None = Field(default=None, description="the bag's image topic; needed where it has several")
    annotations: str | None = Field(
        default=None, description="label file (JSON) of the frames, found by topic and stamp or file name: adds metrics"
    )
    rerun: str | None = Field(
        default=None,
        description="also write images and results into this file for the Rerun viewer",
        json_schema_extra={"metavar": "FILE.rrd"},
    )
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
        help=f"where {BAG}/ (MCAP), {REPORT}, {STATS}, {RESULTS} and pictures go; made if it is not there",
    )
    add_options(parser, ReplayConfig)


def run(args: argparse.Namespace) -> int:
    from orpose_models.privacy import guard_process
    from orpose_models.rerun_file import check_name, require_rerun
    from orpose_models.runtime.sources import open_source

    config = settings_from_args(ReplayConfig, args)
    if config.downsample > 1:
        guard_process()
    _check_out(args.out)
    source = open_source(args.input, config.topic)
    _require_installed("rclpy", "orpose_msgs.msg", "plotly", *(["pycocotools"] if config.annotations else []))
    if config.rerun:
        require_rerun()
        check_name(config.rerun)
    logs = args.out / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    # Results are written beside the earlier ones first: an error half way leaves those as they were.
    with tempfile.TemporaryDirectory(prefix=".orpose-replay-", dir=args.out) as staging:
        results = Path(staging, "results")
        results.mkdir()
        played = as_bag(source, Path(staging, "input"), config.fps, config)
        config = config.model_copy(update={"frame_size": played.frame_size})
        summary = _replay(played, args.input, config, logs, results)
        _move_into(args.out, results)
    print(summary["table"])
    print(f"written to {args.out}; open {args.out / REPORT} in a browser")
    frames = summary["frames"]
    return 1 if frames["unaccounted"] or frames["lost"] else 0


def _replay(played: ReplayInput, name: str, config: ReplayConfig, logs: Path, results: Path) -> dict[str, Any]:
    from orpose_models.rerun_file import RerunFile
    from orpose_models.runtime.results import write_results
    from orpose_ros.accuracy import measure, qualities, result_entries
    from orpose_ros.config import NodeConfig
    from orpose_ros.drawing import Drawing, camera_of_frames
    from orpose_ros.pictures import Pictures
    from orpose_ros.recording import write_bag
    from orpose_ros.replay import replay
    from orpose_ros.replayed import put_together
    from orpose_ros.report import Replayed, write_report
    from orpose_ros.summary import summarise, table

    bag = played.bag
    labels = read_labels(config.annotations, played) if config.annotations else None
    shared = NodeConfig.model_fields.keys() & ReplayConfig.model_fields.keys()
    node_config = NodeConfig(**{name: getattr(config, name) for name in shared}, compressed=bag.is_compressed)
    sent, recorder = replay(bag, node_config, config.rate, logs)
    frames, account = put_together(sent, recorder)
    entries = result_entries(frames, played.name_of, labels)
    quality = qualities(frames, labels) if labels else {}
    summary = summarise(frames, account)
    if labels:
        summary["accuracy"] = {"score_threshold": config.score_threshold, **measure(frames, labels, entries)}
    camera = camera_of_frames(bag, labels)
    with ExitStack() as stack:
        rate = bag.frames_per_second or DEFAULT_RATE
        pictures = stack.enter_context(Pictures(results, frames, rate, labels, quality))
        recording = None
        if config.rerun:
            recording = stack.enter_context(RerunFile(Path(config.rerun), camera, has_stamps=True))
        drawing = Drawing(frames, labels, pictures, recording)
        topics = write_bag(results / BAG, bag, sent, recorder, drawing, config, node_config.cameras[0])
    facts = _facts(bag, name, config, topics)
    write_results(results / RESULTS, entries)
    write_report(results / REPORT, Replayed(frames, summary, pictures, facts, entries, labels, quality, camera))
    (results / STATS).write_text(json.dumps({**summary, "facts": facts}, indent=1) + "\n", encoding="utf-8")
    return {**summary, "table": table(summary)}


def _facts(bag: BagImages, name: str, config: ReplayConfig, topics: PassedTopics) -> dict[str, str]:
    from orpose_models.machine import describe_machine, machine_line

    machine = describe_machine()
    versions = ", ".join(f"{package} {version}" for package, version in machine["packages"].items())
    facts = {
        "bag": name,
        "topic": str(bag.topic),
        "rate": config.rate if config.rate == "max" else f"{config.rate} x real time",
        "model": config.model,
        "backend": config.backend,
        "downsample": f"{config.downsample:g}",
        "score threshold": f"{config.score_threshold:g}",
        "frame size": "x".join(map(str, config.frame_size)) if config.frame_size else "that of the images",
        "machine": machine_line(machine),
        "versions": versions,
    }
    if config.annotations:
        facts["annotations"] = config.annotations
    if config.downsample > 1:
        left_out = [str(bag.topic), *(topic for topic in topics.left_out if topic != bag.topic)]
        facts["left out of the bag for privacy"] = ", ".join(left_out)
    return facts


#: Module -> what to do where it is missing.
_INSTALLS = {
    "rclpy": "run `make msgs`, or source ROS 2 and your workspace",
    "orpose_msgs.msg": "run `make msgs`, or source ROS 2 and your workspace",
    "plotly": "pip install 'orpose[replay]'",
    "pycocotools": "pip install 'orpose[replay]'",
}


def _require_installed(*modules: str) -> None:
    """Raises:
    BackendError: One of the modules cannot be imported.
    """
    import importlib

    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise BackendError(f"{module} cannot be imported ({error}): {_INSTALLS[module]}") from None


def _check_out(folder: Path) -> None:
    """Raises InputError where the results could not be moved into the folder after the replay."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder")
    bag = folder / BAG
    if bag.is_dir() and not (bag / "metadata.yaml").is_file() and any(bag.iterdir()):
        raise InputError(
            f"{bag}: holds something else than a bag (no metadata.yaml); remove it, or choose another --out"
        )
    if bag.exists() and not bag.is_dir():
        raise InputError(f"{bag}: is a file, and the bag is written there; remove it, or choose another --out")


def _move_into(folder: Path, results: Path) -> None:
    if (folder / BAG / "metadata.yaml").is_file():  # an earlier replay's; anything else of that name is not ours
        shutil.rmtree(folder / BAG)
    for path in results.iterdir():
        os.replace(path, folder / path.name)
