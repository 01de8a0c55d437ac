"""Pictures of a replay, at the resolution privacy allows: overlay video, contact sheet, stills and the worst frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.draw import VideoWriter, contact_sheet, draw_3d, draw_persons
from orpose_models.draw_labels import draw_labels
from orpose_models.evaluate.frame_quality import FrameQuality
from orpose_models.runtime.types import FrameResult
from orpose_ros.accuracy import Labels
from orpose_ros.replayed import ReplayedFrame

VIDEO, SHEET = "overlay.mp4", "contact_sheet.png"
#: Pictures in the contact sheet and in the report, and how many of the worst frames.
STILLS, WORST = 12, 6
#: Between two of the worst frames, s.
APART_S = 0.5


@dataclass(frozen=True, eq=False)
class Still:
    """A drawn frame `(H, W, 3)` BGR and what to say of it."""

    caption: str
    picture: NDArray[np.uint8]


class Pictures:
    """Draws frames as they come.

    Attributes:
        stills: Evenly over the replay.
        worst: With their labels, worst first; without labels the slowest answers.

    Raises:
        InputError: The video cannot be written.
        OSError: The contact sheet cannot be.
    """

    def __init__(
        self,
        folder: Path,
        frames: Sequence[ReplayedFrame],
        frames_per_second: float,
        labels: Labels | None,
        qualities: Mapping[int, FrameQuality],
    ) -> None:
        self._folder, self._labels, self._qualities = folder, labels, qualities
        places = np.linspace(0, len(frames) - 1, min(STILLS, len(frames))).round().astype(int).tolist()
        self._chosen = {frames[place].index for place in places}
        self._worst = worst_frames(frames, qualities)
        self._drawn_worst: dict[int, Still] = {}
        self._video = VideoWriter(folder / VIDEO, frames_per_second)
        self.stills: list[Still] = []

    @property
    def worst(self) -> list[Still]:
        return [self._drawn_worst[index] for index in self._worst if index in self._drawn_worst]

    def add(self, frame: ReplayedFrame, image: NDArray[np.uint8], frame_size: tuple[int, int]) -> NDArray[np.uint8]:
        """Draws a frame's answer.

        Args:
            frame: The frame.
            image: `(h, w, 3)` BGR as privacy allows.
            frame_size: Width and height of the frame, px.
        """
        result = frame.result or FrameResult(persons=(), image_size=frame_size)
        drawn = draw_persons(image, result)
        height = drawn.shape[0]
        self._video.write(np.hstack([drawn, draw_3d(result.persons, (height // 4, height))]))
        if frame.index in self._chosen:
            self.stills.append(Still(_caption(frame), drawn))
        if frame.index in self._worst:
            people = self._labels.people_of(frame.index) if self._labels else None
            picture = draw_labels(drawn, people, result.image_size) if people else drawn
            self._drawn_worst[frame.index] = Still(_worst_caption(frame, self._qualities.get(frame.index)), picture)
        return drawn

    def __enter__(self) -> Pictures:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._video.close()
        if kind is None and self.stills:
            sheet = contact_sheet([still.picture for still in self.stills], [still.caption for still in self.stills])
            _, encoded = cv2.imencode(".png", sheet)
            (self._folder / SHEET).write_bytes(encoded.tobytes())  # cv2.imwrite would not say that the disk is full


def worst_frames(frames: Sequence[ReplayedFrame], qualities: Mapping[int, FrameQuality]) -> list[int]:
    """Indices in the bag, worst first: of the labelled frames those least right, without labels the slowest answers.

    Frames of one moment look alike: none is nearer to a worse one than `APART_S`.
    """
    if qualities:
        ranked = sorted(
            (frame for frame in frames if frame.index in qualities and qualities[frame.index].quality < 1),
            key=lambda frame: qualities[frame.index].quality,
        )
    else:
        answered = [frame for frame in frames if frame.latency_ms is not None]
        ranked = sorted(answered, key=lambda frame: -(frame.latency_ms or 0.0))
    chosen: list[ReplayedFrame] = []
    for frame in ranked:
        if len(chosen) < WORST and all(abs(frame.time_s - other.time_s) >= APART_S for other in chosen):
            chosen.append(frame)
    return [frame.index for frame in chosen]


def _caption(frame: ReplayedFrame) -> str:
    if frame.result is None:
        return f"{frame.time_s:.1f} s: {'dropped' if frame.was_received else 'lost'}"
    return f"{frame.time_s:.1f} s: {len(frame.result.persons)} persons, {frame.latency_ms:.0f} ms"


def _worst_caption(frame: ReplayedFrame, quality: FrameQuality | None) -> str:
    if quality is None:
        return _caption(frame)
    if frame.result is None:
        return f"{_caption(frame)}; {quality.labelled} labelled"
    text = f"{frame.time_s:.1f} s: {quality.missed} of {quality.labelled} missed, {quality.invented} invented"
    return text if quality.similarity is None else f"{text}, the others {100 * quality.similarity:.0f} % alike"
