"""Results files: a COCO results list (architecture.md, `orpose run`), as read for evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orpose_models.errors import InputError

#: One detected person: image_id, bbox [x, y, w, h] px, score, keypoints (51), keypoints_3d (68), ...
Result = dict[str, Any]


def read_results(path: str | Path, *, need: Sequence[str]) -> list[Result]:
    """The list of a results file.

    Args:
        path: JSON file.
        need: Keys that every entry must have besides `image_id`; the protocol's.

    Raises:
        InputError: Naming file, entry and key.
    """
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a results.json of `orpose run`") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(results, list):
        raise InputError(f"{path}: expected a COCO results list, got {type(results).__name__}")
    for index, result in enumerate(results):
        for key in ("image_id", *need):
            if not isinstance(result, dict) or result.get(key) is None:
                raise InputError(f"{path}: result {index}: {key}: missing")
    return results
