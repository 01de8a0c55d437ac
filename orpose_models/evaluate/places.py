"""How far people and joints in metres are from where they are labelled, and whether the uncertainty says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, PersonLabel
from orpose_models.assignment import cheapest_pairs
from orpose_models.evaluate.recordings import MIN_IOU
from orpose_models.evaluate.results import ROOT_SOURCES, Result
from orpose_models.skeleton import H36M17
from orpose_models.tracking import box_ious

#: 95 % of a chi-squared distribution of three degrees of freedom lie below.
_CHI2_95 = 7.815


def places(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, float]:
    """Errors in the camera's frame; -1 where there is nothing to measure.

    `joint_mm` and `joint_mm_median`: of the joints of `keypoints_3d_metric`, known and labelled ones only; `seen_mm`
    those of them that are labelled as seen in the image, `hidden_mm` the others. `depth_root_mm` and `size_root_mm`: of
    the labelled pelvis by where it comes from (means), `..._people` of how many people, `..._within` the share of them
    whose error lies within the ellipsoid that a normal distribution of that covariance fills to 95 %. `persons`: labels
    that were found.
    """
    joints: list[NDArray[np.float64]] = []
    seen: list[NDArray[np.bool_]] = []
    roots: dict[str, list[tuple[float, float]]] = {source: [] for source in ROOT_SOURCES}
    pairs = _pairs(annotations, results)
    for label, result in pairs:
        true = np.asarray(label.keypoints_3d)
        if result.get("keypoints_3d_metric") is not None:
            found = np.reshape(np.asarray(result["keypoints_3d_metric"], np.float64), (17, 4))
            error = np.linalg.norm(found[:, :3] - true[:, :3], axis=1)
            joints.append(np.where(true[:, 3] > 0, error, np.nan))
            seen.append(true[:, 3] == 2)
        if result.get("root") is not None and true[H36M17.root, 3] > 0:
            root = result["root"]
            error = np.asarray(root["position"], np.float64) - true[H36M17.root, :3]
            covariance = np.asarray(root["covariance"], np.float64).reshape(3, 3)
            mahalanobis = float(error @ np.linalg.solve(covariance, error))
            roots[root["source"]].append((float(np.linalg.norm(error)), mahalanobis))
    errors = np.array(joints).reshape(-1, 17)
    is_seen = np.array(seen, bool).reshape(-1, 17)
    metrics = {
        "joint_mm": _mean(errors),
        "joint_mm_median": float(np.nanmedian(errors)) if np.isfinite(errors).any() else -1.0,
        "seen_mm": _mean(errors[is_seen]),
        "hidden_mm": _mean(errors[~is_seen]),
    }
    for source, found_roots in roots.items():
        values = np.array(found_roots).reshape(-1, 2)
        metrics[f"{source}_root_mm"] = _mean(values[:, 0])
        metrics[f"{source}_root_within"] = _mean((values[:, 1] < _CHI2_95).astype(float))
        metrics[f"{source}_root_people"] = float(len(values))
    return {**metrics, "persons": float(len(pairs))}


def _pairs(annotations: AnnotationSet, results: Sequence[Result]) -> list[tuple[PersonLabel, Result]]:
    """Labelled people with 3D joints and the results that are they, by the overlap of boxes."""
    found: dict[int, list[Result]] = {}
    for result in results:
        found.setdefault(int(result["image_id"]), []).append(result)
    pairs = []
    for image_id, persons in annotations.persons_by_image().items():
        labels = [label for label in persons if not label.is_crowd and label.keypoints_3d is not None]
        placed = [result for result in found.get(image_id, []) if result.get("root") is not None]
        if labels and placed:
            overlap = box_ious(np.stack([label.bbox for label in labels]), np.array([r["bbox"] for r in placed], float))
            chosen = cheapest_pairs(np.where(overlap >= MIN_IOU, 1.0 - overlap, 1e3))
            pairs += [(labels[row], placed[column]) for row, column in chosen if overlap[row, column] >= MIN_IOU]
    return pairs


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else -1.0
