"""Cut-Occlude: patches lie where they should and come from where they should, labels stay, draws name their donor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from orpose_models.errors import ConfigError
from orpose_models.settings import build_settings
from training.data.augment_config import NO_AUGMENTATION, AugmentConfig
from training.data.cut_occlude import cut_occlude, paste_patch, px_per_crop_px
from training.data.dataset import Draw, LabelConfig, SourceConfig, TrainingSet, read_items, read_sample
from training.data.geometry import random_warp
from training.data.loader import BatchShape, EndlessBatches
from training.data.sample import Sample

CUT = NO_AUGMENTATION.model_copy(update={"cut_occlude_joints": 2, "cut_occlude_jitter_px": 0.0})


def person_at(joints: list[tuple[float, float]], box: list[float], value: int) -> Sample:
    """A grey image 300x200 of one person whose first joints are labelled."""
    soft = np.zeros((1, 17, 3), np.float32)
    soft[0, : len(joints)] = [(x, y, 0.9) for x, y in joints]
    nothing = np.zeros((1, 17, 4), np.float32)
    image = np.full((200, 300, 3), value, np.uint8)
    boxes, weight = np.array([box], np.float32), np.ones((1, 17), np.float32)
    return Sample(image, boxes, np.zeros(1, bool), soft, soft.copy(), nothing, nothing, weight, (300, 200))


def test_a_patch_is_copied_exactly() -> None:
    source = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    image = np.zeros((30, 30, 3), np.uint8)
    paste_patch(image, np.array([10.0, 12.0]), 3.0, source, np.array([20.0, 25.0]), 1.0)
    np.testing.assert_array_equal(image[9:15, 7:13], source[22:28, 17:23])
    image[9:15, 7:13] = 0
    assert not image.any()


@pytest.mark.parametrize(("centre", "rows", "columns"), [
    ((1.0, 29.0), slice(26, 30), slice(0, 4)),  # cut by the border
    ((-20.0, 10.0), slice(0, 0), slice(0, 0)),  # beside the image
])  # fmt: skip
def test_a_patch_at_the_border(centre, rows, columns) -> None:
    image, source = np.zeros((30, 30, 3), np.uint8), np.full((40, 50, 3), 7, np.uint8)
    paste_patch(image, np.array(centre), 3.0, source, np.array([0.0, 0.0]), 1.0)
    expected = np.zeros_like(image)
    expected[rows, columns] = 7
    np.testing.assert_array_equal(image, expected)


def test_a_patch_of_a_larger_person_shrinks() -> None:
    source = np.zeros((100, 100, 3), np.uint8)
    source[40:60, 40:60] = 200  # 20 px there are 10 px here
    image = np.zeros((50, 50, 3), np.uint8)
    paste_patch(image, np.array([25.0, 25.0]), 8.0, source, np.array([50.0, 50.0]), 2.0)
    assert (image[21:29, 21:29] == 200).all() and (image[17:19, 17:33] == 0).all() and (image[:17] == 0).all()


def test_sizes_are_those_of_a_192x256_crop() -> None:
    # 1.25 x the box is 192 px wide: 1 px; a box of 3:4 by its height; twice as large: 2 px
    boxes = np.array([[0, 0, 153.6, 100], [0, 0, 10, 204.8], [0, 0, 307.2, 10]], np.float32)
    np.testing.assert_allclose(px_per_crop_px(boxes), [1, 1, 2], rtol=1e-6)


def test_two_joints_are_covered_and_labels_stay() -> None:
    joints = [(50.0, 40.0), (150.0, 40.0), (50.0, 160.0), (150.0, 160.0)]
    sample = person_at(joints, [0, 0, 153.6, 160], 10)
    donor = person_at([(200.0, 100.0)], [100, 0, 253.6, 160], 250)
    covered = cut_occlude(sample, donor, CUT, np.random.default_rng(1))
    changed = (covered.image != sample.image).all(axis=2)
    assert (covered.image[changed] == 250).all() and (sample.image == 10).all()
    hits = [int(changed[int(y), int(x)]) for x, y in joints]
    assert sum(hits) == 2
    for (x, y), hit in zip(joints, hits, strict=True):  # half sides of 10 to 19 px
        area = changed[int(y) - 20 : int(y) + 20, int(x) - 20 : int(x) + 20].sum()
        assert 20**2 <= area <= 38**2 if hit else area == 0
    for field in fields(Sample):
        if field.name != "image":
            np.testing.assert_array_equal(getattr(covered, field.name), getattr(sample, field.name))


def test_only_labelled_joints_of_people_are_covered_or_taken() -> None:
    sample, donor = (person_at([(50.0, 40.0)], [0, 0, 153.6, 160], value) for value in (10, 250))
    one = cut_occlude(sample, donor, CUT, np.random.default_rng(0))
    assert 20**2 <= (one.image != 10).all(axis=2).sum() <= 38**2
    donor.crowd[:] = True
    assert (cut_occlude(sample, donor, CUT, np.random.default_rng(0)).image == 10).all()
    donor.crowd[:], sample.soft[..., 2] = False, 0
    assert (cut_occlude(sample, donor, CUT, np.random.default_rng(0)).image == 10).all()


def test_the_jitter_moves_patches() -> None:
    sample, donor = (person_at([(150.0, 100.0)], [70, 20, 223.6, 180], value) for value in (10, 250))
    config = CUT.model_copy(update={"cut_occlude_jitter_px": 10.0})
    centres = []
    for seed in range(200):
        rows, columns = np.nonzero(
            (cut_occlude(sample, donor, config, np.random.default_rng(seed)).image != 10)[..., 0]
        )
        centres.append(((columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2))
    np.testing.assert_allclose(np.mean(centres, axis=0), [150, 100], atol=2)
    np.testing.assert_allclose(np.std(centres, axis=0), [10, 10], rtol=0.2)


def test_the_loader_cuts_from_another_image_of_the_batch(make_dataset: Callable[..., Path]) -> None:
    items = read_items([SourceConfig(annotations=make_dataset(5))])

    def shares(config: AugmentConfig) -> list[np.ndarray]:
        data, found = TrainingSet(items, config, LabelConfig(), seed=0), []
        for draw in batch:
            own = read_sample(items[draw.index], LabelConfig()).image
            found.append((data.sample(draw).image != own).any(axis=2))
        return found

    batch = next(iter(EndlessBatches(5, 0, lambda _: BatchShape((128, 96), 4), 0, 0)))
    assert all(draw.donor not in (None, draw.index) for draw in batch)
    assert {draw.donor for draw in batch} == {draw.index for draw in batch}
    assert not any(changed.any() for changed in shares(NO_AUGMENTATION))
    assert all(changed.any() for changed in shares(CUT))
    data = TrainingSet(items, CUT, LabelConfig(), seed=0)
    labels = [data[Draw(draw.position, draw.index, draw.size)].targets for draw in batch]  # no donor: no patch
    for draw, expected in zip(batch, labels, strict=True):
        targets = data[draw].targets
        assert (targets["keypoints_hard"] == expected["keypoints_hard"]).all()
    items[batch[0].index].path.write_bytes(b"")
    assert data.sample(batch[1]).image.shape == (96, 128, 3)  # an unreadable donor


def test_rotation_by_a_deviation() -> None:
    config = NO_AUGMENTATION.model_copy(update={"rotation_sigma_deg": 30.0})
    angles = []
    for seed in range(300):
        sample = person_at([(150.0, 100.0), (200.0, 100.0)], [120, 80, 220, 120], 0)
        turned = random_warp(sample, (300, 200), config, np.random.default_rng(seed)).soft[0]
        angles.append(np.degrees(np.arctan2(*(turned[1, 1::-1] - turned[0, 1::-1]))))
    assert np.std(angles) == pytest.approx(30 * 0.93, rel=0.15)  # a normal distribution's ends at two sigma
    assert np.max(np.abs(angles)) <= 60.01 and abs(np.mean(angles)) < 5


def test_patch_sizes_must_rise() -> None:
    with pytest.raises(ConfigError, match="cut_occlude_half_px: expected 1 <= smallest <= largest, got \\[19, 10\\]"):
        build_settings(AugmentConfig, {"cut_occlude_half_px": (19, 10)}, "a.yaml")
