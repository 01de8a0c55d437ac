"""Lengths of the bones of 3D poses: a body's do not change, so their spread shows how plausible the poses are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet
from orpose_models.errors import InputError
from orpose_models.evaluate.results import Result
from orpose_models.skeleton import H36M17

BONES = tuple(f"{H36M17.joint_names[a]}-{H36M17.joint_names[b]}" for a, b in H36M17.limbs)


def bones_of_results(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Bone -> `mean_mm` and `sd_mm` over all people, `track_sd_mm` (within a track, pooled; -1 without), `persons`.

    Args:
        annotations: Whose images' sequences and cameras tell tracks of the same id apart.
        results: With keypoints_3d (17 x (x, y, z, score)), and track_id >= 0 for tracks.

    Raises:
        InputError: A result without keypoints_3d, or with another number of joints.
    """
    places = {image.image_id: (image.sequence, image.camera_id, image.topic) for image in annotations.images}
    poses, tracks = [], []
    for index, result in enumerate(results):
        if result.get("keypoints_3d") is None:
            raise InputError(f"result {index}: keypoints_3d: missing, so there are no bones to measure")
        if np.size(result["keypoints_3d"]) != 68:
            raise InputError(
                f"result {index}: keypoints_3d: expected 68 numbers, got {np.size(result['keypoints_3d'])}"
            )
        poses.append(np.reshape(result["keypoints_3d"], (17, 4))[:, :3])
        track_id = result.get("track_id")
        is_tracked = track_id is not None and track_id >= 0
        tracks.append((*places[int(result["image_id"])], track_id) if is_tracked else None)
    return _table(np.array(poses, np.float64).reshape(-1, 17, 3), tracks)


def bones_of_labels(annotations: AnnotationSet) -> dict[str, dict[str, float]] | None:
    """The same of the labelled poses, to compare with; None without any."""
    labelled = [person for person in annotations.persons if person.keypoints_3d is not None and not person.is_crowd]
    if not labelled:
        return None
    joints = np.stack([person.keypoints_3d for person in labelled if person.keypoints_3d is not None])
    points = np.where(joints[..., 3:] > 0, joints[..., :3], np.nan)
    places = {image.image_id: image.sequence for image in annotations.images}
    tracks = [None if p.track_id is None else (places[p.image_id], p.track_id) for p in labelled]
    return _table(points, tracks)


def _table(poses: NDArray[np.float64], tracks: Sequence[tuple | None]) -> dict[str, dict[str, float]]:
    """Of poses `(N, 17, 3)` in mm, NaN where unknown, and the track of each."""
    a, b = np.array(H36M17.limbs).T
    lengths = np.linalg.norm(poses[:, a] - poses[:, b], axis=-1)  # N, bones
    numbers = {track: number for number, track in enumerate(dict.fromkeys(t for t in tracks if t is not None))}
    track_of = np.array([-1 if track is None else numbers[track] for track in tracks], np.int64)
    table = {}
    for column, name in enumerate(BONES):
        known = np.isfinite(lengths[:, column])
        one = lengths[known, column]
        table[name] = {
            "mean_mm": float(one.mean()) if one.size else -1.0,
            "sd_mm": float(one.std()) if one.size else -1.0,
            "track_sd_mm": _within_tracks(one, track_of[known]),
            "persons": float(one.size),
        }
    return table


def _within_tracks(lengths: NDArray[np.float64], tracks: NDArray[np.int64]) -> float:
    """Root mean squared deviation from the own track's mean, over tracks seen at least twice."""
    squares, number = 0.0, 0
    for track in np.unique(tracks[tracks >= 0]):
        own = lengths[tracks == track]
        if len(own) > 1:
            squares += float(((own - own.mean()) ** 2).sum())
            number += len(own)
    return float(np.sqrt(squares / number)) if number else -1.0
