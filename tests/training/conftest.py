"""A small labelled data set of stick figures, drawn by OpenCV, and a Ray cluster that loses a node."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel, write_annotations
from orpose_models.skeleton import COCO17, h36m17_from_coco17

#: A standing person facing the camera, metres, image axes.
STANDING = np.array([
    [0, -.9], [.04, -.93], [-.04, -.93], [.08, -.9], [-.08, -.9], [.2, -.7], [-.2, -.7], [.3, -.4], [-.3, -.4],
    [.32, -.1], [-.32, -.1], [.12, -.1], [-.12, -.1], [.13, .4], [-.13, .4], [.14, .9], [-.14, .9],
])  # fmt: skip


def draw_person(image: np.ndarray, rng: np.random.Generator, number: int, image_id: int) -> PersonLabel:
    height, width = image.shape[:2]
    scale = rng.uniform(0.28, 0.38) * height
    body = STANDING + rng.normal(0, 0.03, (17, 2))
    points = np.array([rng.uniform(0.2, 0.8) * width, 0.5 * height]) + body * scale
    for a, b in COCO17.limbs:
        cv2.line(image, points[a].astype(int).tolist(), points[b].astype(int).tolist(), (230, 220, 200), 4)
    for joint, colour in ((5, (255, 0, 0)), (6, (0, 0, 255)), (0, (90, 130, 200))):
        cv2.circle(image, points[joint].astype(int).tolist(), 5, colour, -1)
    low, high = points.min(axis=0) - 3, points.max(axis=0) + 3
    metres = np.column_stack([body, rng.normal(0, 0.05, 17)])
    joints_3d = np.column_stack([1000 * h36m17_from_coco17(metres) + (0, 0, 3000), np.full(17, 2)])
    bbox, keypoints = np.concatenate([low, high - low]), np.column_stack([points, np.full(17, 2)])
    return PersonLabel(number, image_id, bbox, keypoints, keypoints_3d=joints_3d)


@pytest.fixture(scope="session")
def make_dataset(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make(images, size=(w, h), seed=0)` gives a folder with annotations.json and images/."""

    def make(images: int, size: tuple[int, int] = (128, 96), seed: int = 0) -> Path:
        folder = tmp_path_factory.mktemp("figures")
        (folder / "images").mkdir()
        rng = np.random.default_rng(seed)
        labelled, persons = [], []
        for image_id in range(images):
            coarse = rng.integers(0, 120, (4, 5, 3)).astype(np.uint8)
            image = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))
            persons.append(draw_person(image, rng, image_id + 1, image_id))
            cv2.imwrite(str(folder / f"images/{image_id}.png"), image)
            labelled.append(LabelledImage(image_id, f"{image_id}.png", *size))
        write_annotations(folder / "annotations.json", AnnotationSet(tuple(labelled), tuple(persons)))
        return folder

    return make


@pytest.fixture
def two_nodes() -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine; `lose_a_node` kills the second, as a power cut would."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="needs the extra 'ray'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A lost node, which refuses the connection, is noticed after 1 second instead of 10; a busy one is not lost.
        health = {"health_check_period_ms": 500, "health_check_timeout_ms": 20_000, "health_check_failure_threshold": 2}
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": health}
        cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        second = cluster.add_node(num_cpus=1)
        cluster.lose_a_node = lambda: cluster.remove_node(second, allow_graceful=False)
        try:
            yield cluster
        finally:
            cluster.shutdown()
