"""Heads hidden as in anonymous recordings."""

from __future__ import annotations

import numpy as np
import pytest

from training.data import anonymise
from training.data.anonymise import anonymise_heads
from training.data.augment_config import AugmentConfig
from training.data.sample import Sample

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
FACE = np.array([[30, 20], [28, 17], [32, 17], [24, 18], [36, 18]], np.float32)


def person(face: np.ndarray = FACE, *, crowd: bool = False) -> Sample:
    joints = np.zeros((1, 17, 3), np.float32)
    joints[0, 0 : len(face)] = np.column_stack([face, np.ones(len(face))])
    zeros, box = np.zeros((1, 17, 4), np.float32), np.array([[15, 5, 45, 60]], np.float32)
    weight = np.ones((1, 17), np.float32)
    return Sample(IMAGE, box, np.array([crowd]), joints, joints.copy(), zeros, zeros, weight, (80, 60))


def changed(sample: Sample, seed: int, probability: float = 1.0) -> np.ndarray:
    """`(H, W)`: which pixels the augmentation changes."""
    hidden = anonymise_heads(sample, AugmentConfig(anonymise_probability=probability), np.random.default_rng(seed))
    for name in ("boxes", "crowd", "soft", "hard", "joint_weight"):
        np.testing.assert_array_equal(getattr(hidden, name), getattr(sample, name))
    return (hidden.image != IMAGE).any(axis=-1)


def without_decoys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anonymise, "_DECOYS", (0, 1))


@pytest.mark.parametrize("seed", range(12))
def test_the_head_is_hidden_and_nothing_else(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    without_decoys(monkeypatch)
    before = IMAGE.copy()
    where = changed(person(), seed)
    np.testing.assert_array_equal(IMAGE, before)
    rows, columns = np.nonzero(where)
    assert where[18, 30]
    assert rows.max() <= 18 + 1.3 * 12 + 1
    assert 30 - 1.3 * 12 - 1 <= columns.min() < columns.max() <= 30 + 1.3 * 12 + 1


def test_places_without_a_head_are_hidden_too() -> None:
    hidden = [changed(person(crowd=True), seed) for seed in range(40)]
    share = np.mean([where.any() for where in hidden])
    assert 0.5 < share < 1
    assert max(where.mean() for where in hidden) < 0.3


def test_what_is_hidden_has_lost_its_detail() -> None:
    kept = [IMAGE[14:22, 26:34].std()]
    for seed in range(12):
        hidden = anonymise_heads(person(), AugmentConfig(anonymise_probability=1), np.random.default_rng(seed))
        kept.append(hidden.image[14:22, 26:34].std())
    assert max(kept[1:]) < 0.7 * kept[0]


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(person(FACE[:1]), id="one joint"),
        pytest.param(person(crowd=True), id="ignored region"),
        pytest.param(person(FACE + 500), id="outside"),
        pytest.param(person(FACE[:1].repeat(5, axis=0)), id="no width"),
    ],
)
def test_no_head_no_change(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    without_decoys(monkeypatch)
    assert not changed(sample, 0).any()


def test_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    without_decoys(monkeypatch)
    assert not changed(person(), 0, probability=0).any()
    often = np.mean([changed(person(), seed, probability=0.3).any() for seed in range(300)])
    assert often == pytest.approx(0.3, abs=0.08)


def test_off_draws_no_random_number() -> None:
    rng = np.random.default_rng(5)
    anonymise_heads(person(), AugmentConfig(), rng)
    assert rng.random() == np.random.default_rng(5).random()
