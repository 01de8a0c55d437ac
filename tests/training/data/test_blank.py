"""Frames that show nothing."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.runtime.letterbox import PADDING_BGR
from training.data.augment_config import NO_AUGMENTATION, AugmentConfig
from training.data.blank import blank_frame
from training.data.dataset import LabelConfig, augment
from training.data.sample import Sample, targets_from_sample

SIZE = (64, 48)


def crowd_of_three() -> Sample:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    boxes = np.array([[5, 5, 30, 50], [30, 5, 60, 50], [50, 20, 79, 59]], np.float32)
    joints = np.concatenate([np.full((3, 17, 2), 25), np.ones((3, 17, 1))], axis=-1).astype(np.float32)
    zeros = np.zeros((3, 17, 4), np.float32)
    crowd = np.array([False, False, True])
    return Sample(image, boxes, crowd, joints, joints.copy(), zeros, zeros, np.ones((3, 17), np.float32), (80, 60))


@pytest.mark.parametrize("seed", range(10))
def test_one_colour_between_paddings_and_nobody(seed: int) -> None:
    blank = blank_frame(crowd_of_three(), SIZE, AugmentConfig(blank_probability=1), np.random.default_rng(seed))
    assert blank.image.shape == (SIZE[1], SIZE[0], 3)
    assert blank.image.dtype == np.uint8
    colours = {tuple(colour) for colour in blank.image.reshape(-1, 3).tolist()}
    assert len(colours - {PADDING_BGR}) == 1
    assert blank.image[24, 32].tolist() in [list(colour) for colour in colours - {PADDING_BGR}]
    assert len(blank) == 0
    assert targets_from_sample(blank)["boxes"].shape == (0, 4)


def test_upright_and_wide_and_dark_ones_occur() -> None:
    config = AugmentConfig(blank_probability=1)
    images = [blank_frame(crowd_of_three(), SIZE, config, np.random.default_rng(seed)).image for seed in range(60)]
    beside = np.mean([tuple(image[24, 0]) == PADDING_BGR for image in images])
    above = np.mean([tuple(image[0, 32]) == PADDING_BGR for image in images])
    dark = np.mean([image[24, 32].max() <= 12 for image in images])
    assert min(beside, above, dark) > 0.2


def test_as_often_as_asked_and_off_draws_no_random_number() -> None:
    config = AugmentConfig(blank_probability=0.2)
    often = np.mean([
        len(blank_frame(crowd_of_three(), SIZE, config, np.random.default_rng(seed))) == 0 for seed in range(400)
    ])  # fmt: skip
    assert often == pytest.approx(0.2, abs=0.06)
    rng = np.random.default_rng(5)
    sample = crowd_of_three()
    assert blank_frame(sample, SIZE, AugmentConfig(), rng) is sample
    assert rng.random() == np.random.default_rng(5).random()


def test_the_whole_augmentation_takes_it() -> None:
    changes = {"blank_probability": 1, "anonymise_probability": 1, "cutout_probability": 1}
    config = NO_AUGMENTATION.model_copy(update=changes)
    for seed in range(10):
        view = augment(crowd_of_three(), SIZE, config, LabelConfig(), np.random.default_rng(seed))
        assert len(np.unique(view.image.reshape(-1, 3), axis=0)) <= 2, "something lies over the blank frame"
        assert len(view) == 0
