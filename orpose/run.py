"""`orpose run`: images, a video or a bag -> results.json, and with --draw an overlay video and a contact sheet."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from orpose.options import add_options, settings_from_args
from orpose.run_recording import RunRecording
from orpose.run_views import Labels, Views
from orpose_models.errors import ImageError, InputError
from orpose_models.people import PeopleConfig
from orpose_models.runtime.config import RuntimeConfig

if TYPE_CHECKING:
    from orpose_models.draw import VideoWriter
    from orpose_models.runtime import FrameResult, PoseEstimator, PreparedImage
    from orpose_models.runtime.frames import Frame, Unreadable
    from orpose_models.runtime.sources import Source

#: Frames of a contact sheet.
SHEET_FRAMES = 20
#: Unreadable frames named at the end; more are only counted.
LISTED = 20
RESULTS, VIDEO, SHEET = "results.json", "overlay.mp4", "contact_sheet.png"


class RunConfig(RuntimeConfig, PeopleConfig):
    """The runtime's configuration, and what is done with its input and results."""

    tracking: bool | None = Field(
        default=None,
        description="give people identities over time (track_id) and smooth their joints; not given: in videos, bags, "
        "and images whose labels name a sequence",
    )
    rate: float = Field(
        default=10.0, gt=0.0, le=1000.0, description="frames a second of an input that has no stamps and no rate"
    )
    intrinsics: str | None = Field(
        default=None,
        description="calibration, for places in metres: a camera_info YAML file or fx,fy,cx,cy (px of the frame); not "
        "given: that of the labels, or the bag's camera_info",
        json_schema_extra={"metavar": "FILE|FX,FY,CX,CY"},
    )
    depth: str | None = Field(
        default=None,
        description="folder of registered depth images named like the frames (16-bit PNG in mm, float TIFF in m), or "
        "the bag's depth topic; not given: that of the labels, or the bag's {camera}/depth/image_raw",
        json_schema_extra={"metavar": "FOLDER|TOPIC"},
    )

    draw: bool = Field(default=False, description=f"write {VIDEO} and {SHEET}, too")
    topic: str | None = Field(default=None, description="the bag's image topic; needed where it has several")
    annotations: str | None = Field(
        default=None, description="label file (JSON) to take image ids from; frames that it does not list are skipped"
    )
    rerun: str | None = Field(
        default=None,
        description="also write images and results into this file for the Rerun viewer",
        json_schema_extra={"metavar": "FILE.rrd"},
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="INPUT", help="folder of images, an image, a video, a rosbag2 folder, or a .mcap or .db3 file"
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", type=Path, help=f"where {RESULTS} goes; made if it is not there"
    )
    add_options(parser, RunConfig)


def run(args: argparse.Namespace) -> int:
    from orpose_models.privacy import guard_process
    from orpose_models.runtime import PoseEstimator
    from orpose_models.runtime.sources import open_source

    config = settings_from_args(RunConfig, args)
    if config.downsample > 1:
        guard_process()
    source = open_source(args.input, config.topic, nested=config.annotations is not None)
    labels = None if config.annotations is None else Labels(config.annotations, source.topic, source.path)
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"{args.out}: is a file, expected a folder for the results")
    recording = None if config.rerun is None else RunRecording(config.rerun, source, labels)
    estimator = PoseEstimator(config)
    # Everything is written beside the folder first: an error half way leaves nothing behind.
    with tempfile.TemporaryDirectory(prefix=".orpose-run-", dir=_existing_parent(args.out)) as staging:
        views = Views(source, labels, rate=config.rate, intrinsics=config.intrinsics, depth=config.depth)
        with contextlib.closing(views), recording or contextlib.nullcontext():
            summary = process(source, estimator, Path(staging), config, labels, views, recording)
        args.out.mkdir(parents=True, exist_ok=True)
        for file in Path(staging).iterdir():
            os.replace(file, args.out / file.name)
    print(summary.table(config.score_threshold))
    print(f"written to {args.out}")
    return 0


@dataclass
class Summary:
    """What happened to the frames."""

    frames: int = 0
    unlabelled: int = 0
    persons: int = 0
    not_converged: int = 0
    identities: set[int] = field(default_factory=set)
    placed: Counter[str] = field(default_factory=Counter)
    problem: str = ""
    unreadable: list[Unreadable] = field(default_factory=list)
    timings_ms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, result: FrameResult, decode_ms: float) -> None:
        self.frames += 1
        self.persons += len(result.persons)
        self.not_converged += not result.nms_converged
        self.identities.update(person.track_id for person in result.persons if person.track_id >= 0)
        self.placed.update(person.root.source.name for person in result.persons if person.root is not None)
        stages = {"decode": decode_ms, **result.timings_ms}
        for stage, duration_ms in {**stages, "total": sum(stages.values())}.items():
            self.timings_ms.setdefault(stage, []).append(duration_ms)

    def table(self, score_threshold: float) -> str:
        import numpy as np

        rows = [
            ("frames", f"{self.frames}"),
            ("unreadable", f"{len(self.unreadable)}"),
            (f"persons (score >= {score_threshold:g})", f"{self.persons}"),
            ("persons per frame", f"{self.persons / max(1, self.frames):.2f}"),
        ]
        if self.identities:
            rows.append(("identities", f"{len(self.identities)}"))
        rows += [(f"persons placed by {name.lower()}", f"{count}") for name, count in sorted(self.placed.items())]
        if self.unlabelled:
            rows.append(("skipped, not in the annotations", f"{self.unlabelled}"))
        if self.not_converged:
            rows.append(("frames that may hold a duplicate (NMS)", f"{self.not_converged}"))
        lines = [f"{name:<40}{value:>10}" for name, value in rows]
        lines.append(f"{'latency':<30}{'median ms':>10}{'p95 ms':>10}")
        for stage, durations in self.timings_ms.items():
            lines.append(f"  {stage:<28}{np.median(durations):>10.2f}{np.percentile(durations, 95):>10.2f}")
        if self.problem:
            lines.append(f"places in metres: {self.problem}")
        lines += [f"unreadable: {item.name}: {item.reason}" for item in self.unreadable[:LISTED]]
        if len(self.unreadable) > LISTED:
            lines.append(f"unreadable: and {len(self.unreadable) - LISTED} more")
        return "\n".join(lines)


def process(
    source: Source,
    estimator: PoseEstimator,
    folder: Path,
    config: RunConfig,
    labels: Labels | None,
    views: Views,
    recording: RunRecording | None = None,
) -> Summary:
    """Runs all frames and writes the files into `folder`.

    Args:
        source: The frames.
        estimator: The model.
        folder: Existing folder to write to.
        config: What to do with the results.
        labels: Give frames their ids; those they do not list are skipped. None: a frame's id is its running index.
        views: Of the source.
        recording: Gets every frame, too.

    Raises:
        InputError: Not one frame could be used.
        CalibrationError: `--intrinsics` does not fit the frames.
    """
    from tqdm import tqdm

    from orpose_models.people import People
    from orpose_models.runtime.frames import Unreadable
    from orpose_models.runtime.results import entries_from_persons, write_results

    summary = Summary(unlabelled=0 if labels is None else _left_out(source, labels))
    entries: list[dict[str, Any]] = []
    people: dict[str | None, People] = {}
    pictures = Pictures(folder, source, config.rate) if config.draw else None
    try:
        for item in tqdm(source, total=len(source) - summary.unlabelled, unit="frame", disable=None):
            if isinstance(item, Unreadable):
                summary.unreadable.append(item)
                continue
            image = None if labels is None else labels.find(item)
            if labels is not None and image is None:
                summary.unlabelled += 1
                continue
            try:
                prepared = estimator.prepare(item.image)
            except ImageError as error:
                summary.unreadable.append(Unreadable(item.index, item.name, str(error)))
                continue
            result = estimator.infer(prepared)
            view = views.view_of(item, image)
            if view.name not in people:
                tracking = view.name is not None if config.tracking is None else config.tracking
                people[view.name] = People(config, tracking=tracking)
            place = views.placer(item, image, result.image_size)
            result = people[view.name].update(result, view.stamp_ns, config.score_threshold, place)
            summary.add(result, item.decode_ms)
            number = item.index if image is None else image.image_id
            entries += entries_from_persons(number, item.name, result.candidates)
            if pictures:
                pictures.add(item, prepared, result)
            if recording:
                recording.add(item, view.stamp_ns, prepared.image, result, image)
    finally:
        if pictures:
            pictures.close()
    _require_frames(summary, source)
    summary.problem = views.problem
    write_results(folder / RESULTS, entries)
    return summary


class Pictures:
    """Draws frames as they come: all into the video, some of them onto the contact sheet."""

    def __init__(self, folder: Path, source: Source, rate: float) -> None:
        import numpy as np

        from orpose_models.draw import VideoWriter

        self._folder = folder
        self._video: VideoWriter = VideoWriter(folder / VIDEO, source.frames_per_second or rate)
        last = max(0, len(source) - 1)
        self._chosen = set(np.linspace(0, last, min(SHEET_FRAMES, last + 1)).round().astype(int).tolist())
        self._tiles: list[Any] = []
        self._captions: list[str] = []

    def add(self, frame: Frame, prepared: PreparedImage, result: FrameResult) -> None:
        from orpose_models.draw import draw_persons, overlay

        self._video.write(overlay(prepared.image, result))
        if frame.index in self._chosen:
            self._tiles.append(draw_persons(prepared.image, result))
            self._captions.append(f"{frame.name}: {len(result.persons)}")

    def close(self) -> None:
        import cv2

        from orpose_models.draw import contact_sheet

        self._video.close()
        if self._tiles:
            cv2.imwrite(str(self._folder / SHEET), contact_sheet(self._tiles, self._captions))


def _left_out(source: Source, labels: Labels) -> int:
    """Files that the labels do not list, such as depth images in folders beside, are not even read; their number."""
    from orpose_models.runtime.sources import ImageFiles

    return source.leave_out(lambda name: labels.find_named(name) is None) if isinstance(source, ImageFiles) else 0


def _require_frames(summary: Summary, source: Source) -> None:
    if summary.frames:
        return
    if summary.unlabelled:
        raise InputError(f"{source.path}: none of its {summary.unlabelled} frames is in the annotations")
    if summary.unreadable:
        first, count = summary.unreadable[0], len(summary.unreadable)
        raise InputError(f"{source.path}: none of its {count} frames is usable; {first.name}: {first.reason}")
    raise InputError(f"{source.path}: no frames")


def _existing_parent(folder: Path) -> Path:
    """The nearest folder that exists, for temporary files on the same file system."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder
