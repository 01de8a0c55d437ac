"""Which images are labelled: thinned by recording, listed once and kept, so that a restarted run does the same ones.

Images in folders stay where they are. Frames of bags and videos are written as PNG files, so that training reads the
very pixels that the teacher saw; beside those of a whole recording lies its list, so that it is decoded once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from orpose_models.annotations import Camera, read_annotations
from orpose_models.errors import ImageError, InputError
from orpose_models.files import write_atomically
from orpose_models.runtime.frames import Unreadable
from orpose_models.runtime.images import to_bgr8
from orpose_models.runtime.sources import (
    BAG_SUFFIXES,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Source,
    image_files,
    images_in,
    open_source,
)
from training.data.dataset import SourceConfig, image_folder
from training.teacher.config import LabellingConfig

#: File that lists a run's images, and each recording's frames.
LISTING = "frames.json"


@dataclass(frozen=True)
class FrameRef:
    """One image to label. `path` is relative to the output folder; `sequence` is the recording it belongs to."""

    image_id: int
    path: str
    sequence: str
    frame_index: int
    camera_id: str | None = None
    topic: str | None = None
    stamp_ns: int | None = None


@dataclass(frozen=True)
class Listing:
    """All images of a run, and the frames of bags and videos that could not be decoded: `(name, reason)`."""

    frames: tuple[FrameRef, ...]
    unreadable: tuple[tuple[str, str], ...] = ()


def listed_frames(inputs: Sequence[Path], out: Path, config: LabellingConfig) -> Listing:
    """The run's images: those of an earlier start where there was one, else found now and written down.

    Raises:
        InputError: An input that is missing, empty, damaged or of no known kind, or two recordings of one name.
        AnnotationError: A label file that cannot be read.
    """
    if (out / LISTING).exists():
        return read_listing(out)
    unreadable: list[tuple[str, str]] = []
    frames: list[FrameRef] = []
    known: set[str] = set()
    for entry in _images_together(inputs):
        found = list(_Finder(out, config, unreadable, several=len(inputs) > 1).frames(entry))
        sequences = {frame.sequence for frame in found}
        if twice := sorted(known & sequences):
            raise InputError(f"{entry[0]}: recording '{twice[0]}' is in two inputs; rename one, or label them apart")
        frames += found
        known |= sequences
    if len(inputs) > 1 or len({frame.image_id for frame in frames}) < len(frames):
        frames = [replace(frame, image_id=number) for number, frame in enumerate(frames)]
    if not frames:
        raise InputError(f"{', '.join(map(str, inputs))}: not one readable frame")
    if config.topic and not any(frame.topic for frame in frames):
        given = ", ".join(map(str, inputs))
        raise InputError(f"{given}: topics ({', '.join(config.topic)}) can be chosen only in bags; leave out --topic")
    listing = Listing(tuple(frames), tuple(unreadable))
    _write_listing(out, listing)
    return listing


def _images_together(inputs: Sequence[Path]) -> list[list[Path]]:
    """The inputs one by one; but image files of one folder, as a shell's `*.png` gives them, in the first one's place.

    They are one recording: thinned as such, and never split by frame.
    """
    entries: list[list[Path]] = []
    of_folder: dict[Path, list[Path]] = {}
    for path in inputs:
        if not _is_image(path):
            entries.append([path])
        elif (folder := path.parent.resolve()) in of_folder:
            of_folder[folder].append(path)
        else:
            of_folder[folder] = [path]
            entries.append(of_folder[folder])
    return entries


def forget_listing(out: Path) -> None:
    """Has a run's images found and decoded anew."""
    for path in (out / LISTING, *(out / "images").rglob(LISTING)):
        path.unlink(missing_ok=True)


def _write_listing(folder: Path, listing: Listing) -> None:
    content = {"frames": [asdict(frame) for frame in listing.frames], "unreadable": listing.unreadable}
    write_atomically(folder / LISTING, json.dumps(content).encode())


def read_listing(folder: Path) -> Listing:
    """The list of a run's images in its output folder, or that of a recording beside its frames. Raises: InputError."""
    path = folder / LISTING
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        frames = tuple(FrameRef(**entry) for entry in content["frames"])
        return Listing(frames, tuple((name, reason) for name, reason in content["unreadable"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the list of a run's images ({error}); use an empty --out") from None


def recordings_kept_aside(frames: Iterable[FrameRef], share: float) -> set[str]:
    """Whole recordings for validation: in an order that depends on their names alone, until `share` of images is there.

    Raises:
        InputError: There is only one recording.
    """
    if share == 0:
        return set()
    counts: dict[str, int] = {}
    for frame in frames:
        counts[frame.sequence] = counts.get(frame.sequence, 0) + 1
    if len(counts) < 2:
        raise InputError(
            f"split {share:g}: all images are of one recording ('{next(iter(counts))}'), which is never split by frame;"
            " give several recordings, or --split 0"
        )
    order = sorted(counts, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    kept, images, total = set(), 0, sum(counts.values())
    for name in order[:-1]:  # one at least is left to train on
        if images >= share * total:
            break
        kept.add(name)
        images += counts[name]
    return kept


class _Finder:
    """Finds and thins the frames of one input."""

    def __init__(self, out: Path, config: LabellingConfig, unreadable: list[tuple[str, str]], *, several: bool) -> None:
        self._out, self._config, self._unreadable, self._several = out, config, unreadable, several
        self._ids = count()

    def frames(self, entry: Sequence[Path]) -> Iterator[FrameRef]:
        """Frames of image files of one folder, or of one label file, video, bag, or folder of such."""
        path = entry[0]
        labels = path / "annotations.json" if path.is_dir() else path
        for each in entry:
            if not each.exists():
                raise InputError(f"{each}: no such file or folder")
        if labels.suffix == ".json" and labels.is_file():
            yield from self._listed(path, labels)
        elif path.is_dir() and not _is_bag(path):
            yield from self._below(path)
        elif _is_image(path):
            yield from self._files(image_files(entry), path.parent.resolve().name)
        else:
            yield from self._recorded(path, path.resolve().name)

    def _below(self, root: Path) -> Iterator[FrameRef]:
        """Every folder with images, every bag and every video below `root` is a recording."""
        found = False
        for folder, names, files in os.walk(root):
            here = Path(folder)
            names[:] = sorted(name for name in names if (here / name).resolve() != self._out.resolve())
            bags = [name for name in names if _is_bag(here / name)]
            names[:] = [name for name in names if name not in bags]
            name = "/".join((root.resolve().name, *here.relative_to(root).parts))
            recordings = bags + sorted(f for f in files if f.lower().endswith((*VIDEO_SUFFIXES, *BAG_SUFFIXES)))
            for recording in recordings:
                found = True
                yield from self._recorded(here / recording, f"{name}/{recording}")
            if any(file.lower().endswith(IMAGE_SUFFIXES) for file in files):
                found = True
                yield from self._files(images_in(here), name)
        if not found:
            images_in(root)  # says that there is nothing

    def _files(self, files: Sequence[Path], sequence: str) -> Iterator[FrameRef]:
        for index in range(0, len(files), self._config.every):
            yield FrameRef(next(self._ids), self._relative(files[index]), sequence, index)

    def _listed(self, path: Path, labels: Path) -> Iterator[FrameRef]:
        """Images of a label file; its labels are not looked at, its ids, sequences and cameras are kept."""
        name = path.resolve().name
        prefix = f"{name}/" if self._several else ""
        seen: dict[tuple[str, str | None], int] = {}
        images = read_annotations(labels).images
        try:
            folder = image_folder(SourceConfig(annotations=labels), labels, images)
        except InputError:
            missing = f"its images ({images[0].file_name}, ...) are not beside it"
            raise InputError(f"{labels}: {missing}; give the image folder instead") from None
        for image in images:
            sequence = prefix + (image.sequence or name)
            index = seen[sequence, image.camera_id] = seen.get((sequence, image.camera_id), -1) + 1
            if index % self._config.every == 0:
                frame_index = index if image.frame_index is None else image.frame_index
                camera_id = None if image.camera_id is None else prefix + image.camera_id
                file = self._relative(folder / image.file_name)
                yield FrameRef(image.image_id, file, sequence, frame_index, camera_id, image.topic, image.stamp_ns)

    def _recorded(self, path: Path, sequence: str) -> Iterator[FrameRef]:
        """The frames of a bag or a video, written below `images/` of the output folder."""
        topics = self._config.topic if _is_bag(path) and self._config.topic else (None,)
        for topic in topics:
            source = open_source(path, topic)
            folder = self._out / "images" / sequence / (source.topic or "").strip("/").replace("/", "_")
            if not (folder / LISTING).exists():
                folder.mkdir(parents=True, exist_ok=True)
                _write_listing(folder, self._decoded(source, folder, sequence))
            listing = read_listing(folder)
            self._unreadable += listing.unreadable
            yield from (replace(frame, image_id=next(self._ids)) for frame in listing.frames)

    def _decoded(self, source: Source, folder: Path, sequence: str) -> Listing:
        """Writes the frames to be labelled of one recording; their ids count from 0."""
        frames: list[FrameRef] = []
        unreadable: list[tuple[str, str]] = []
        for item in tqdm(source, total=len(source), unit="frame", desc=source.path.name, disable=None):
            if item.index % self._config.every:
                continue
            if isinstance(item, Unreadable):
                unreadable.append((item.name, item.reason))
                continue
            file = folder / f"{item.index:07d}.png"
            try:
                _write_png(file, to_bgr8(item.image))
            except ImageError as error:
                unreadable.append((item.name, str(error)))
                continue
            path = self._relative(file)
            frames.append(FrameRef(len(frames), path, sequence, item.index, None, source.topic, item.stamp_ns))
        return Listing(tuple(frames), tuple(unreadable))

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path.resolve(), self._out.resolve())).as_posix()


def cameras_of(inputs: Sequence[Path]) -> dict[str, Camera]:
    """The calibrations of label files among the inputs, by the names that `FrameRef.camera_id` has."""
    cameras: dict[str, Camera] = {}
    for path in inputs:
        labels = path / "annotations.json" if path.is_dir() else path
        if labels.suffix == ".json" and labels.is_file():
            prefix = f"{path.resolve().name}/" if len(inputs) > 1 else ""
            for name, camera in read_annotations(labels).cameras.items():
                cameras[prefix + name] = replace(camera, camera_id=prefix + name)
    return cameras


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()


def _is_bag(path: Path) -> bool:
    return path.suffix.lower() in BAG_SUFFIXES or (path / "metadata.yaml").is_file()


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    ok, encoded = cv2.imencode(".png", image)
    if not ok:
        raise ImageError(f"OpenCV could not encode a {image.shape} image")
    write_atomically(path, encoded.tobytes())
