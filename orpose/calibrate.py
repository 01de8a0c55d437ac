"""`orpose calibrate`: the poses of several cameras in a room, from a ChArUco board or from people they see together."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from orpose.options import add_options, settings_from_args
from orpose_models.errors import BackendError, CalibrationError, ConfigError, InputError
from orpose_models.runtime.config import RuntimeConfig, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from orpose_models.annotations import Camera
    from orpose_models.multiview.bundle import Observations
    from orpose_models.multiview.shots import Recording
    from orpose_models.runtime.types import Person


class CalibrateConfig(RuntimeConfig):
    """How to calibrate; the runtime's options are for finding people."""

    method: Literal["charuco", "people"] = Field(
        default="people", description="a ChArUco board that the cameras see, or people whom several see at once"
    )
    moments: int = Field(default=100, ge=2, le=10000, description="moments to use, evenly over the recording")
    sync_tolerance_ms: float = Field(
        default=50.0, ge=1.0, le=1000.0, description="largest difference of stamps, ms, of images of one moment (bags)"
    )
    squares: Size = Field(
        default=(7, 5),
        description="the board's columns and rows of squares",
        json_schema_extra={"metavar": "WxH"},
    )
    square_m: float = Field(default=0.1, gt=0, le=2, description="side of the board's squares, m")
    marker_m: float = Field(default=0.075, gt=0, le=2, description="side of the board's markers, m")
    dictionary: str = Field(default="5X5_100", description="OpenCV's name of the board's markers")
    scale: Literal["height", "depth"] = Field(
        default="height", description="where metres come from with people: their average height, or depth images"
    )
    body_height: float = Field(default=1.72, ge=1.0, le=2.3, description="average height of the people seen, m")

    @model_validator(mode="after")
    def _board_needs_all_pixels(self) -> CalibrateConfig:
        if self.method == "charuco" and self.downsample > 1:
            raise ValueError("downsample: a board's corners need all pixels; leave it out, or use method people")
        return self


@dataclass(frozen=True, eq=False)
class Found:
    """A calibration and what it was made of; cameras and points are in the room."""

    cameras: dict[str, Camera]
    points: NDArray[np.float64]
    seen: Observations
    errors_px: NDArray[np.float64]
    moment_of_point: NDArray[np.int64]
    what: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="INPUT", type=Path,
        help="bag with several image topics, label file of a sequence, or folder with a folder of images per camera",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="calibration file (JSON) to write")
    parser.add_argument("--picture", type=Path, help="also draw what was seen, where it should be, and the room")
    parser.add_argument(
        "--intrinsics", metavar="FILE", type=Path, action="append", default=[],
        help="lenses, where INPUT has no camera_info: a JSON file with 'cameras', or camera_calibration's YAML of the "
        "camera that it names; may be given several times",
    )  # fmt: skip
    parser.add_argument("--results", type=Path, help="people of a results.json instead of finding them (label files)")
    parser.add_argument("--truth", type=Path, help="file with the cameras' true poses to compare with")
    add_options(parser, CalibrateConfig)


def run(args: argparse.Namespace) -> int:
    config = settings_from_args(CalibrateConfig, args)
    _require_scipy()
    from orpose_models.files import check_picture_name
    from orpose_models.multiview.calibration import read_cameras, read_lenses, write_cameras
    from orpose_models.multiview.shots import open_recording, with_lenses

    if args.results and (config.method != "people" or args.input.suffix != ".json"):
        raise ConfigError("command line: results: only with --method people and a label file, whose image ids it has")
    if args.picture:
        check_picture_name(args.picture, "--picture")  # before the work, not after it
    given = {name: camera for path in args.intrinsics for name, camera in read_lenses(path).items()}
    truth = read_cameras(args.truth) if args.truth else {}
    recording = open_recording(args.input, config.moments, config.sync_tolerance_ms / 1e3)
    cameras = with_lenses(recording, given, _sizes(recording, config))
    if truth and len(truth.keys() & cameras.keys()) < 2:
        raise CalibrationError(
            f"{args.truth}: has the cameras {', '.join(truth)}, the recording {', '.join(cameras)}; comparing with "
            "--truth takes two of the same names"
        )
    found = (
        _by_board(config, recording, cameras)
        if config.method == "charuco"
        else _by_people(args, config, recording, cameras)
    )
    info = {"method": config.method, "input": str(args.input), "error_px_median": _median(found.errors_px)}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_cameras(args.out, found.cameras, info)
    print(_table(found, truth))
    print(f"written to {args.out}")
    if args.picture:
        _draw(args.picture, found, recording, config)
        print(f"picture {args.picture}")
    return 0


def _require_scipy() -> None:
    try:
        importlib.import_module("scipy.optimize")
    except ImportError:
        raise BackendError("scipy: not installed, needed to adjust cameras; pip install 'orpose[calibrate]'") from None


def _sizes(recording: Recording, config: CalibrateConfig) -> dict[str, tuple[int, int]]:
    """Camera -> width and height of its frames."""
    sizes = {}
    for moment in recording.moments:
        for name, shot in moment.items():
            if name not in sizes:
                height, width = shot.read().shape[:2]
                sizes[name] = config.frame_size or (width, height)
    if len(sizes) < 2:
        raise InputError(f"images of {len(sizes)} camera; calibrating needs two or more")
    return sizes


def _by_board(config: CalibrateConfig, recording: Recording, cameras: Mapping[str, Camera]) -> Found:
    import numpy as np
    from tqdm import tqdm

    from orpose_models.multiview.board import Board, BoardFinder, board_axes, calibrate_board
    from orpose_models.multiview.people import in_room

    finder = BoardFinder(Board(config.squares, config.square_m, config.marker_m, config.dictionary))
    seen = []
    for moment in tqdm(recording.moments, unit="moment", disable=None):
        corners = {name: finder.find(shot.read()) for name, shot in moment.items()}
        seen.append({name: each for name, each in corners.items() if each is not None})
    if not any(seen):
        raise CalibrationError(
            f"no image shows the board ({config.squares[0]}x{config.squares[1]}, {config.dictionary}); check squares, "
            "dictionary, and that it fills a tenth of an image"
        )
    result = calibrate_board(cameras, seen, finder.points)
    room_from_first = board_axes(result)
    points = result.adjusted.points @ room_from_first[:3, :3].T + room_from_first[:3, 3]
    used = result.moments
    return Found(
        in_room(result.adjusted.cameras, room_from_first),
        points,
        result.seen,
        result.adjusted.errors_px,
        np.repeat(used, len(finder.points)),
        f"a board in {len(used)} moments",
    )


def _by_people(
    args: argparse.Namespace, config: CalibrateConfig, recording: Recording, cameras: Mapping[str, Camera]
) -> Found:
    import numpy as np

    from orpose_models.multiview.people import calibrate_people, in_room, room_axes, scale_from_height, scaled

    result = calibrate_people(cameras, _people(args, config, recording))
    if config.scale == "height":
        scale = scale_from_height(result.joints, config.body_height)
    else:
        from orpose_models.multiview.depth_scale import scale_from_depth

        depths = [{name: shot.depth_m() for name, shot in moment.items()} for moment in recording.moments]
        scale = scale_from_depth(result, depths)
    grown = scaled(result.adjusted.cameras, scale)
    room_from_first = room_axes(grown, result.joints * scale)
    points = result.adjusted.points * scale @ room_from_first[:3, :3].T + room_from_first[:3, 3]
    return Found(
        in_room(grown, room_from_first),
        points,
        result.seen,
        result.adjusted.errors_px,
        np.repeat(result.moments, result.known.sum(axis=1)),
        f"{int(result.known.any(axis=1).sum())} people seen by two cameras or more",
    )


def _people(args: argparse.Namespace, config: CalibrateConfig, recording: Recording) -> list[dict[str, list[Person]]]:
    """Camera -> whom it sees, moment by moment."""
    from tqdm import tqdm

    from orpose_models.runtime.results import person_from_entry

    if args.results:
        from orpose_models.evaluate.results import read_results

        found: dict[int, list[Person]] = {}
        for entry in read_results(args.results, need=["bbox", "score", "keypoints", "keypoints_3d"]):
            if entry["score"] >= config.score_threshold:
                found.setdefault(entry["image_id"], []).append(person_from_entry(entry, str(args.results)))
        return [{name: found.get(int(shot.image_id or 0), []) for name, shot in m.items()} for m in recording.moments]
    from orpose_models.runtime import PoseEstimator

    estimator = PoseEstimator(config)
    return [
        {name: list(estimator.estimate(shot.read()).persons) for name, shot in moment.items()}
        for moment in tqdm(recording.moments, unit="moment", disable=None)
    ]


def _table(found: Found, truth: Mapping[str, Camera]) -> str:
    import numpy as np

    from orpose_models.multiview.compare import differences

    lines = [f"from {found.what}", f"{'camera':<24}{'sightings':>10}{'median px':>11}{'p95 px':>9}{'place (m)':>26}"]
    for index, (name, camera) in enumerate(found.cameras.items()):
        errors = found.errors_px[found.seen.camera == index]
        assert camera.room_from_camera is not None
        place = " ".join(f"{value:.2f}" for value in camera.room_from_camera[:3, 3])
        lines.append(
            f"{name:<24}{len(errors):>10}{np.median(errors):>11.2f}{np.percentile(errors, 95):>9.2f}{place:>26}"
        )
    if truth:
        compared = differences(found.cameras, truth)
        lines.append(f"against the truth, seen from {next(name for name in found.cameras if name in truth)}:")
        lines.append(f"{'camera':<24}{'turn deg':>10}{'shift cm':>11}{'distance found / true':>24}")
        for name, (turn_deg, shift_m, ratio) in compared.items():
            lines.append(f"{name:<24}{turn_deg:>10.2f}{100 * shift_m:>11.1f}{ratio:>24.3f}")
    return "\n".join(lines)


def _draw(path: Path, found: Found, recording: Recording, config: CalibrateConfig) -> None:
    """Of each camera the moment with the most sightings, at the resolution that privacy allows."""
    import numpy as np

    from orpose_models.multiview.calibration_picture import sightings_of, write_picture
    from orpose_models.runtime.downsample import privacy_downsample

    images: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    for index, name in enumerate(found.cameras):
        own = found.moment_of_point[found.seen.point[found.seen.camera == index]]
        moment = int(np.bincount(own).argmax())
        images[name] = privacy_downsample(recording.moments[moment][name].read(), config.downsample)
        chosen = np.flatnonzero(found.moment_of_point == moment)
        shown[name] = sightings_of(found.seen, index, chosen)
    write_picture(path, found.cameras, images, found.points, found.seen, shown)


def _median(errors: Sequence[float] | NDArray[np.float64]) -> float:
    import numpy as np

    return round(float(np.median(errors)), 3)
