"""Photometry, occlusion and privacy downsampling of training images."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.letterbox import Letterbox
from training.data.augment_config import NO_AUGMENTATION, ORPOSE_ALL, AugmentConfig, ScaleChoice
from training.data.dataset import LabelConfig, augment
from training.data.occlusion import hide_covered, random_cutout
from training.data.photometry import colour_matrix, random_photometry
from training.data.privacy import down_and_up, draw_factor
from training.data.sample import Sample, sample_from_labels

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)


def test_no_augmentation_changes_nothing() -> None:
    np.testing.assert_array_equal(random_photometry(IMAGE, NO_AUGMENTATION, np.random.default_rng(0)), IMAGE)


@pytest.mark.parametrize("seed", range(8))
def test_photometry_keeps_shape_and_type_and_is_repeatable(seed: int) -> None:
    config = AugmentConfig(jpeg_probability=1, motion_probability=1, blur_probability=1, noise_probability=1)
    first = random_photometry(IMAGE, config, np.random.default_rng(seed))
    again = random_photometry(IMAGE, config, np.random.default_rng(seed))
    assert (first.shape, first.dtype) == (IMAGE.shape, np.uint8)
    np.testing.assert_array_equal(first, again)


def test_grey_stays_grey_without_white_balance() -> None:
    config = AugmentConfig(white_balance=0, exposure_stops=(0, 0), channel_mix=0.2)
    for seed in range(5):
        np.testing.assert_allclose(colour_matrix(config, np.random.default_rng(seed)) @ np.ones(3), 1, atol=1e-12)


def one_person() -> Sample:
    joints = np.full((1, 17, 3), 2, np.float32)
    joints[..., :2] = 30
    joints[0, 0, :2] = 5
    soft = joints.copy()
    soft[..., 2] = 1
    zeros = np.zeros((1, 17, 4), np.float32)
    box, weight = np.array([[0, 0, 40, 40]], np.float32), np.ones((1, 17), np.float32)
    return Sample(IMAGE, box, np.zeros(1, bool), soft, joints, zeros, zeros, weight, (80, 60))


@pytest.mark.parametrize(("covered_px", "crowd"), [(10, False), (39, True)])
def test_covered_joints_become_hidden_and_covered_people_ignored(covered_px: int, crowd: bool) -> None:
    covered = np.zeros((60, 80), np.uint8)
    covered[:covered_px, :covered_px] = 1
    hidden = hide_covered(one_person(), covered, AugmentConfig(), hidden_confidence=0.6)
    assert hidden.soft[0, 0, 2] == pytest.approx(0.6)
    assert hidden.hard[0, 0, 2] == 0
    assert hidden.hard[0, 1, 2] == (0 if crowd else 2)
    assert hidden.crowd.tolist() == [crowd]


def test_cutout_leaves_the_given_image_alone() -> None:
    before = IMAGE.copy()
    cut = random_cutout(
        one_person(), AugmentConfig(cutout_probability=1), np.random.default_rng(3), hidden_confidence=0.6
    )
    np.testing.assert_array_equal(IMAGE, before)
    assert (cut.image != before).any()


def test_scales_are_those_of_orpose_all() -> None:
    rng = np.random.default_rng(0)
    factors = np.array([draw_factor(ORPOSE_ALL, rng) for _ in range(4000)])
    assert (factors == 1).mean() == pytest.approx(0.30, abs=0.03)
    assert ((factors >= 2) & (factors < 8)).mean() == pytest.approx(0.35, abs=0.03)
    assert ((factors >= 8) & (factors <= 12)).mean() == pytest.approx(0.35, abs=0.03)


def test_down_and_up_is_the_runtimes_downsampling() -> None:
    image = np.random.default_rng(1).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    seen = down_and_up(image, 12)
    assert seen.shape == image.shape
    assert privacy_downsample(image, 12).shape == (40, 53, 3)
    assert seen.std() < 0.3 * image.std()
    assert down_and_up(image, 1) is image


@pytest.mark.parametrize("frame_size", [(640, 480), (640, 360), (360, 480)])
def test_training_sees_as_many_lines_as_the_runtime(frame_size: tuple[int, int]) -> None:
    """Stripes that 40 lines a frame keep and 30 lose, in frames that fill the input and in letterboxed ones."""
    width, height = frame_size
    wave = 127 + 120 * np.sin(2 * np.pi * 16 * (np.arange(height) + 0.5) / height)
    image = np.tile(wave[:, None, None], (1, width, 3)).astype(np.uint8)
    letterbox = Letterbox.fit(frame_size, (640, 480))
    left, top, content_width, content_height = letterbox.content_xywh
    middle = (slice(top + 30, top + content_height - 30), slice(left + 30, left + content_width - 30))
    runtime = letterbox.apply(privacy_downsample(image, 12))[middle]

    at_12x = NO_AUGMENTATION.model_copy(update={"downsample": (ScaleChoice(probability=1, low=12, high=12),)})
    nobody = sample_from_labels(image, [], hidden_confidence=0.6, hard_hidden=False)
    training = augment(nobody, (640, 480), at_12x, LabelConfig(), np.random.default_rng(0)).image[middle]
    assert training.std() == pytest.approx(runtime.std(), rel=0.15)


def test_thirds_are_probabilities() -> None:
    """Written with seven digits they sum to 1 by the check, but not by numpy's finer one."""
    thirds = AugmentConfig(downsample=tuple(ScaleChoice(probability=0.3333333, low=s, high=s) for s in (1, 8, 12)))
    rng = np.random.default_rng(0)
    assert {draw_factor(thirds.downsample, rng) for _ in range(50)} == {1, 8, 12}


def test_training_may_be_harder_than_the_runtime() -> None:
    """Beyond the 12 that models are for, so that 12 is not the hardest that they saw; 16 leaves 30 lines of 480."""
    harder = AugmentConfig(downsample=(ScaleChoice(probability=1, low=12, high=16),))
    rng = np.random.default_rng(0)
    factors = [draw_factor(harder.downsample, rng) for _ in range(50)]
    assert min(factors) >= 12 and max(factors) > 15
    with pytest.raises(ValidationError, match="high"):
        ScaleChoice(probability=1, low=12, high=17)


def test_no_blur_and_the_largest_cutout() -> None:
    config = NO_AUGMENTATION.model_copy(update={"blur_probability": 1, "blur_sigma": (0.0, 0.0)})
    np.testing.assert_array_equal(random_photometry(IMAGE, config, np.random.default_rng(0)), IMAGE)
    config = AugmentConfig(cutout_probability=1, cutout_size=(0.999999, 0.999999))
    for seed in range(6):
        random_cutout(one_person(), config, np.random.default_rng(seed), hidden_confidence=0.6)


def test_settings_that_no_image_fits() -> None:
    with pytest.raises(ValidationError, match=r"expected low <= high, got 8 and 2"):
        ScaleChoice(probability=1, low=8, high=2)
    with pytest.raises(ValidationError, match=r"cutout_size: expected less than 1, got \[0\.5, 1\.0\]"):
        AugmentConfig(cutout_size=(0.5, 1))


def test_probabilities_must_sum_to_one() -> None:
    with pytest.raises(ValidationError, match=r"sum to 0\.5"):
        AugmentConfig(downsample=(ScaleChoice(probability=0.5, low=1, high=1),))
