"""Cameras' poses from a ChArUco board that they see, in turns and together. Needs scipy (the extra `calibrate`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera
from orpose_models.errors import CalibrationError, ConfigError
from orpose_models.multiview.bundle import Adjusted, Observations, adjust

#: Corners below which a board's place is not worked out.
_LEAST_CORNERS = 6
#: Points of the ideal image plane, not px, go into OpenCV's solver: the lens is ours.
_UNIT = np.eye(3)
_DICTIONARY_PREFIX = "DICT_"


@dataclass(frozen=True)
class Board:
    """A ChArUco board.

    Attributes:
        squares: Columns and rows of squares.
        square_m, marker_m: Sides of a square and of a marker, m.
        dictionary: OpenCV's name of the markers' dictionary without DICT_, such as 5X5_100.
    """

    squares: tuple[int, int]
    square_m: float
    marker_m: float
    dictionary: str

    def opencv(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's board.

        Raises:
            ConfigError: A dictionary that OpenCV does not have, or sizes that cannot be.
        """
        name = _DICTIONARY_PREFIX + self.dictionary.upper()
        if not hasattr(cv2.aruco, name):
            raise ConfigError(
                f"dictionary: got {self.dictionary!r}: OpenCV has none of that name; e.g. 5X5_100, 4X4_50"
            )
        if not 0 < self.marker_m < self.square_m:
            raise ConfigError(
                f"marker_m: got {self.marker_m:g}, expected more than 0 and less than square_m {self.square_m:g}"
            )
        try:
            dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
            return cv2.aruco.CharucoBoard(self.squares, self.square_m, self.marker_m, dictionary)
        except cv2.error:
            raise ConfigError(
                f"squares: {self.squares[0]}x{self.squares[1]} is no board of {self.dictionary}"
            ) from None


@dataclass(frozen=True, eq=False)
class Corners:
    """Inner corners of the board in an image: `ids (K,)` and `pixels (K, 2)`, px from the image's edge."""

    ids: NDArray[np.int64]
    pixels: NDArray[np.float64]


class BoardFinder:
    """Finds the board in images."""

    def __init__(self, board: Board) -> None:
        opencv = board.opencv()
        self._detector = cv2.aruco.CharucoDetector(opencv)
        #: `(N, 3)` places of the inner corners on the board, m.
        self.points = np.asarray(opencv.getChessboardCorners(), np.float64)

    def find(self, image: NDArray[np.uint8]) -> Corners | None:
        """The corners in a BGR image; None if there are too few."""
        pixels, ids, _, _ = self._detector.detectBoard(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        if ids is None or len(ids) < _LEAST_CORNERS:
            return None
        # OpenCV counts pixels from the middle of the first one.
        return Corners(ids.reshape(-1).astype(np.int64), pixels.reshape(-1, 2).astype(np.float64) + 0.5)


@dataclass(frozen=True, eq=False)
class BoardCalibration:
    """What was found, in the frame of the first camera.

    Attributes:
        adjusted: Cameras and corners.
        seen: What they were adjusted to.
        first_from_board: `(4, 4)` place of the board in the first moment it was seen; z points away from its front.
        moments: `(K,)` index of the moment of each K boards, whose corners are points one after the other.
    """

    adjusted: Adjusted
    seen: Observations
    first_from_board: NDArray[np.float64]
    moments: NDArray[np.int64]


def calibrate_board(
    cameras: Mapping[str, Camera], moments: Sequence[Mapping[str, Corners]], points: NDArray[np.float64]
) -> BoardCalibration:
    """Poses of the cameras in the frame of the first one.

    Args:
        cameras: Their lenses; poses are not used.
        moments: Camera -> what it saw of the board, those that saw it.
        points: `(N, 3)` of `BoardFinder`.

    Raises:
        CalibrationError: A camera never sees the board together with the others.
    """
    own = {name: replace(camera, room_from_camera=np.eye(4)) for name, camera in cameras.items()}
    places = [
        {name: place for name, corners in moment.items() if (place := _place(own[name], corners, points)) is not None}
        for moment in moments
    ]
    posed, boards = _join(own, places)
    names = list(cameras)
    structure: list[NDArray[np.float64]] = []
    rigid: list[NDArray[np.int64]] = []
    rows: list[tuple[float, ...]] = []
    for index, first_from_board in sorted(boards.items()):
        start = len(rigid) * len(points)
        structure.append(points @ first_from_board[:3, :3].T + first_from_board[:3, 3])
        rigid.append(np.arange(start, start + len(points)))
        for name, corners in moments[index].items():
            rows += [(names.index(name), start + k, *px) for k, px in zip(corners.ids, corners.pixels, strict=True)]
    table = np.array(rows)
    seen = Observations(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:], np.ones(len(table)))
    adjusted = adjust(posed, np.concatenate(structure), seen, rigid)
    return BoardCalibration(adjusted, seen, _axes(adjusted.points[rigid[0]], points), np.array(sorted(boards)))


def board_axes(calibration: BoardCalibration) -> NDArray[np.float64]:
    """`room_from_first`: the board lies on the floor in the first moment, its front up; x along its columns."""
    front_up = np.diag([1.0, -1.0, -1.0, 1.0])
    return front_up @ np.linalg.inv(calibration.first_from_board)


def _place(camera: Camera, seen: Corners, points: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """`camera_from_board`, None where it cannot be told."""
    rays = camera.lens.rays(seen.pixels)
    usable = np.isfinite(rays).all(axis=1) & (rays[:, 2] > 0.1)
    if usable.sum() < _LEAST_CORNERS:
        return None
    ideal = rays[usable, :2] / rays[usable, 2:]
    found, turn, move = cv2.solvePnP(points[seen.ids[usable]], ideal, _UNIT, None, flags=cv2.SOLVEPNP_IPPE)
    if not found:
        return None
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], move.reshape(3)
    return pose


def _join(
    cameras: Mapping[str, Camera], places: Sequence[Mapping[str, NDArray[np.float64]]]
) -> tuple[dict[str, Camera], dict[int, NDArray[np.float64]]]:
    """First guesses: cameras and boards (moment -> `first_from_board`) hang together by whoever sees whom."""
    names = list(cameras)
    poses, boards = {names[0]: np.eye(4)}, {}
    while True:
        for index, seen in enumerate(places):
            if index not in boards and (known := [name for name in seen if name in poses]):
                boards[index] = poses[known[0]] @ seen[known[0]]
        guesses = {
            name: [
                boards[i] @ np.linalg.inv(seen[name]) for i, seen in enumerate(places) if i in boards and name in seen
            ]
            for name in names
            if name not in poses
        }
        joined = {name: own for name, own in guesses.items() if own}
        if not joined:
            break
        name = max(joined, key=lambda each: len(joined[each]))
        middle = np.median([guess[:3, 3] for guess in joined[name]], axis=0)
        poses[name] = min(joined[name], key=lambda guess: float(np.linalg.norm(guess[:3, 3] - middle)))
    if lost := [name for name in names if name not in poses]:
        raise CalibrationError(
            f"{', '.join(lost)}: the board was never seen at the same time by another camera that is connected with "
            f"{names[0]}; show it to both at once"
        )
    return {name: replace(cameras[name], room_from_camera=poses[name]) for name in names}, boards


def _axes(placed: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """`first_from_board` of corners that were moved there as a rigid body (Kabsch)."""
    left, _, right = np.linalg.svd((placed - placed.mean(axis=0)).T @ (points - points.mean(axis=0)))
    pose = np.eye(4)
    pose[:3, :3] = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    pose[:3, 3] = placed.mean(axis=0) - pose[:3, :3] @ points.mean(axis=0)
    return pose
