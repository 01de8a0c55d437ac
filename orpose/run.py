"""`orpose run`: images, a video or a bag -> results.json, and with --draw an overlay video and a contact sheet."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from orpose.options import add_options, settings_from_args
from orpose_models.errors import ImageError, InputError
from orpose_models.runtime.config import RuntimeConfig

if TYPE_CHECKING:
    from orpose_models.draw import VideoWriter
    from orpose_models.runtime import FrameResult, PoseEstimator, PreparedImage
    from orpose_models.runtime.frames import Frame, Unreadable
    from orpose_models.runtime.sources import Source

#: Frames of a contact sheet, and frames a second of the overlay where the input has no rate of its own.
SHEET_FRAMES, DEFAULT_RATE = 20, 10.0
#: Unreadable frames named at the end; more are only counted.
LISTED = 20
RESULTS, VIDEO, SHEET = "results.json", "overlay.mp4", "contact_sheet.png"


class RunConfig(RuntimeConfig):
    """The runtime's configuration, and what is done with its input and results."""

    draw: bool = Field(default=False, description=f"write {VIDEO} and {SHEET}, too")
    topic: str | None = Field(default=None, description="the bag's image topic; needed where it has several")
    annotations: str | None = Field(
        default=None, description="label file (JSON) to take image ids from; frames that it does not list are skipped"
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
    source = open_source(args.input, config.topic)
    image_id = image_ids(config.annotations, source.topic)
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"{args.out}: is a file, expected a folder for the results")
    estimator = PoseEstimator(config)
    # Everything is written beside the folder first: an error half way leaves nothing behind.
    with tempfile.TemporaryDirectory(prefix=".orpose-run-", dir=_existing_parent(args.out)) as staging:
        summary = process(source, estimator, image_id, Path(staging), draw=config.draw)
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
    unreadable: list[Unreadable] = field(default_factory=list)
    timings_ms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, result: FrameResult, decode_ms: float) -> None:
        self.frames += 1
        self.persons += len(result.persons)
        self.not_converged += not result.nms_converged
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
        if self.unlabelled:
            rows.append(("skipped, not in the annotations", f"{self.unlabelled}"))
        if self.not_converged:
            rows.append(("frames that may hold a duplicate (NMS)", f"{self.not_converged}"))
        lines = [f"{name:<40}{value:>10}" for name, value in rows]
        lines.append(f"{'latency':<30}{'median ms':>10}{'p95 ms':>10}")
        for stage, durations in self.timings_ms.items():
            lines.append(f"  {stage:<28}{np.median(durations):>10.2f}{np.percentile(durations, 95):>10.2f}")
        lines += [f"unreadable: {item.name}: {item.reason}" for item in self.unreadable[:LISTED]]
        if len(self.unreadable) > LISTED:
            lines.append(f"unreadable: and {len(self.unreadable) - LISTED} more")
        return "\n".join(lines)


def process(
    source: Source,
    estimator: PoseEstimator,
    image_id: Callable[[Frame], int | None],
    folder: Path,
    *,
    draw: bool,
) -> Summary:
    """Runs all frames and writes the files into `folder`.

    Args:
        source: The frames.
        estimator: The model.
        image_id: A frame's id in the results, None to skip it.
        folder: Existing folder to write to.
        draw: Write the video and the contact sheet, too.

    Raises:
        InputError: Not one frame could be used.
    """
    from tqdm import tqdm

    from orpose_models.runtime.frames import Unreadable
    from orpose_models.runtime.results import entries_from_persons, write_results

    summary = Summary()
    entries: list[dict[str, Any]] = []
    pictures = Pictures(folder, source) if draw else None
    try:
        for item in tqdm(source, total=len(source), unit="frame", disable=None):
            if isinstance(item, Unreadable):
                summary.unreadable.append(item)
                continue
            if (number := image_id(item)) is None:
                summary.unlabelled += 1
                continue
            try:
                prepared = estimator.prepare(item.image)
            except ImageError as error:
                summary.unreadable.append(Unreadable(item.index, item.name, str(error)))
                continue
            result = estimator.infer(prepared)
            summary.add(result, item.decode_ms)
            entries += entries_from_persons(number, item.name, result.candidates)
            if pictures:
                pictures.add(item, prepared, result)
    finally:
        if pictures:
            pictures.close()
    _require_frames(summary, source)
    write_results(folder / RESULTS, entries)
    return summary


class Pictures:
    """Draws frames as they come: all into the video, some of them onto the contact sheet."""

    def __init__(self, folder: Path, source: Source) -> None:
        import numpy as np

        from orpose_models.draw import VideoWriter

        self._folder = folder
        self._video: VideoWriter = VideoWriter(folder / VIDEO, source.frames_per_second or DEFAULT_RATE)
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


def image_ids(annotations: str | None, topic: str | None) -> Callable[[Frame], int | None]:
    """How a frame gets its id: its running index, or the label file's by topic and stamp or by file name.

    Raises:
        AnnotationError: The label file cannot be read.
    """
    if annotations is None:
        return lambda frame: frame.index
    from orpose_models.annotations import read_annotations

    images = read_annotations(annotations).images
    by_stamp = {image.stamp_ns: image.image_id for image in images if image.topic == topic}
    by_name = {image.file_name: image.image_id for image in images}
    base_names = Counter(Path(name).name for name in by_name)
    by_base_name = {base: number for name, number in by_name.items() if base_names[base := Path(name).name] == 1}

    def find(frame: Frame) -> int | None:
        if frame.stamp_ns is not None and frame.stamp_ns in by_stamp:
            return by_stamp[frame.stamp_ns]
        return by_name.get(frame.name, by_base_name.get(frame.name))

    return find


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
