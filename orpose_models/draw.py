"""Pictures of results: skeletons over frames, a 3D view beside them, contact sheets and videos.

Draw on the image that the estimator kept (`PreparedImage.image`), never on the camera's: it shows no more than privacy
allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import InputError
from orpose_models.runtime.types import FrameResult, Person, TrackState
from orpose_models.skeleton import COCO17, H36M17, Skeleton

Bgr = tuple[int, int, int]

#: Joints with a lower score are drawn hollow, limbs that end in one thin and faint.
FAINT_BELOW = 0.3
#: The longer side of a drawing, px: smaller frames are enlarged by a whole factor so that one can see.
DISPLAY_SIDE = (640, 1920)

_LEFT, _RIGHT, _MIDDLE = (255, 170, 60), (50, 130, 255), (235, 235, 235)
_BACKGROUND, _TEXT = (32, 32, 32), (235, 235, 235)
#: Boxes, joints and labels, one colour a person.
_PERSON_COLORS: tuple[Bgr, ...] = (
    (80, 220, 80), (60, 220, 240), (230, 120, 230), (240, 220, 60), (90, 90, 250), (250, 150, 120), (150, 250, 200),
    (160, 160, 250),
)  # fmt: skip
_SUPERSAMPLING_BITS = 4  # OpenCV draws at 1/16 px with shift=4


def side_color(skeleton: Skeleton, limb: tuple[int, int]) -> Bgr:
    """Blue for the person's left, orange for the right, white between the sides."""
    names = [skeleton.joint_names[joint] for joint in limb]
    for side, color in (("left_", _LEFT), ("right_", _RIGHT)):
        opposite = "right_" if side == "left_" else "left_"
        if any(name.startswith(side) for name in names) and not any(name.startswith(opposite) for name in names):
            return color
    return _MIDDLE


def person_color(index: int, person: Person) -> Bgr:
    """The same for a track over time; without tracking, by rank in the frame."""
    return track_color(person.track_id if person.track_id >= 0 else index)


def track_color(track_id: int) -> Bgr:
    """The colour of a track, the same over time."""
    return _PERSON_COLORS[track_id % len(_PERSON_COLORS)]


def display_image(image: NDArray[np.uint8], frame_size: tuple[int, int]) -> NDArray[np.uint8]:
    """A copy to draw on, in the frame's aspect and within `DISPLAY_SIDE`.

    Args:
        image: `(h, w, 3)` BGR, of the whole frame at whatever resolution.
        frame_size: Width and height of the original frame, px.
    """
    longer, (smallest, largest) = max(frame_size), DISPLAY_SIDE
    scale = min(largest / longer, max(1, -(-smallest // longer)))
    size = (max(1, round(frame_size[0] * scale)), max(1, round(frame_size[1] * scale)))
    if (image.shape[1], image.shape[0]) == size:
        return image.copy()
    interpolation = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def draw_persons(image: NDArray[np.uint8], result: FrameResult) -> NDArray[np.uint8]:
    """The persons over their image: limbs coloured by side, box and joints by person, weak joints faint and hollow.

    People whose track is not confirmed, or lost, are faint as a whole, with a question mark.

    Args:
        image: `(h, w, 3)` BGR of the whole frame at whatever resolution; it is not changed.
        result: What was found in it.

    Returns:
        `(H, W, 3)` at the size of `display_image`.
    """
    canvas = display_image(image, result.image_size)
    scale = canvas.shape[1] / result.image_size[0]
    thickness = max(1, round(canvas.shape[1] / 320))
    faint = canvas.copy()
    for index, person in enumerate(result.persons):
        _draw_limbs(faint, person, scale, max(1, thickness // 2), strong=False)
        if not is_sure(person):
            _draw_person(faint, person, person_color(index, person), scale, max(1, thickness // 2))
    cv2.addWeighted(faint, 0.45, canvas, 0.55, 0, dst=canvas)
    for index, person in enumerate(result.persons):
        if is_sure(person):
            _draw_person(canvas, person, person_color(index, person), scale, thickness)
    return canvas


def is_sure(person: Person) -> bool:
    """Whether a person is shown as one: the track is confirmed, or there is no tracking."""
    return person.track_state not in (TrackState.TENTATIVE, TrackState.LOST)


def _draw_person(canvas: NDArray[np.uint8], person: Person, color: Bgr, scale: float, thickness: int) -> None:
    _draw_box(canvas, person, color, scale, thickness)
    _draw_limbs(canvas, person, scale, thickness, strong=True)
    _draw_joints(canvas, person, color, scale, thickness)


def _draw_limbs(canvas: NDArray[np.uint8], person: Person, scale: float, thickness: int, *, strong: bool) -> None:
    for limb in COCO17.limbs:
        first, second = person.keypoints[list(limb)]
        if (min(first[2], second[2]) >= FAINT_BELOW) == strong:
            _line(canvas, first[:2] * scale, second[:2] * scale, side_color(COCO17, limb), thickness)


def _draw_joints(canvas: NDArray[np.uint8], person: Person, color: Bgr, scale: float, thickness: int) -> None:
    for x, y, score in person.keypoints:
        filled = cv2.FILLED if score >= FAINT_BELOW else 1
        center = _fixed_point(np.array([x, y]) * scale)
        radius = (thickness + 1) << _SUPERSAMPLING_BITS
        cv2.circle(canvas, center, radius, color, filled, cv2.LINE_AA, _SUPERSAMPLING_BITS)


def _draw_box(canvas: NDArray[np.uint8], person: Person, color: Bgr, scale: float, thickness: int) -> None:
    x, y, width, height = person.bbox_xywh * scale
    box = (round(float(x)), round(float(y)), round(float(width)), round(float(height)))
    cv2.rectangle(canvas, box, color, max(1, thickness // 2), cv2.LINE_AA)
    track = "" if person.track_id < 0 else f"#{person.track_id}{'' if is_sure(person) else '?'} "
    label = f"{track}{person.score:.2f}"
    _text(canvas, label, (box[0] + 2, max(box[1] - 4, 12)), color)


def draw_3d(persons: Sequence[Person], size: tuple[int, int], turn_deg: float = 35.0) -> NDArray[np.uint8]:
    """The 3D skeletons, each in a cell of its own, seen from the camera turned about the vertical axis.

    Args:
        persons: At most as many as there are cells are drawn: a column of four.
        size: Width and height of the picture, px.
        turn_deg: Turn of the view; 0 is the camera's.
    """
    width, height = size
    canvas = np.full((height, width, 3), _BACKGROUND, np.uint8)
    cell = height // 4
    turn = np.deg2rad(turn_deg)
    for index, person in enumerate(persons[:4]):
        joints = person.keypoints_3d
        view_mm = np.stack([joints[:, 0] * np.cos(turn) + joints[:, 2] * np.sin(turn), joints[:, 1]], axis=-1)
        # A cell holds 2.2 m, the pelvis a little below its middle.
        points = view_mm * (cell / 2200) + np.array([width / 2, (index + 0.5) * cell])
        for limb in H36M17.limbs:
            weak = joints[list(limb), 3].min() < FAINT_BELOW
            _line(canvas, points[limb[0]], points[limb[1]], side_color(H36M17, limb), 1 if weak else 2)
        cv2.rectangle(canvas, (0, index * cell, width - 1, cell - 1), person_color(index, person), 1)
    return canvas


def overlay(image: NDArray[np.uint8], result: FrameResult) -> NDArray[np.uint8]:
    """`draw_persons` with a strip of 3D skeletons on its right."""
    drawn = draw_persons(image, result)
    height = drawn.shape[0]
    return np.hstack([drawn, draw_3d(result.persons, (height // 4, height))])


def contact_sheet(
    images: Sequence[NDArray[np.uint8]], captions: Sequence[str] = (), columns: int = 4, tile_width: int = 400
) -> NDArray[np.uint8]:
    """Images in a grid, captions below them.

    Args:
        images: `(h, w, 3)` BGR, of any sizes.
        captions: One a picture, or none.
        columns: Pictures in a row.
        tile_width: Width of one, px; heights follow the first image's aspect.

    Raises:
        ValueError: No images.
    """
    if not images:
        raise ValueError("contact_sheet: got no images")
    columns = min(columns, len(images))
    picture = (tile_width, max(1, round(tile_width * images[0].shape[0] / images[0].shape[1])))
    caption_height, gap = (20 if captions else 0), 4
    rows = -(-len(images) // columns)
    cell = (picture[0] + gap, picture[1] + caption_height + gap)
    sheet = np.full((rows * cell[1] + gap, columns * cell[0] + gap, 3), _BACKGROUND, np.uint8)
    for index, image in enumerate(images):
        left, top = gap + index % columns * cell[0], gap + index // columns * cell[1]
        sheet[top : top + picture[1], left : left + picture[0]] = fit_into(image, picture)
        if index < len(captions):
            _text(sheet, captions[index], (left + 2, top + picture[1] + 15), _TEXT)
    return sheet


def fit_into(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image scaled without distortion into `size` (width, height px), centred on the background colour."""
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    width, height = (
        max(1, min(limit, round(side * scale)))
        for side, limit in zip((image.shape[1], image.shape[0]), size, strict=True)
    )
    canvas = np.full((size[1], size[0], 3), _BACKGROUND, np.uint8)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=interpolation)
    return canvas


class VideoWriter:
    """An mp4 file, as large as its first image; later ones are fitted into that.

    Example:
        with VideoWriter("overlay.mp4", frames_per_second=10) as video:
            video.write(image)
    """

    def __init__(self, path: str | Path, frames_per_second: float) -> None:
        self._path = str(path)
        self._frames_per_second = frames_per_second
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, image: NDArray[np.uint8]) -> None:
        """Appends an image `(h, w, 3)` BGR.

        Raises:
            InputError: The file cannot be written.
        """
        if self._writer is None:
            # H.264 wants even sides; players of mp4v are happier with them, too.
            self._size = (image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2)
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(self._path, cv2.CAP_FFMPEG, fourcc, self._frames_per_second, self._size)
            if not self._writer.isOpened():
                raise InputError(f"{self._path}: cannot be written as an mp4 video of {self._size[0]}x{self._size[1]}")
        if (image.shape[1], image.shape[0]) != self._size:
            image = fit_into(image, self._size)
        self._writer.write(image)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _line(canvas: NDArray[np.uint8], start: NDArray, end: NDArray, color: Bgr, thickness: int) -> None:
    cv2.line(canvas, _fixed_point(start), _fixed_point(end), color, thickness, cv2.LINE_AA, _SUPERSAMPLING_BITS)


def _fixed_point(point: NDArray) -> tuple[int, int]:
    """Pixel-edges coordinates -> OpenCV's: pixel centres at whole numbers, in 1/16 px, held within what it can draw."""
    limited = np.clip((np.asarray(point, float) - 0.5) * (1 << _SUPERSAMPLING_BITS), -(2**20), 2**20)
    return round(float(limited[0])), round(float(limited[1]))


def _text(canvas: NDArray[np.uint8], text: str, origin: tuple[int, int], color: Bgr) -> None:
    """Text on a dark ground, `origin` the left end of its base line."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    corner = (origin[0] - 2, origin[1] - height - 2)
    cv2.rectangle(canvas, (*corner, width + 4, height + below + 2), _BACKGROUND, cv2.FILLED)
    cv2.putText(canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1, cv2.LINE_AA)
