"""How found joints move beside labelled ones: how much they tremble, and how late they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel
from orpose_models.evaluate.recordings import Moment
from orpose_models.evaluate.results import Result

#: Frames farther apart do not follow each other, s.
_LONGEST_STEP_S = 1.0


@dataclass(frozen=True, eq=False)
class Step:
    """One person at one moment: joints `(J, D)`, NaN where unknown, in the unit of the label's."""

    time_s: float
    found_id: int
    true: NDArray[np.float64]
    found: NDArray[np.float64]


def motion(streams: Sequence[Sequence[Moment]]) -> dict[str, float]:
    """Jitter and lag of all recordings; -1 where there is nothing to measure.

    `jitter_px_s`: mean distance of found from labelled velocities of joints, px/s, from frame to frame, while the
    identity stays; `jitter_mm_s` the same of pelvis-relative 3D joints, and `jitter_metric_mm_s` in the camera's frame.
    `lag_ms`: how late found 2D joints are, by least squares of found(t) = true(t - lag). A network has an offset of its
    own, so what smoothing adds is a difference of two.
    """
    steps = {name: _steps(streams, joints) for name, joints in _JOINTS.items()}
    return {
        "jitter_px_s": jitter(steps["image"]),
        "jitter_mm_s": jitter(steps["relative"]),
        "jitter_metric_mm_s": jitter(steps["metric"]),
        "lag_ms": lag_ms(steps["image"]),
    }


def jitter(tracks: Sequence[Sequence[Step]]) -> float:
    """Mean length of (found - labelled velocity) over joints and steps, units/s; -1 without any."""
    lengths = []
    for track in tracks:
        for one, other in itertools.pairwise(track):
            step_s = other.time_s - one.time_s
            if one.found_id == other.found_id and 0 < step_s <= _LONGEST_STEP_S:
                moved = (other.found - one.found) - (other.true - one.true)
                lengths.append(np.sqrt((moved**2).sum(axis=1)) / step_s)
    known = np.concatenate(lengths) if lengths else np.zeros(0)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else -1.0


def lag_ms(tracks: Sequence[Sequence[Step]]) -> float:
    """The delay that explains found - labelled joints best, ms, to first order; -1 where nobody moves."""
    along, squared = 0.0, 0.0
    for track in tracks:
        for before, now, after in zip(track, track[1:], track[2:], strict=False):
            span_s = after.time_s - before.time_s
            if 0 < span_s <= 2 * _LONGEST_STEP_S:
                velocity = (after.true - before.true) / span_s
                product = velocity * (now.true - now.found)
                known = np.isfinite(product)
                along += float(product[known].sum())
                squared += float((velocity[known] ** 2).sum())
    return 1e3 * along / squared if squared > 0 else -1.0


def _steps(
    streams: Sequence[Sequence[Moment]],
    joints: Callable[[PersonLabel, Result], tuple[NDArray[np.float64], NDArray[np.float64]] | None],
) -> list[list[Step]]:
    """What was found of each labelled person of each recording, in the order of time."""
    tracks: dict[tuple[int, int], list[Step]] = {}
    for number, moments in enumerate(streams):
        for moment in moments:
            for row, column in moment.pairs():
                label, result = moment.labels[row], moment.found[column]
                if (both := joints(label, result)) is not None:
                    step = Step(moment.time_s, int(result["track_id"]), *both)
                    tracks.setdefault((number, int(label.track_id or 0)), []).append(step)
    return list(tracks.values())


def _image_joints(label: PersonLabel, result: Result) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if label.keypoints is None or len(label.keypoints) != 17 or result.get("keypoints") is None:
        return None
    found = np.reshape(np.asarray(result["keypoints"], np.float64), (17, 3))[:, :2]
    return np.where(label.keypoints[:, 2:] > 0, label.keypoints[:, :2], np.nan), found


def _relative_joints(label: PersonLabel, result: Result) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if label.keypoints_3d is None or result.get("keypoints_3d") is None:
        return None
    true = np.where(label.keypoints_3d[:, 3:] > 0, label.keypoints_3d[:, :3], np.nan)
    found = np.reshape(np.asarray(result["keypoints_3d"], np.float64), (17, 4))[:, :3]
    return true - true[:1], found


def _metric_joints(label: PersonLabel, result: Result) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if label.keypoints_3d is None or result.get("keypoints_3d_metric") is None:
        return None
    true = np.where(label.keypoints_3d[:, 3:] > 0, label.keypoints_3d[:, :3], np.nan)
    return true, np.reshape(np.asarray(result["keypoints_3d_metric"], np.float64), (17, 4))[:, :3]


_JOINTS = {"image": _image_joints, "relative": _relative_joints, "metric": _metric_joints}
