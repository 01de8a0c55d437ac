"""Bootstrap confidence intervals by Efron's percentile method: images, or sequences, are drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from orpose_models.annotations import AnnotationSet
from orpose_models.errors import AnnotationError
from orpose_models.settings import Settings

#: K metrics of a sample: weights `(I,)`, how often each image (in the order of ids) is in it -> `(K,)`, NaN for none.
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class ResampleSettings(Settings):
    """How confidence intervals are made."""

    bootstrap: int = Field(1000, ge=1, le=100_000, description="samples drawn for confidence intervals")
    resample: Literal["image", "sequence"] = Field(
        "image", description="what is drawn; sequence, where the labels have it, does not take like frames for many"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="share of the samples that an interval holds")
    seed: int = Field(0, ge=0, description="of the samples")


@dataclass(frozen=True)
class Interval:
    """A value and the interval that holds it with the given confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """One result minus another on the same samples; `at_most_zero`: share of the samples where it is 0 or less."""

    at_most_zero: float


def image_groups(annotations: AnnotationSet, unit: Literal["image", "sequence"]) -> NDArray[np.int64]:
    """`(I,)` for images in the order of their ids: the number of the group that is drawn together.

    Raises:
        AnnotationError: Fewer than two groups, or an image without sequence.
    """
    images = sorted(annotations.images, key=lambda image: image.image_id)
    if unit == "image":
        keys = [str(image.image_id) for image in images]
    else:
        for image in images:
            if image.sequence is None:
                raise AnnotationError(f"image {image.image_id}: sequence: missing; use --resample image")
        keys = [str(image.sequence) for image in images]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    if len(numbers) < 2:
        raise AnnotationError(f"bootstrap: expected at least two of: {unit}, got {len(numbers)}; draw something else")
    return np.array([numbers[key] for key in keys], np.int64)


@dataclass(frozen=True, eq=False)
class Drawn:
    """K metrics: of all images `(K,)`, and of every sample `(bootstrap, K)`."""

    values: NDArray[np.float64]
    samples: NDArray[np.float64]


def draw(statistic: Statistic, groups: NDArray[np.int64], settings: ResampleSettings) -> Drawn:
    """The metrics of bootstrap samples. The same groups and settings give the same samples, whatever the statistic."""
    rng = np.random.default_rng(settings.seed)
    number = int(groups.max()) + 1
    samples = []
    for _ in range(settings.bootstrap):
        counts = np.bincount(rng.integers(0, number, number), minlength=number).astype(np.float64)
        samples.append(statistic(counts[groups]))
    return Drawn(statistic(np.ones(len(groups))), np.array(samples))


def intervals(drawn: Drawn, confidence: float) -> list[Interval]:
    """One for each metric."""
    columns = zip(drawn.values, drawn.samples.T, strict=True)
    return [Interval(float(value), *_limits(samples, confidence)) for value, samples in columns]


def differences(one: Drawn, other: Drawn, confidence: float) -> list[Difference]:
    """`one` minus `other`, paired: both drawn with the same groups and settings, so on the same images each time."""
    found = []
    columns = zip(one.values - other.values, (one.samples - other.samples).T, strict=True)
    for value, samples in columns:
        known = samples[np.isfinite(samples)]
        share = float((known <= 0).mean()) if known.size else float("nan")
        found.append(Difference(float(value), *_limits(samples, confidence), share))
    return found


def _limits(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Samples without a value (nobody labelled or found in them) are left out."""
    known = values[np.isfinite(values)]
    if not known.size:
        return float("nan"), float("nan")
    tail = 50 * (1 - confidence)
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)
