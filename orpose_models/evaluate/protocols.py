"""The protocols under one interface: metrics, the main one as a statistic to resample, tables by joint and by size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet
from orpose_models.errors import AnnotationError, InputError
from orpose_models.evaluate import coco, found, identity, matches, mpjpe, multiview, mvor_pck, places
from orpose_models.evaluate.resample import Statistic
from orpose_models.evaluate.results import Result
from orpose_models.skeleton import MVOR10

#: Row -> column -> value.
Table = dict[str, dict[str, float]]
#: COCO's sizes of people: name -> least and largest area in px².
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, float("inf"))}


@dataclass(frozen=True)
class Protocol:
    """What a protocol needs of each result, and its main metric.

    Attributes:
        need: Keys.
        main: Name of the main metric; `unit` its unit.
        resampled: Metrics that get confidence intervals, the main one first; none where images cannot be drawn.
    """

    need: tuple[str, ...]
    main: str
    unit: str
    resampled: tuple[str, ...]


PROTOCOLS = {
    "coco-bbox": Protocol(("bbox", "score"), "AP", "0-1", ("AP", "AP50", "AP75")),
    "coco-keypoints": Protocol(("keypoints", "score"), "AP", "0-1", ("AP", "AP50", "AP75")),
    "found": Protocol(("bbox", "score", "keypoints"), "recall", "0-1", ("recall", "F1")),
    "mvor-pck": Protocol(("keypoints", "score"), "mean", "%", ("mean",)),
    "mpjpe": Protocol(("keypoints", "keypoints_3d"), "mpjpe_mm", "mm", ("mpjpe_mm", "published_mm")),
    "identity": Protocol(("bbox", "score", "track_id"), "HOTA", "0-1", ()),
    "places": Protocol(("bbox", "score"), "joint_mm", "mm", ()),
    "multiview": Protocol(("bbox", "score", "keypoints", "keypoints_3d"), "fused_mm", "mm", ("fused_mm",)),
}


def metrics_of(
    protocol: str, annotations: AnnotationSet, results: Sequence[Result], *, keep_label_ids: bool = False
) -> dict[str, float]:
    """All metrics of a protocol.

    Raises:
        AnnotationError: Nobody is labelled in the way the protocol needs: there is nothing to measure against. Only
            `found` counts boxes in rooms that nobody is in.
    """
    if protocol == "coco-bbox":
        metrics = coco.box_metrics(annotations, results, keep_label_ids=keep_label_ids)
    else:
        functions: dict[str, Callable[[AnnotationSet, Sequence[Result]], dict[str, float]]] = {
            "coco-keypoints": coco.keypoint_metrics,
            "found": found.found,
            "mvor-pck": mvor_pck.mvor_pck,
            "mpjpe": mpjpe.mpjpe,
            "identity": identity.identity,
            "multiview": multiview.multiview,
            "places": places.places,
        }
        metrics = functions[protocol](annotations, results)
    if protocol != "found" and (metrics.get("AP") == -1 or metrics.get("persons") == 0):
        counts = f"{len(annotations.persons)} labels, {len(annotations.images)} images"
        raise AnnotationError(f"{protocol}: no label counts ({counts}); it needs people who are not iscrowd")
    return metrics


def statistic_of(
    protocol: str, annotations: AnnotationSet, results: Sequence[Result], *, keep_label_ids: bool = False
) -> Statistic:
    """The protocol's `resampled` metrics of a sample of the images; NaN where a sample has no value.

    Raises:
        InputError: The protocol has none.
    """
    if not PROTOCOLS[protocol].resampled:
        raise InputError(f"{protocol} has no intervals; leave out --intervals and --against")
    if protocol in ("coco-bbox", "coco-keypoints"):
        kind: coco.Kind = "bbox" if protocol == "coco-bbox" else "keypoints"
        matched = matches.match(annotations, results, kind, keep_label_ids=keep_label_ids)
        return lambda weights: matches.average_precisions(matched, weights)
    if protocol == "found":
        images = found.images_of(annotations, results)
        hits = [(image.image_id, np.ones(len(image.pairs))) for image in images]
        misses = [(image.image_id, np.zeros(len(image.missed))) for image in images]
        further = [(image.image_id, np.zeros(image.further)) for image in images]
        return _ratios(annotations, [hits + misses, hits + hits + misses + further])
    if protocol == "mvor-pck":
        people = mvor_pck.judged_people(annotations, results, MVOR10)
        return _ratios(annotations, [[(person.image_id, 100.0 * person.right) for person in people]])
    if protocol == "multiview":
        fused = multiview.best_fused(multiview.room_errors(annotations, results))
        return _ratios(annotations, [[(e.image_id, e.room_mm) for e in fused if e.room_mm is not None]])
    errors = mpjpe.person_errors(annotations, results)
    measured = [(p.image_id, p.errors[mpjpe.ROWS]) for p in errors if p.has_root and p.errors is not None]
    published = [(p.image_id, p.published[mpjpe.ROWS]) for p in errors if p.published is not None]
    return _ratios(annotations, [measured, published])


def _ratios(annotations: AnnotationSet, metrics: Sequence[Sequence[tuple[int, NDArray]]]) -> Statistic:
    """Means, over the people in a sample, of values that are not NaN; each metric is given as (image id, values)."""
    places = {image_id: place for place, image_id in enumerate(sorted(image.image_id for image in annotations.images))}
    sums = np.zeros((len(places), len(metrics), 2))
    for column, people in enumerate(metrics):
        for image_id, values in people:
            sums[places[image_id], column] += (np.nansum(values), np.isfinite(values).sum())

    def means(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total, number = np.einsum("i,ikn->nk", weights, sums)
        return np.divide(total, number, out=np.full(len(metrics), np.nan), where=number > 0)

    return means


def joints_of(protocol: str, annotations: AnnotationSet, results: Sequence[Result]) -> Table:
    """Joint -> 3D errors for mpjpe, else PCK@0.2 over labelled joints, for `found` of people found.

    Raises:
        InputError: Boxes and identities have no joints.
    """
    if protocol == "coco-bbox":
        raise InputError("coco-bbox measures boxes, not joints; use coco-keypoints, mvor-pck or mpjpe for --per-joint")
    if protocol in ("identity", "places"):
        raise InputError(f"{protocol} has no table of joints; use coco-keypoints or mpjpe for --per-joint")
    if protocol == "found":
        return found.per_joint(annotations, results)
    if protocol == "mpjpe":
        return mpjpe.per_joint(mpjpe.person_errors(annotations, results))
    if protocol == "multiview":
        return multiview.per_joint(multiview.room_errors(annotations, results))
    skeleton = annotations.skeleton
    return mvor_pck.per_joint(mvor_pck.judged_people(annotations, results, skeleton), skeleton)


def sizes_of(
    protocol: str, annotations: AnnotationSet, results: Sequence[Result], *, keep_label_ids: bool = False
) -> Table:
    """Size by the label's area -> the main metric, and how many people it is measured on. AP: pycocotools' own.

    Raises:
        InputError: People in the room or over time have no one size in an image.
    """
    if protocol == "multiview":
        raise InputError("multiview measures people in the room, who have no size in px; leave out --per-size")
    if protocol in ("identity", "places"):
        raise InputError(f"{protocol} has no table of sizes; leave out --per-size")
    if protocol in ("coco-bbox", "coco-keypoints"):
        metrics = metrics_of(protocol, annotations, results, keep_label_ids=keep_label_ids)
        areas = [person.area_px for person in annotations.persons if not person.is_crowd]
        if protocol == "coco-keypoints":
            areas = [p.area_px for p in annotations.persons if p.num_keypoints and not p.is_crowd]
        return {
            size: {"AP": metrics[f"AP_{size}"], "persons": float(sum(least <= area <= most for area in areas))}
            for size, (least, most) in SIZES.items()
            if f"AP_{size}" in metrics
        }
    if protocol == "mvor-pck":
        judged = mvor_pck.judged_people(annotations, results, MVOR10)
        values = [(person.area, 100.0 * person.right) for person in judged]
    elif protocol == "found":
        images = found.images_of(annotations, results)
        values = [(label.area_px, np.ones(1)) for image in images for label, _ in image.pairs]
        values += [(label.area_px, np.zeros(1)) for image in images for label in image.missed]
    else:
        people = mpjpe.person_errors(annotations, results)
        values = [(p.area, p.errors[mpjpe.ROWS]) for p in people if p.has_root and p.errors is not None]
    table = {}
    for size, (least, most) in SIZES.items():
        own = [value for area, value in values if least <= area < most]
        table[size] = {PROTOCOLS[protocol].main: mpjpe.mean_or_minus_one(np.array(own)), "persons": float(len(own))}
    return table
