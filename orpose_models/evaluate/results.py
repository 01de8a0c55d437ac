"""Results files: a COCO results list (that of `orpose run`), as read for evaluation."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orpose_models.annotations import AnnotationSet
from orpose_models.errors import InputError
from orpose_models.runtime.types import RootSource

#: One detected person: image_id, bbox [x, y, w, h] px, score, keypoints (51), keypoints_3d (68), ...
Result = dict[str, Any]
#: Key -> how many numbers it holds.
LENGTHS = {"bbox": 4, "keypoints": 51, "keypoints_3d": 68}
#: What `root` may come from.
ROOT_SOURCES = (RootSource.DEPTH.name.lower(), RootSource.SIZE.name.lower())
#: MVOR's published detections have COCO's joints under another key, and MVOR's ten under this one.
COCO_KEYPOINTS = "coco_keypoints"


def read_results(path: str | Path, *, need: Sequence[str]) -> list[Result]:
    """The list of a results file; `coco_keypoints`, where there are, are its `keypoints`.

    Args:
        path: JSON file.
        need: Keys that every entry must have besides `image_id`; the protocol's. `keypoints_3d_metric` and `root` are
            checked wherever they are.

    Raises:
        InputError: Naming file, entry and key: missing, of another length, or not finite.
    """
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a results.json of `orpose run`") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(results, list):
        raise InputError(f"{path}: expected a COCO results list, got {type(results).__name__}")
    return [_checked(result, need, f"{path}: result {index}") for index, result in enumerate(results)]


def check_images(results: Sequence[Result], annotations: AnnotationSet, where: str, labels: Path) -> None:
    """Raises InputError for the first result of an image that is not labelled."""
    known = {image.image_id for image in annotations.images}
    for index, result in enumerate(results):
        if result["image_id"] not in known:
            raise InputError(
                f"{where}: result {index}: image_id {result['image_id']} is not in {labels};"
                " give `orpose run` the same --annotations, so that it writes the label file's ids"
            )


def _checked(result: Any, need: Sequence[str], where: str) -> Result:
    if isinstance(result, dict) and COCO_KEYPOINTS in result:
        result = {**result, "keypoints": result[COCO_KEYPOINTS]}
    for key in ("image_id", *need):
        if not isinstance(result, dict) or result.get(key) is None:
            raise InputError(f"{where}: {key}: missing")
        if key in LENGTHS:
            _check_numbers(result[key], LENGTHS[key], f"{where}: {key}")
    if not isinstance(result["image_id"], int):
        raise InputError(f"{where}: image_id: expected a whole number, got {result['image_id']!r}")
    score = result.get("score")
    if "score" in need and not (isinstance(score, int | float) and math.isfinite(score)):
        raise InputError(f"{where}: score: expected a finite number, got {score!r}")
    if "bbox" in need and min(result["bbox"][2:]) < 0:
        raise InputError(f"{where}: bbox: expected [x, y, width, height], got {result['bbox']}")
    if result.get("keypoints_3d_metric") is not None:
        _check_numbers(result["keypoints_3d_metric"], 68, f"{where}: keypoints_3d_metric", nulls=True)
    if result.get("root") is not None:
        _check_root(result["root"], f"{where}: root")
    return result


def _check_root(root: Any, where: str) -> None:
    """Position and covariance are numbers, the latter can be inverted, and the source is known."""
    if not isinstance(root, dict):
        raise InputError(f"{where}: expected position, covariance and source, got {str(root)[:80]}")
    for key, length in (("position", 3), ("covariance", 9)):
        if root.get(key) is None:
            raise InputError(f"{where}: {key}: missing")
        _check_numbers(root[key], length, f"{where}: {key}")
    if np.linalg.matrix_rank(np.reshape(root["covariance"], (3, 3))) < 3:
        raise InputError(f"{where}: covariance: expected a matrix that has an inverse, got {root['covariance']}")
    if root.get("source") not in ROOT_SOURCES:
        raise InputError(f"{where}: source: expected {' or '.join(ROOT_SOURCES)}, got {root.get('source')!r}")


def _check_numbers(values: Any, length: int, where: str, *, nulls: bool = False) -> None:
    """With `nulls`, numbers may be null: unknown."""
    try:
        numbers = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected numbers, got {str(values)[:80]}") from None
    if numbers.size != length:
        raise InputError(f"{where}: expected {length} numbers, got {numbers.size}")
    if not nulls and not np.isfinite(numbers).all():
        raise InputError(f"{where}: holds a value that is not finite")
