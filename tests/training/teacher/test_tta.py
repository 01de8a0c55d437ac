"""Test-time augmentation: what must not change anything, and merging by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orpose_models.skeleton import COCO17
from training.teacher.config import BoxViews, Views
from training.teacher.network import NetworkBoxStage, NetworkKeypointStage
from training.teacher.stages import PLAIN, Boxes, View
from training.teacher.tta import AugmentedBoxes, augmented_joints, flip_boxes, merge_boxes, views_of

CPU = torch.device("cpu")


class BrightBoxes:
    """Finds the bounding box of what is bright; remembers the scales it was asked for."""

    def __init__(self) -> None:
        self.scales: list[float] = []

    def detect(self, images, scale: float = 1.0) -> list[Boxes]:
        self.scales.append(scale)
        found = []
        for image in images:
            rows, columns = np.nonzero(image[..., 0] > 127)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            found.append(Boxes.sorted(np.array([box]), np.array([0.5 + scale / 10])))
        return found


@pytest.fixture
def picture() -> np.ndarray:
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:30, 5:20] = 255
    return image


def boxes(*rows: list[float]) -> Boxes:
    array = np.array(rows, np.float32).reshape(-1, 5)
    return Boxes.sorted(array[:, :4], array[:, 4])


def test_views():
    assert views_of(Views()) == (PLAIN,)
    expected = (View(1, False), View(1, True), View(2, False), View(2, True))
    assert views_of(Views(scales=(1, 2), flip=True)) == expected


@pytest.mark.parametrize("merge", ["nms", "weighted"])
def test_boxes_of_all_views_are_the_plain_ones_where_the_detector_is_perfect(picture, merge):
    stage = BrightBoxes()
    (found,) = AugmentedBoxes(stage, BoxViews(scales=(0.5, 1, 2), flip=True, merge=merge)).detect([picture])
    assert stage.scales == [0.5, 0.5, 1, 1, 2, 2]
    np.testing.assert_allclose(found.xyxy, [[5, 10, 20, 30]], atol=1e-5)
    scores = [0.55, 0.55, 0.6, 0.6, 0.7, 0.7]
    assert found.scores[0] == pytest.approx(max(scores) if merge == "nms" else np.mean(scores))


def test_one_plain_view_is_the_stage_itself(weights, picture, make_teacher_config):
    config = make_teacher_config()
    stage = NetworkBoxStage(config.boxes, CPU)
    (plain,), (augmented,) = stage.detect([picture]), AugmentedBoxes(stage, BoxViews()).detect([picture])
    assert len(plain) > 0
    np.testing.assert_array_equal(plain.xyxy, augmented.xyxy)
    np.testing.assert_array_equal(plain.scores, augmented.scores)


def test_flipping_twice_gives_the_same_boxes():
    found = boxes([1, 2, 30, 40, 0.9], [0, 0, 60, 5, 0.5]).xyxy
    np.testing.assert_allclose(flip_boxes(found, 60)[0], [30, 2, 59, 40])
    np.testing.assert_allclose(flip_boxes(flip_boxes(found, 60), 60), found)


def test_merging_by_hand():
    first, second = boxes([0, 0, 10, 10, 0.8], [50, 50, 60, 60, 0.6]), boxes([0, 0, 10, 12, 0.4])
    merged = merge_boxes([first, second], BoxViews(merge="nms"))
    np.testing.assert_allclose(merged.xyxy, [[0, 0, 10, 10], [50, 50, 60, 60]])
    np.testing.assert_allclose(merged.scores, [0.8, 0.6])
    merged = merge_boxes([first, second], BoxViews(merge="weighted"))
    # mean of heights 10 and 12 by 0.8 and 0.4; scores: (0.8 + 0.4) / 2 and (0.6 + 0) / 2
    np.testing.assert_allclose(merged.xyxy, [[0, 0, 10, 10 + 2 / 3], [50, 50, 60, 60]], rtol=1e-5)
    np.testing.assert_allclose(merged.scores, [0.6, 0.3], rtol=1e-6)


@pytest.mark.parametrize("merge", ["nms", "weighted"])
def test_merging_nothing(merge):
    assert len(merge_boxes([boxes(), boxes()], BoxViews(merge=merge))) == 0
    assert len(merge_boxes([boxes(), boxes([0, 0, 5, 5, 0.5])], BoxViews(merge=merge))) == 1


def symmetric_picture() -> np.ndarray:
    half = np.random.default_rng(0).integers(0, 255, (96, 64, 3)).astype(np.uint8)
    return np.concatenate([half, half[:, ::-1]], axis=1)


def test_joints_of_a_symmetric_picture_are_symmetric_with_flip(make_teacher_config):
    stage = NetworkKeypointStage(make_teacher_config().keypoints, CPU)
    box = np.array([[34, 10, 94, 90]], np.float32)
    (joints,) = augmented_joints(stage, symmetric_picture(), box, views_of(Views(flip=True)))
    mirrored = joints[list(COCO17.flip)]
    # not the nose: its map is symmetric in itself, with two equal peaks
    np.testing.assert_allclose(joints[1:, 0], 128 - mirrored[1:, 0], atol=1e-3)
    np.testing.assert_allclose(joints[:, 1:], mirrored[:, 1:], atol=1e-4)


def test_the_flipped_picture_gives_the_flipped_joints(make_teacher_config, picture):
    stage = NetworkKeypointStage(make_teacher_config().keypoints, CPU)
    box, views = np.array([[5, 5, 40, 35]], np.float32), views_of(Views(scales=(1.0, 1.5), flip=True))
    (joints,) = augmented_joints(stage, picture, box, views)
    (mirrored,) = augmented_joints(stage, np.ascontiguousarray(picture[:, ::-1]), flip_boxes(box, 60), views)
    mirrored = mirrored[list(COCO17.flip)]
    np.testing.assert_allclose(joints[:, 0], 60 - mirrored[:, 0], atol=1e-3)
    np.testing.assert_allclose(joints[:, 1:], mirrored[:, 1:], atol=1e-3)


def test_nobody_has_no_joints(make_teacher_config, picture):
    stage = NetworkKeypointStage(make_teacher_config().keypoints, CPU)
    assert augmented_joints(stage, picture, np.zeros((0, 4), np.float32), (PLAIN,)).shape == (0, 17, 3)
