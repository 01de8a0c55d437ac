"""Where frames come from: a folder of images, one image, a video or a ROS bag."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from orpose_models.errors import ImageError, InputError
from orpose_models.runtime.frames import Frame, Unreadable
from orpose_models.runtime.images import decode_image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".jp2")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")
BAG_SUFFIXES = (".mcap", ".db3")


class Source(Protocol):
    """Frames in order. Iterating again starts from the beginning.

    Attributes:
        path: What was opened.
        frames_per_second: The recording's rate, None where it has none.
        topic: The bag's image topic, None elsewhere.
    """

    path: Path
    frames_per_second: float | None
    topic: str | None

    def __len__(self) -> int:
        """Number of frames the source says it has; a damaged video may give fewer."""
        ...

    def __iter__(self) -> Iterator[Frame | Unreadable]: ...


def open_source(path: str | Path, topic: str | None = None, *, nested: bool = False) -> Source:
    """The frames of a folder of images, an image, a video, a rosbag2 folder, or a .mcap or .db3 file.

    Args:
        path: File or folder.
        topic: A bag's image topic; needed where it has several.
        nested: A folder without images of its own stands for those in its folders, as a data set of several cameras
            has them; frames are named by their path in it.

    Raises:
        InputError: Missing, empty, of no known kind, or unreadable as a whole.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if suffix in BAG_SUFFIXES or (path / "metadata.yaml").is_file():
        from orpose_models.runtime.bags import BagImages

        return BagImages(path, topic)
    if topic is not None:
        raise InputError(f"{path}: a topic ('{topic}') can be chosen only in a bag")
    if path.is_dir():
        return ImageFiles(path, images_in(path, nested=nested))
    if suffix in IMAGE_SUFFIXES:
        return ImageFiles(path, [path])
    if suffix in VIDEO_SUFFIXES:
        return VideoFile(path)
    known = " ".join((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES, *BAG_SUFFIXES))
    raise InputError(f"{path}: unknown kind of file '{suffix}', expected a folder or one of {known}")


class ImageFiles:
    """Image files, in the given order; those below the folder `path` are named by their path in it."""

    frames_per_second: float | None = None
    topic: str | None = None

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.path = path
        self.files = files
        self._left_out: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.files)

    def leave_out(self, unwanted: Callable[[str], bool]) -> int:
        """Files whose names are unwanted are not read; the others keep their index. Returns how many are left out."""
        self._left_out = frozenset(index for index, file in enumerate(self.files) if unwanted(self._name(file)))
        return len(self._left_out)

    def __iter__(self) -> Iterator[Frame | Unreadable]:
        for index, file in enumerate(self.files):
            if index in self._left_out:
                continue
            started = time.perf_counter()
            try:
                image = decode_image(np.frombuffer(file.read_bytes(), np.uint8))
            except ImageError as error:
                yield Unreadable(index, self._name(file), str(error))
            except OSError as error:
                yield Unreadable(index, self._name(file), f"cannot be read ({error.strerror})")
            else:
                yield Frame(index, self._name(file), image, (time.perf_counter() - started) * 1e3)

    def _name(self, file: Path) -> str:
        return file.relative_to(self.path).as_posix() if self.path in file.parents else file.name


class VideoFile:
    """A video file, decoded by OpenCV."""

    topic: str | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        capture = self._open()
        self._count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.frames_per_second: float | None = capture.get(cv2.CAP_PROP_FPS) or None
        capture.release()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame | Unreadable]:
        capture = self._open()
        try:
            index = 0
            while True:
                started = time.perf_counter()
                found, image = capture.read()
                if not found:
                    break
                decode_ms = (time.perf_counter() - started) * 1e3
                yield Frame(index, f"{self.path.name}#{index:06d}", image, decode_ms)
                index += 1
            for missing in range(index, self._count):
                yield Unreadable(missing, f"{self.path.name}#{missing:06d}", "the video ends before this frame")
        finally:
            capture.release()

    def _open(self) -> cv2.VideoCapture:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg would write its own lines to stderr
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise InputError(f"{self.path}: not a video that can be decoded; is the file complete?")
        return capture


def images_in(folder: Path, *, nested: bool = False) -> list[Path]:
    """The image files of a folder, in natural order: `frame2` before `frame10`.

    Args:
        folder: Where they are.
        nested: If there are none, those of its folders at any depth.

    Raises:
        InputError: There are none.
    """
    files = image_files(folder.iterdir())
    if not files and nested:
        files = image_files(folder.rglob("*"))
    if not files:
        below = sorted({p.parent.name for p in folder.glob("*/*") if p.suffix.lower() in IMAGE_SUFFIXES})
        hint = f"; there are some in its folders {', '.join(below)}" if below else ""
        raise InputError(f"{folder}: no images ({' '.join(IMAGE_SUFFIXES)}) in this folder{hint}")
    return files


def image_files(paths: Iterable[Path]) -> list[Path]:
    """The image files among `paths`, in natural order, without the depth and instance images of others.

    A link to a file that is not there is one of them: it will be counted as unreadable, not passed over.
    """
    files = [p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES and (p.is_file() or _is_broken_link(p))]
    known = {(file.parent, file.stem) for file in files}
    return sorted((file for file in files if not _is_label_of(file, known)), key=_natural_key)


def _is_broken_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _is_label_of(file: Path, known: set[tuple[Path, str]]) -> bool:
    """Whether a file is the depth or instance image that `orpose synth --depth` puts beside an image."""
    stem = file.stem
    ends = (end for end in ("_depth", "_instances") if stem.endswith(end))
    return any((file.parent, stem.removesuffix(end)) in known for end in ends)


def _natural_key(path: Path) -> list[tuple[int, str]]:
    """`frame2` before `frame10`."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(int(part), "") if part.isdigit() else (-1, part.lower()) for part in parts]
