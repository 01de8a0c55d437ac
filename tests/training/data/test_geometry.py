"""The warp against hand-computed positions: labels move exactly as pixels do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orpose_models.skeleton import COCO17, H36M17
from training.data.augment_config import NO_AUGMENTATION, AugmentConfig
from training.data.geometry import ignore_cut_boxes, letterbox_matrix, random_warp, warp_boxes, warp_sample
from training.data.sample import Sample

WRIST = COCO17.index("left_wrist")


def make_sample(size: tuple[int, int] = (80, 60), box: tuple[float, ...] = (20, 10, 40, 50)) -> Sample:
    rng = np.random.default_rng(0)
    joints = np.dstack([rng.uniform(20, 40, (1, 17, 2)), np.full((1, 17, 1), 2)]).astype(np.float32)
    joints_3d = np.dstack([rng.normal(0, 300, (1, 17, 3)), np.full((1, 17, 1), 2)]).astype(np.float32)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    boxes = np.array([box], np.float32)
    weight = np.arange(17, dtype=np.float32)[None]
    crowd = np.zeros(1, bool)
    return Sample(image, boxes, crowd, joints.copy(), joints.copy(), joints_3d, joints_3d.copy(), weight, size)


def centroid(image: np.ndarray) -> np.ndarray:
    """Centre of brightness, in pixel edges."""
    weights = image.sum(axis=2).astype(float)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


@pytest.mark.parametrize(
    ("image_size", "size", "corner", "scale"),
    [
        ((640, 480), (320, 240), (0, 0), 0.5),
        ((585, 480), (640, 480), (27.5, 0), 1),
        ((320, 120), (320, 240), (0, 60), 1),
    ],
)
def test_letterbox_keeps_the_aspect_and_centres(
    image_size: tuple[int, int], size: tuple[int, int], corner: tuple[float, float], scale: float
) -> None:
    matrix = letterbox_matrix(image_size, size)
    np.testing.assert_allclose(matrix @ (0, 0, 1), corner)
    np.testing.assert_allclose(matrix @ (*image_size, 1), np.add(corner, np.array(image_size) * scale))


@pytest.mark.parametrize("seed", range(12))
def test_a_bright_spot_and_its_joint_stay_together(seed: int) -> None:
    sample = make_sample((160, 120))
    sample.image[58:62, 78:82] = 255  # centre (80, 60) in pixel edges
    sample.soft[0, :, :2] = (80, 60)
    config = NO_AUGMENTATION.model_copy(
        update={"flip_probability": 0.5, "rotation_deg": 20, "zoom": (0.8, 1.3), "stretch": 0.2, "translate": 0.1}
    )
    warped = random_warp(sample, (200, 150), config, np.random.default_rng(seed))
    background = warped.image.copy()
    background[(background != background.max()).any(axis=2) & (background.sum(axis=2) < 600)] = 0
    np.testing.assert_allclose(warped.soft[0, WRIST, :2], centroid(background), atol=0.35)


def test_no_augmentation_of_the_same_size_changes_nothing() -> None:
    sample = make_sample()
    sample.image[:] = np.random.default_rng(1).integers(0, 256, sample.image.shape)
    same = random_warp(sample, (80, 60), NO_AUGMENTATION, np.random.default_rng(0))
    np.testing.assert_array_equal(same.image, sample.image)
    np.testing.assert_allclose(same.boxes, sample.boxes, atol=1e-4)
    np.testing.assert_allclose(same.soft, sample.soft, atol=1e-4)


def test_flip_swaps_sides_in_2d_and_3d() -> None:
    sample = make_sample()
    flip = np.array([[-1.0, 0, 80], [0, 1, 0]])
    flipped = warp_sample(sample, flip, (80, 60), angle=0, flip=True, border=(0, 0, 0))
    left, right = COCO17.index("left_wrist"), COCO17.index("right_wrist")
    assert (flipped.joint_weight[0, left], flipped.joint_weight[0, right]) == (right, left)
    np.testing.assert_allclose(flipped.soft[0, left, 0], 80 - sample.soft[0, right, 0], atol=1e-5)
    left, right = H36M17.index("left_wrist"), H36M17.index("right_wrist")
    np.testing.assert_allclose(flipped.soft_3d[0, left], sample.soft_3d[0, right] * (-1, 1, 1, 1), atol=1e-4)
    assert flipped.boxes[0].tolist() == pytest.approx([40, 10, 60, 50])


def test_rotation_turns_camera_axes_as_it_turns_the_image() -> None:
    sample = make_sample()
    sample.soft_3d[0, 5, :3] = (100, 0, 7)  # to the right
    angle = math.pi / 2
    turn = np.array([[0.0, -1, 70], [1, 0, -10]])  # right becomes down
    turned = warp_sample(sample, turn, (80, 60), angle=angle, flip=False, border=(0, 0, 0))
    np.testing.assert_allclose(turned.soft_3d[0, 5, :3], (0, 100, 7), atol=1e-4)


def test_joints_outside_are_not_trained() -> None:
    shifted = warp_sample(
        make_sample(), np.array([[1.0, 0, 60], [0, 1, 0]]), (80, 60), angle=0, flip=False, border=(0, 0, 0)
    )
    assert not shifted.soft[..., 2].any()
    assert not shifted.hard[..., 2].any()


def test_boxes_bound_the_turned_ellipse() -> None:
    boxes = np.array([[0.0, 0, 40, 20]])
    assert warp_boxes(boxes, np.array([[2.0, 0, 1], [0, 3, 2]]))[0].tolist() == pytest.approx([1, 2, 81, 62])
    half = math.sqrt((20**2 + 10**2) / 2)
    diagonal = math.sqrt(0.5) * np.array([[1.0, -1, 0], [1, 1, 0]])
    turned = warp_boxes(boxes, diagonal)[0]
    assert turned[2] - turned[0] == pytest.approx(2 * half)


@pytest.mark.parametrize(
    ("box", "area_before", "people", "crowds"),
    [
        ((0, 0, 30, 40), 1200, 1, 0),  # whole
        ((0, 0, 10, 10), 1200, 0, 1),  # cut to 8 %
        ((0, 0, 0.5, 40), 20, 0, 0),  # nothing left
        ((0, 0, 2, 40), 80, 0, 1),  # tiny: under 6 px of 480 lines here is 0.75 px, so the config says 20
    ],
)
def test_cut_and_tiny_boxes_are_ignored(box: tuple[float, ...], area_before: float, people: int, crowds: int) -> None:
    config = AugmentConfig(min_box_px=20)
    left = ignore_cut_boxes(make_sample(box=box), np.array([area_before]), config)
    assert ((~left.crowd).sum(), left.crowd.sum()) == (people, crowds)


def test_the_view_is_moved_towards_people_where_asked() -> None:
    """A small person at the border: few zoomed views show them by chance, nearly all on purpose."""

    def share_seen(towards: float) -> float:
        config = AugmentConfig(zoom=(3, 3), translate=0, towards_people=towards)
        seen = 0
        for seed in range(60):
            sample = make_sample((320, 240), (4, 60, 24, 110))
            warped = random_warp(sample, (160, 120), config, np.random.default_rng(seed))
            seen += bool((~warped.crowd).any())
        return seen / 60

    assert share_seen(0) < 0.5
    assert share_seen(1) > 0.9
