"""What `orpose run` knows of each frame beside its pixels: which view it is of and when, the lens, and the depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orpose_models.errors import CalibrationError, ConfigError, ImageError

if TYPE_CHECKING:
    from orpose_models.annotations import AnnotationSet, LabelledImage
    from orpose_models.depth import DepthImage
    from orpose_models.lens import Lens
    from orpose_models.runtime.bag_depth import BagBeside
    from orpose_models.runtime.frames import Frame
    from orpose_models.runtime.sources import Source
    from orpose_models.runtime.types import Person

#: What a depth image may be called beside `frame.png`, in the folder given with --depth.
DEPTH_NAMES = ("{}.png", "{}.tif", "{}.tiff", "{}_depth.png", "{}_depth.tif", "{}_depth.tiff")


@dataclass(frozen=True)
class View:
    """Frames of one view follow each other in time.

    Attributes:
        name: Of the camera and recording; None for images that have nothing to do with each other.
        stamp_ns: When the frame was taken, on whatever clock, ns.
    """

    name: str | None
    stamp_ns: int


class Views:
    """Looks up what belongs to a frame. `close` it after use.

    Attributes:
        problem: Why nobody is placed in metres, for the last frame of which that is so; empty: everybody is.
    """

    def __init__(
        self,
        source: Source,
        labels: Labels | None,
        *,
        rate: float,
        intrinsics: str | None,
        depth: str | None,
    ) -> None:
        """Opens what the options name.

        Raises:
            ConfigError: A depth folder that is not there.
            InputError: A depth topic that the bag does not have.
        """
        self.problem = ""
        self._source, self._labels, self._intrinsics = source, labels, intrinsics
        self._rate = source.frames_per_second or rate
        self._beside = _beside(source, depth)
        self._depth_folder = Path(depth) if depth is not None and source.topic is None else None
        if self._depth_folder is not None and not self._depth_folder.is_dir():
            raise ConfigError(f"command line: depth: {depth}: no such folder; a topic can be named only with a bag")
        self._lenses: dict[tuple[str | None, tuple[int, int]], Lens] = {}

    def close(self) -> None:
        if self._beside is not None:
            self._beside.close()

    def view_of(self, frame: Frame, image: LabelledImage | None) -> View:
        """The frame's view and time: its own stamp, its label's, or its place at the recording's rate."""
        stamp_ns = frame.stamp_ns
        if stamp_ns is None and image is not None:
            stamp_ns = image.stamp_ns
        if stamp_ns is None:
            place = frame.index if image is None or image.frame_index is None else image.frame_index
            stamp_ns = round(place * 1e9 / self._rate)
        is_recording = self._source.topic is not None or self._source.frames_per_second is not None
        if image is not None and image.sequence is not None:
            return View(f"{image.sequence}/{image.camera_id}", stamp_ns)
        return View("" if is_recording else None, stamp_ns)

    def lens_of(self, image: LabelledImage | None, frame_size: tuple[int, int]) -> Lens | None:
        """The camera's lens for pixels of that frame; None (and a `problem`) if there is no calibration.

        Raises:
            CalibrationError: `--intrinsics` does not fit.
        """
        key = (None if image is None else image.camera_id, frame_size)
        if key not in self._lenses:
            try:
                lens = self._find_lens(image, frame_size)
            except CalibrationError as error:
                if self._intrinsics is not None:
                    raise
                self.problem = str(error)
                return None
            if lens is None:
                self.problem = (
                    "no calibration: no camera_info beside the images, nor a camera in the labels; give --intrinsics"
                )
                return None
            self._lenses[key] = lens
        return self._lenses[key]

    def _find_lens(self, image: LabelledImage | None, frame_size: tuple[int, int]) -> Lens | None:
        from orpose_models.intrinsics import lens_from_camera_info, lens_from_text
        from orpose_models.multiview.calibration import for_image_size

        if self._intrinsics is not None:
            return lens_from_text(self._intrinsics, frame_size)
        cameras = {} if self._labels is None else self._labels.annotations.cameras
        if image is not None and image.camera_id is not None and image.camera_id in cameras:
            return for_image_size(cameras[image.camera_id], frame_size).lens
        if self._beside is not None and self._beside.camera_info is not None:
            return lens_from_camera_info(self._beside.camera_info, frame_size)
        return None

    def depth_of(self, frame: Frame, image: LabelledImage | None) -> DepthImage | None:
        """Registered depth of the frame's moment, None (and perhaps a `problem`) if there is none."""
        from orpose_models.depth import read_depth

        try:
            if self._beside is not None:
                return None if frame.stamp_ns is None else self._beside.depth_at(frame.stamp_ns)
            path = self._depth_path(frame, image)
            return None if path is None else read_depth(path)
        except ImageError as error:
            self.problem = str(error)
            return None

    def placer(
        self, frame: Frame, image: LabelledImage | None, frame_size: tuple[int, int]
    ) -> Callable[[Person], Person] | None:
        """What finds a person's place in this frame; None without a calibration."""
        from orpose_models.metric3d import located

        if (lens := self.lens_of(image, frame_size)) is None:
            return None
        depth = self.depth_of(frame, image)
        if depth is not None:
            try:
                depth.require_registered(frame_size)
            except ImageError as error:
                self.problem, depth = str(error), None
        return lambda person: located(person, lens, depth, frame_size)

    def _depth_path(self, frame: Frame, image: LabelledImage | None) -> Path | None:
        if self._depth_folder is not None:
            stem = Path(frame.name).stem
            paths = (self._depth_folder / name.format(stem) for name in DEPTH_NAMES)
            found = next((path for path in paths if path.is_file()), None)
            if found is None:
                self.problem = (
                    f"{frame.name}: no {DEPTH_NAMES[0].format(stem)} or {DEPTH_NAMES[3].format(stem)} in --depth"
                )
            return found
        if self._labels is not None and image is not None and image.depth_file_name is not None:
            return self._labels.path.parent / image.depth_file_name
        return None


class Labels:
    """A label file, looked up by frame."""

    def __init__(self, path: str, topic: str | None, frames: Path) -> None:
        """Reads the file. Raises AnnotationError if it cannot be read.

        Args:
            path: Of the label file.
            topic: That of the frames' bag.
            frames: The folder or file of the frames.
        """
        from orpose_models.annotations import read_annotations

        self.path = Path(path)
        self.annotations: AnnotationSet = read_annotations(path)
        images = self.annotations.images
        self._folder = frames.absolute() if frames.is_dir() else frames.absolute().parent
        self._by_stamp = {image.stamp_ns: image for image in images if image.topic == topic}
        self._by_name = {image.file_name: image for image in images}
        self._by_base_name: dict[str, list[LabelledImage]] = defaultdict(list)
        for image in images:
            self._by_base_name[Path(image.file_name).name].append(image)

    def find(self, frame: Frame) -> LabelledImage | None:
        """The label of a frame, by topic and stamp or by file name.

        Where several cameras' images have the same name, the folders above decide.
        """
        if frame.stamp_ns is not None and frame.stamp_ns in self._by_stamp:
            return self._by_stamp[frame.stamp_ns]
        return self.find_named(frame.name)

    def find_named(self, name: str) -> LabelledImage | None:
        """The label of a frame by its file name alone."""
        if name in self._by_name:
            return self._by_name[name]
        same = self._by_base_name.get(Path(name).name, [])
        whole = (self._folder / name).as_posix()
        fitting = [image for image in same if whole.endswith(f"/{image.file_name}")]
        if not fitting and "/" not in name:
            fitting = same
        return fitting[0] if len(fitting) == 1 else None


def _beside(source: Source, depth: str | None) -> BagBeside | None:
    if source.topic is None:
        return None
    from orpose_models.runtime.bag_depth import BagBeside

    return BagBeside(source.path, source.topic, depth)
