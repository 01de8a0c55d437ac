"""results.json: a COCO results list, one entry a person."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import InputError
from orpose_models.runtime.types import Person, Root, RootSource, TrackState
from orpose_models.units import MILLIMETRES_PER_METRE

_METRES_TO_MM = np.array([*[MILLIMETRES_PER_METRE] * 3, 1.0])


def entries_from_persons(image_id: int, file_name: str, persons: Iterable[Person]) -> list[dict[str, Any]]:
    """The entries of one frame: boxes and joints in px of the original frame; 3D in mm.

    `keypoints_3d` are relative to the pelvis; `keypoints_3d_metric` (null without depth and calibration; null numbers
    for unknown joints) and `root` (null without calibration) are in the camera's frame.
    """
    return [
        {
            "image_id": image_id,
            "file_name": file_name,
            "category_id": 1,
            "bbox": _rounded(person.bbox_xywh, 2),
            "score": round(person.score, 5),
            "keypoints": _flat_with_scores(person.keypoints, 2),
            "keypoints_3d": _flat_with_scores(person.keypoints_3d, 1),
            "keypoints_3d_metric": _metric(person),
            "track_id": person.track_id,
            "track_state": int(person.track_state),
            "root": _root(person),
        }
        for person in persons
    ]


def person_from_entry(entry: Mapping[str, Any], where: str = "results") -> Person:
    """The person of one entry; `where` names the file in an error.

    Raises:
        InputError: A missing key or a list of another length.
    """
    try:
        arrays = {key: np.asarray(entry[key], np.float32) for key in ("bbox", "keypoints", "keypoints_3d")}
        return Person(
            score=float(entry["score"]),
            bbox_xywh=arrays["bbox"].reshape(4),
            keypoints=arrays["keypoints"].reshape(17, 3),
            keypoints_3d=arrays["keypoints_3d"].reshape(17, 4),
            track_id=int(entry.get("track_id", -1)),
            track_state=TrackState(int(entry.get("track_state", TrackState.NONE))),
            keypoints_3d_metric=_metric_from(entry.get("keypoints_3d_metric")),
            root=_root_from(entry.get("root")),
        )
    except KeyError as error:
        raise InputError(f"{where}: entry of image {entry.get('image_id')}: {error.args[0]}: missing") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: entry of image {entry.get('image_id')}: {error}") from None


def _metric(person: Person) -> list[float | None] | None:
    if person.keypoints_3d_metric is None:
        return None
    flat = _flat_with_scores(person.keypoints_3d_metric * _METRES_TO_MM, 1)
    return [value if math.isfinite(value) else None for value in flat]


def _metric_from(flat: Sequence[float | None] | None) -> NDArray[np.float32] | None:
    if flat is None:
        return None
    return (np.asarray(flat, np.float64).reshape(17, 4) / _METRES_TO_MM).astype(np.float32)


def _root(person: Person) -> dict[str, Any] | None:
    """Position in mm, covariance in mm², row by row, and where both come from: depth or size."""
    if person.root is None:
        return None
    return {
        "position": _rounded(person.root.position_m * MILLIMETRES_PER_METRE, 1),
        "covariance": _rounded(person.root.covariance_m2.reshape(-1) * MILLIMETRES_PER_METRE**2, 1),
        "source": person.root.source.name.lower(),
    }


def _root_from(root: Mapping[str, Any] | None) -> Root | None:
    if root is None:
        return None
    return Root(
        position_m=np.asarray(root["position"], np.float64).reshape(3) / MILLIMETRES_PER_METRE,
        covariance_m2=np.asarray(root["covariance"], np.float64).reshape(3, 3) / MILLIMETRES_PER_METRE**2,
        source=RootSource[str(root["source"]).upper()],
    )


def write_results(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Writes results.json by temporary name and rename, one entry a line."""
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    lines = ",\n".join(json.dumps(entry, separators=(",", ":"), allow_nan=False) for entry in entries)
    temporary.write_text(f"[\n{lines}\n]\n" if lines else "[]\n", encoding="utf-8")
    os.replace(temporary, path)


def _flat_with_scores(joints: NDArray[np.floating], decimals: int) -> list[float]:
    """Joints `(17, D)` as a flat list; coordinates to `decimals`, the score (last) to 4."""
    return [value for joint in joints for value in (*_rounded(joint[:-1], decimals), *_rounded(joint[-1:], 4))]


def _rounded(values: NDArray[np.floating], decimals: int) -> list[float]:
    return [round(float(value), decimals) for value in values]
