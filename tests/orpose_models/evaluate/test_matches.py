"""Average precision out of stored matches: pycocotools' own numbers, also for images drawn more than once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet
from orpose_models.evaluate.coco import Kind, box_metrics, evaluated, keypoint_metrics
from orpose_models.evaluate.matches import average_precisions, match, precisions
from orpose_models.evaluate.results import Result

Case = Callable[[int], tuple[AnnotationSet, list[Result]]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["bbox", "keypoints"])
def test_equals_pycocotools_on_all_images(random_case: Case, kind: Kind, seed: int) -> None:
    annotations, results = random_case(seed)
    reference = (box_metrics if kind == "bbox" else keypoint_metrics)(annotations, results)
    found = match(annotations, results, kind)
    expected = [reference[name] for name in ("AP", "AP50", "AP75")]
    assert average_precisions(found) == pytest.approx(expected, abs=1e-12)


def test_curves_equal_pycocotools(random_case: Case) -> None:
    annotations, results = random_case(1)
    evaluation = evaluated(annotations, results, "bbox")
    evaluation.accumulate()
    expected = evaluation.eval["precision"][:, :, 0, 0, -1]  # all areas, most detections
    np.testing.assert_allclose(precisions(match(annotations, results, "bbox")), expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["bbox", "keypoints"])
def test_a_weight_of_two_is_the_image_twice(random_case: Case, kind: Kind) -> None:
    annotations, results = random_case(0)
    weights = np.array([2.0, 0, 1, 3, 1, 0])
    images, persons, drawn = [], [], []
    for image, weight in zip(annotations.images, weights, strict=True):
        for copy in range(int(weight)):
            new_id = 10 * image.image_id + copy
            images.append(replace(image, image_id=new_id))
            for person in annotations.persons_by_image()[image.image_id]:
                persons.append(replace(person, image_id=new_id, annotation_id=len(persons) + 1))
            drawn += [{**r, "image_id": new_id} for r in results if r["image_id"] == image.image_id]
    copied = AnnotationSet(tuple(images), tuple(persons))
    reference = (box_metrics if kind == "bbox" else keypoint_metrics)(copied, drawn)
    got = average_precisions(match(annotations, results, kind), weights)
    assert got == pytest.approx([reference[name] for name in ("AP", "AP50", "AP75")], abs=1e-12)


def test_without_results_or_labels(random_case: Case) -> None:
    annotations, results = random_case(0)
    assert (average_precisions(match(annotations, [], "bbox")) == 0).all()
    empty = replace(annotations, persons=())
    assert np.isnan(average_precisions(match(empty, results, "bbox"))).all()
    assert np.isnan(average_precisions(match(empty, [], "bbox"))).all()
