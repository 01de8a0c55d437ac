"""What `orpose replay` plays: the user's bag, or one made of images or a video; which label belongs to which frame."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orpose_models.errors import InputError
from orpose_models.runtime.config import RuntimeConfig

if TYPE_CHECKING:
    from orpose_models.runtime.bags import BagImages, RawMessage
    from orpose_models.runtime.frames import Frame
    from orpose_models.runtime.sources import Source
    from orpose_ros.accuracy import Labels

#: Of the bag that is made where the input is none.
_TOPIC = "/camera/image_raw/compressed"
_FIRST_STAMP_NS = 1_600_000_000_000_000_000


@dataclass(frozen=True, eq=False)
class ReplayInput:
    """A bag to play.

    Attributes:
        opened: What the user named.
        bag: The user's own, or a temporary one.
        file_names: Of the images that the bag was made of; None where the input is a bag.
        frame_size: Width and height of the camera's own frame, px, if images come smaller.
    """

    opened: Path
    bag: BagImages
    file_names: list[str] | None
    frame_size: tuple[int, int] | None

    def name_of(self, index: int, stamp_ns: int) -> str:
        """How results name a frame of the bag: its file, or topic and stamp."""
        return f"{self.bag.topic}#{stamp_ns}" if self.file_names is None else self.file_names[index]


def as_bag(source: Source, path: Path, frames_per_second: float, config: RuntimeConfig) -> ReplayInput:
    """The source itself where it is a bag, else a bag made of it at `path`.

    With privacy downsampling the images are reduced before they are written: nothing larger lies on the disk, even if
    the replay is killed.

    Raises:
        InputError: No image can be read, or images to be reduced are not all of one size.
    """
    from orpose_models.bags import compressed_message, write_raw_bag
    from orpose_models.runtime.bags import BagImages
    from orpose_models.runtime.downsample import privacy_downsample
    from orpose_models.runtime.frames import Frame
    from orpose_models.runtime.images import to_bgr8
    from orpose_models.runtime.sources import ImageFiles

    if isinstance(source, BagImages):
        return ReplayInput(source.path, source, None, config.frame_size)
    rate = source.frames_per_second or frames_per_second
    is_reduced = config.downsample > 1
    # What is a video already loses nothing that matters in a JPEG; images, and what is small, stay as they are.
    is_exact = isinstance(source, ImageFiles) or is_reduced
    picture_format: Literal["jpeg", "png"] = "png" if is_exact else "jpeg"
    names: list[str] = []
    sizes: set[tuple[int, int]] = set()

    def messages() -> Iterator[RawMessage]:
        for item in source:
            if isinstance(item, Frame):
                names.append(item.name)
                sizes.add((item.image.shape[1], item.image.shape[0]))
                if is_reduced and len(sizes) > 1:
                    found = " and ".join(f"{width}x{height}" for width, height in sorted(sizes))
                    raise InputError(f"{source.path}: images of {found}; with --downsample play those of one size")
                image = privacy_downsample(to_bgr8(item.image), config.downsample)
                stamp_ns = _FIRST_STAMP_NS + round(item.index * 1e9 / rate)
                yield compressed_message(image, _TOPIC, stamp_ns, picture_format)
            else:
                print(f"orpose replay: left out {item.name}: {item.reason}", file=sys.stderr)

    write_raw_bag(path, messages())
    if not names:
        raise InputError(f"{source.path}: none of its images can be read")
    own_size = next(iter(sizes)) if is_reduced else None
    return ReplayInput(source.path, BagImages(path), names, config.frame_size or own_size)


def read_labels(path: str, played: ReplayInput) -> Labels:
    """The labels of the frames that will be played.

    Raises:
        AnnotationError: The label file cannot be read.
        InputError: It is of other frames.
    """
    from orpose.run_views import Labels as LabelFile
    from orpose_models.runtime.frames import Frame
    from orpose_ros.accuracy import labels_of

    bag = played.bag
    first = next((item for item in bag if isinstance(item, Frame)), None)
    if first is None:
        raise InputError(f"{bag.path}: none of its {len(bag)} images can be decoded")
    file = LabelFile(path, bag.topic, played.opened)
    found = {frame.index: file.find(frame) for frame in _frames(played)}
    image_of_frame = {index: image.image_id for index, image in found.items() if image is not None}
    frame_size = played.frame_size or (first.image.shape[1], first.image.shape[0])
    return labels_of(file.path, file.annotations, image_of_frame, frame_size)


def _frames(played: ReplayInput) -> Iterator[Frame]:
    """The frames by name and stamp, undecoded."""
    import numpy as np

    from orpose_models.bags import stamp_ns_of
    from orpose_models.runtime.frames import Frame

    nothing = np.zeros((0, 0, 3), np.uint8)
    for index, message in enumerate(played.bag.raw_messages()):
        stamp_ns = stamp_ns_of(message.cdr)
        known_ns = stamp_ns if played.file_names is None else None
        yield Frame(index, played.name_of(index, stamp_ns), nothing, 0.0, known_ns)
