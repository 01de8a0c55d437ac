"""`orpose run --rerun`: every frame for the Rerun viewer."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from orpose.run_views import Labels
    from orpose_models.annotations import Camera, LabelledImage, PersonLabel
    from orpose_models.rerun_file import RerunFile
    from orpose_models.runtime import FrameResult
    from orpose_models.runtime.frames import Frame
    from orpose_models.runtime.sources import Source


class RunRecording:
    """The .rrd file of one input."""

    def __init__(self, path: str, source: Source, labels: Labels | None) -> None:
        """Checks what can be checked before any work.

        Args:
            path: Of the file.
            source: The frames.
            labels: May tell what the camera is and where, and who is in each image.

        Raises:
            BackendError: Rerun is not installed.
            InputError: No recording can have this name.
        """
        from orpose_models.rerun_file import check_name, require_rerun

        require_rerun()
        self._path = check_name(path)
        self._has_stamps = source.topic is not None
        self._people: dict[int, list[PersonLabel]] = labels.annotations.persons_by_image() if labels else {}
        self._camera = _camera(source, labels)
        self._open = ExitStack()
        self._file: RerunFile | None = None

    def add(
        self,
        frame: Frame,
        stamp_ns: int,
        picture: NDArray[np.uint8],
        result: FrameResult,
        image: LabelledImage | None,
    ) -> None:
        """Writes a frame.

        Args:
            frame: As it was read; its pixels are not used.
            stamp_ns: When it was taken, ns.
            picture: `(h, w, 3)` BGR at the resolution privacy allows.
            result: What was found in it.
            image: Its labels' image.
        """
        from orpose_models.rerun_file import Shown

        assert self._file is not None, "entered"
        people = [] if image is None else self._people[image.image_id]
        times_ms = {**result.timings_ms, "decode": frame.decode_ms}
        self._file.add(Shown(frame.index, result.image_size, stamp_ns, picture, result, times_ms, people))

    def __enter__(self) -> RunRecording:
        from orpose_models.rerun_file import RerunFile

        self._file = self._open.enter_context(RerunFile(self._path, self._camera, has_stamps=self._has_stamps))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


def _camera(source: Source, labels: Labels | None) -> Camera | None:
    """The calibration of the labels where all of them are of one camera, else the bag's."""
    if labels and len(labels.annotations.cameras) == 1:
        return next(iter(labels.annotations.cameras.values()))
    if source.topic is None:
        return None
    from orpose_models.bag_camera import camera_of_bag

    return camera_of_bag(source.path, source.topic)
