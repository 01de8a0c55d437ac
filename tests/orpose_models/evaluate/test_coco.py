"""COCO metrics by our wrapper against pycocotools used by hand, and against MVOR's published detector figures."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel, read_annotations, write_annotations
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.coco import BOX_METRICS, KEYPOINT_METRICS, box_metrics, keypoint_metrics
from orpose_models.evaluate.results import Result
from orpose_models.skeleton import MVOR10

Case = Callable[[int], tuple[AnnotationSet, list[Result]]]

SHARED = Path(__file__).parents[4] / "shared/data/mvor"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["bbox", "keypoints"])
def test_equals_pycocotools(tmp_path: Path, random_case: Case, seed: int, kind: str) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, results = random_case(seed)
    write_annotations(tmp_path / "labels.json", annotations)
    entries = [{"image_id": r["image_id"], "category_id": 1, "score": r["score"], kind: r[kind]} for r in results]
    (tmp_path / "results.json").write_text(json.dumps(entries))
    with contextlib.redirect_stdout(io.StringIO()):
        labels = COCO(str(tmp_path / "labels.json"))
        reference = COCOeval(labels, labels.loadRes(str(tmp_path / "results.json")), kind)
        reference.evaluate()
        reference.accumulate()
        reference.summarize()
    metrics = (box_metrics if kind == "bbox" else keypoint_metrics)(annotations, results)
    names = BOX_METRICS if kind == "bbox" else KEYPOINT_METRICS
    assert list(metrics) == list(names)
    np.testing.assert_allclose(list(metrics.values()), reference.stats, atol=1e-12)
    assert 0 < metrics["AP"] < 1


def test_prints_nothing(random_case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    box_metrics(*random_case(0))
    assert capsys.readouterr().out == ""


def test_no_detections_is_zero_and_perfect_is_one(random_case: Case) -> None:
    annotations, _ = random_case(0)
    assert box_metrics(annotations, [])["AP"] == 0
    perfect = [
        {"image_id": p.image_id, "bbox": p.bbox.tolist(), "score": 1.0, "keypoints": p.keypoints.ravel().tolist()}
        for p in annotations.persons
        if p.keypoints is not None
    ]
    assert box_metrics(annotations, perfect)["AP"] == pytest.approx(1)
    assert keypoint_metrics(annotations, perfect)["AP"] == pytest.approx(1)


def test_label_id_zero_is_matched_too() -> None:
    person = PersonLabel(0, 0, np.array([0.0, 0, 50, 50]), np.ones((17, 3)))
    annotations = AnnotationSet((LabelledImage(0, "a.jpg", 99, 99),), (person,))
    found = [{"image_id": 0, "bbox": [0, 0, 50, 50], "score": 0.9}]
    assert box_metrics(annotations, found)["AP"] == pytest.approx(1)
    assert box_metrics(annotations, found, keep_label_ids=True)["AP"] == 0  # pycocotools takes id 0 for no match


def test_keypoint_ap_needs_coco_joints(random_case: Case) -> None:
    annotations, results = random_case(0)
    with pytest.raises(AnnotationError, match="mvor10"):
        keypoint_metrics(AnnotationSet(annotations.images, (), skeleton=MVOR10), results)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the MVOR files in ../shared")
def test_published_figures_of_the_detector_on_mvor() -> None:
    annotations = read_annotations(SHARED / "camma_mvor_2018.json")
    detections = json.loads((SHARED / "dfcnet_rfcn_bbox.json").read_text())
    metrics = box_metrics(annotations, detections, keep_label_ids=True)
    published = {"AP": 0.404, "AP50": 0.620, "AP75": 0.466, "AR1": 0.271, "AR10": 0.451, "AR100": 0.451}
    assert {name: round(metrics[name], 3) for name in published} == published
