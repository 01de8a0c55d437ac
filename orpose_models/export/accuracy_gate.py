"""Whether a quantised graph is accepted: both graphs go through the runtime on labelled images and are compared."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from orpose_models.annotations import AnnotationSet, read_annotations
from orpose_models.errors import AnnotationError, BackendError, ImageError, ModelError
from orpose_models.evaluate.protocols import metrics_of
from orpose_models.export.calibration import labelled_files
from orpose_models.export.int8_config import Int8Config
from orpose_models.runtime import PoseEstimator, RuntimeConfig
from orpose_models.runtime.frames import Unreadable
from orpose_models.runtime.results import entries_from_persons
from orpose_models.runtime.sources import ImageFiles

#: Backends that both graphs are compared on, where they are installed; the first always is.
BACKENDS = ("onnxruntime", "openvino")
#: Metric -> protocol of its AP.
METRICS = {"box AP": "coco-bbox", "keypoint AP": "coco-keypoints"}
#: An AP below this says nothing about what int8 costs.
LEAST_AP = 0.01
#: A person of the float graph is kept where the quantised one has a box that overlaps by this share (IoU).
SAME_PERSON = 0.5
#: Unreadable images named in the report; more are only counted.
LISTED = 5

Entry = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One comparison. AP in 0-1; `drop` is the loss as a share of the float graph's."""

    backend: str
    downsample: float
    metric: str
    exact: float
    int8: float

    @property
    def drop(self) -> float:
        return 1.0 - self.int8 / self.exact


@dataclass(frozen=True)
class Moved:
    """How far int8 moves the joints of people whom the float graph reports, as a share of their size (root of area)."""

    backend: str
    downsample: float
    people: int
    lost: int
    median: float
    p90: float


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
        labels: Name of the label file.
        images: Images that were used, `people` the labelled people in them.
        unreadable: Images that were not.
        rows: One a backend, downsampling factor and metric.
        moved: One a backend and downsampling factor.
    """

    labels: str
    images: int
    people: int
    unreadable: tuple[Unreadable, ...]
    rows: tuple[Row, ...]
    moved: tuple[Moved, ...]

    def table(self) -> str:
        """Both graphs side by side."""
        lines = [f"{self.labels}: {self.images} images, {self.people} people"]
        lines += [f"unreadable: {item.name}: {item.reason}" for item in self.unreadable[:LISTED]]
        if len(self.unreadable) > LISTED:
            lines.append(f"unreadable: and {len(self.unreadable) - LISTED} more")
        lines.append(f"{'backend':<13}{'scale':>6}  {'metric':<12}{'float':>8}{'int8':>8}{'loss':>9}")
        for row in self.rows:
            numbers = f"{row.exact:>8.4f}{row.int8:>8.4f}{100 * row.drop:>7.1f} %"
            lines.append(f"{row.backend:<13}{row.downsample:>5g}x  {row.metric:<12}{numbers}")
        for moved in self.moved:
            lost = f"{moved.lost} of {moved.people} reported people lost"
            shift = (
                f"joints moved by {100 * moved.median:.1f} % of a person's size (median), {100 * moved.p90:.1f} % (p90)"
            )
            lines.append(f"{moved.backend:<13}{moved.downsample:>5g}x  {lost}, {shift}")
        return "\n".join(lines)

    def as_properties(self) -> dict[str, str]:
        """For the model's metadata."""
        rows = [{**asdict(row), "exact": round(row.exact, 4), "int8": round(row.int8, 4)} for row in self.rows]
        facts = {"labels": self.labels, "images": self.images, "people": self.people, "rows": rows}
        return {"orpose.int8_accuracy": json.dumps(facts)}


class ValidationSet:
    """Labelled images that both graphs are measured on.

    Raises:
        AnnotationError: The file cannot be read, is not COCO-17, or labels nobody.
        BackendError: pycocotools is not installed.
        InputError: The images are not beside it.
    """

    def __init__(self, labels: Path) -> None:
        if importlib.util.find_spec("pycocotools") is None:
            raise BackendError("int8: measuring the accuracy needs pycocotools: pip install 'orpose[evaluate]'")
        self.labels = labels
        self.annotations = read_annotations(labels)
        if self.annotations.skeleton.num_joints != 17:
            name = self.annotations.skeleton.name
            raise AnnotationError(
                f"{labels}: int8 is measured on COCO-17 labels, got {name}; give another --validation"
            )
        counted = [p for p in self.annotations.persons if not p.is_crowd and p.num_keypoints]
        if not counted:
            raise AnnotationError(f"{labels}: labels nobody with joints, so there is nothing to measure int8 against")
        self.files = labelled_files(labels, self.annotations)

    def compare(self, exact: Path, quantised: Path, config: Int8Config) -> Comparison:
        """Runs both graphs on every installed backend at every factor.

        Raises:
            ModelError: A graph does not load, or the float graph finds too little to compare.
        """
        backends = [name for name in BACKENDS if name == BACKENDS[0] or importlib.util.find_spec(name)]
        rows: list[Row] = []
        moved: list[Moved] = []
        annotations = self.annotations
        unreadable: list[Unreadable] = []
        for backend in backends:
            for factor in config.validation_downsample:
                models = (exact, quantised)
                both, unreadable = self._results(models, backend, factor)
                annotations = _without(self.annotations, {item.index for item in unreadable})
                for metric, protocol in METRICS.items():
                    values = [metrics_of(protocol, annotations, results)["AP"] for results in both]
                    rows.append(Row(backend, factor, metric, *values))
                moved.append(movement(backend, factor, *both))
        people = sum(not person.is_crowd for person in annotations.persons)
        found = Comparison(
            self.labels.name, len(annotations.images), people, tuple(unreadable), tuple(rows), tuple(moved)
        )
        _require_enough(found)
        return found

    def _results(
        self, models: Sequence[Path], backend: str, factor: float
    ) -> tuple[list[list[Entry]], list[Unreadable]]:
        """Each model's results, and the images that could not be used; their index is the place in the label file."""
        estimators = [
            PoseEstimator(RuntimeConfig.model_validate({"model": str(m), "backend": backend, "downsample": factor}))
            for m in models
        ]
        results: list[list[Entry]] = [[] for _ in models]
        unreadable: list[Unreadable] = []
        frames = ImageFiles(self.labels, self.files)
        for frame in tqdm(frames, desc=f"{backend} {factor:g}x", unit="image", disable=None):
            if isinstance(frame, Unreadable):
                unreadable.append(frame)
                continue
            number = self.annotations.images[frame.index].image_id
            try:
                prepared = estimators[0].prepare(frame.image)
            except ImageError as error:
                unreadable.append(Unreadable(frame.index, frame.name, str(error)))
                continue
            for entries, estimator in zip(results, estimators, strict=True):
                entries += entries_from_persons(number, frame.name, estimator.infer(prepared).candidates)
        return results, unreadable


def check_accepted(found: Comparison, max_drop: float) -> None:
    """Raises ModelError where int8 loses more than the margin `max_drop`, a share of the float graph's AP."""
    worst = max(found.rows, key=lambda row: row.drop)
    if worst.drop > max_drop:
        raise ModelError(
            f"int8 is not accepted: {worst.metric} at {worst.downsample:g}x on {worst.backend} falls from "
            f"{worst.exact:.4f} to {worst.int8:.4f}, by {100 * worst.drop:.1f} %, more than --max-drop "
            f"{100 * max_drop:g} %; nothing is written: give more or other --calibration images"
        )


def _require_enough(found: Comparison) -> None:
    poorest = min(found.rows, key=lambda row: row.exact)
    if poorest.exact < LEAST_AP:
        raise ModelError(
            f"{found.labels}: the float graph's own {poorest.metric} at {poorest.downsample:g}x on {poorest.backend} "
            f"is {poorest.exact:.4f}, too low to tell what int8 costs (expected {LEAST_AP:g} or more); give labelled "
            "images like those the model was trained for, or a better trained model"
        )


def _without(annotations: AnnotationSet, places: set[int]) -> AnnotationSet:
    """The labels without the images at these places."""
    images = tuple(image for place, image in enumerate(annotations.images) if place not in places)
    left = {image.image_id for image in images}
    persons = tuple(person for person in annotations.persons if person.image_id in left)
    return replace(annotations, images=images, persons=persons)


def movement(backend: str, factor: float, exact: Sequence[Entry], quantised: Sequence[Entry]) -> Moved:
    """Compares the joints of the people whom the float graph reports (score of the runtime's default and more)."""
    by_image: dict[int, list[Entry]] = {}
    for entry in quantised:
        by_image.setdefault(entry["image_id"], []).append(entry)
    threshold = RuntimeConfig().score_threshold
    reported = [entry for entry in exact if entry["score"] >= threshold]
    shares = []
    for entry in reported:
        partner = max(by_image.get(entry["image_id"], []), key=lambda other: _iou(entry, other), default=None)
        if partner is not None and _iou(entry, partner) >= SAME_PERSON:
            distances = np.linalg.norm(_joints(entry) - _joints(partner), axis=1)
            shares.append(distances / np.sqrt(max(1.0, entry["bbox"][2] * entry["bbox"][3])))
    median, p90 = np.percentile(np.concatenate(shares), (50, 90)) if shares else (np.nan, np.nan)
    return Moved(backend, factor, len(reported), len(reported) - len(shares), float(median), float(p90))


def _joints(entry: Entry) -> NDArray[np.float64]:
    return np.asarray(entry["keypoints"], np.float64).reshape(17, 3)[:, :2]


def _iou(a: Entry, b: Entry) -> float:
    first, second = (np.asarray(entry["bbox"], np.float64) for entry in (a, b))
    sides = np.minimum(first[:2] + first[2:], second[:2] + second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / max(1e-9, float(first[2:].prod() + second[2:].prod()) - shared)
