"""Labels, and detections of them, by chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.evaluate.results import Result


@pytest.fixture
def random_case() -> Callable[..., tuple[AnnotationSet, list[Result]]]:
    """`random_case(seed, images=6)`."""
    return make_case


def make_case(seed: int, images: int = 6) -> tuple[AnnotationSet, list[Result]]:
    """Labels, and detections that are the labels with noise, some missing, some invented."""
    rng = np.random.default_rng(seed)
    persons: list[PersonLabel] = []
    results: list[Result] = []
    for image_id in range(images):
        for _ in range(rng.integers(0, 4)):
            bbox = np.array([*rng.uniform(0, 300, 2), *rng.uniform(40, 200, 2)]).round(2)
            points = (bbox[:2] + rng.uniform(0, 1, (17, 2)) * bbox[2:]).round(2)
            keypoints = np.column_stack([points, rng.integers(0, 3, 17)])
            crowd = bool(rng.random() < 0.1)
            persons.append(PersonLabel(len(persons) + 1, image_id, bbox, keypoints, is_crowd=crowd))
            noisy = np.column_stack([points + rng.normal(0, 6, (17, 2)), rng.random(17)])
            found = {"image_id": image_id, "bbox": (bbox + rng.normal(0, 6, 4)).tolist(), "score": float(rng.random())}
            results.append({**found, "keypoints": noisy.ravel().tolist()})
    labelled = tuple(LabelledImage(i, f"{i}.jpg", 640, 480) for i in range(images))
    return AnnotationSet(labelled, tuple(persons)), results[: len(results) - len(results) // 5]
