"""Confidence intervals: against the formula for a mean, paired differences, drawing by sequence."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.resample import (
    Difference,
    Interval,
    ResampleSettings,
    Statistic,
    differences,
    draw,
    image_groups,
    intervals,
)

VALUES = np.random.default_rng(0).normal(5, 2, 400)
GROUPS = np.arange(400)
SETTINGS = ResampleSettings(bootstrap=400)


def mean_of(values: np.ndarray) -> Statistic:
    return lambda weights: np.array([(weights * values).sum() / weights.sum()])


def interval(statistic: Statistic, groups: np.ndarray, settings: ResampleSettings) -> Interval:
    return intervals(draw(statistic, groups, settings), settings.confidence)[0]


def difference(one: Statistic, other: Statistic) -> Difference:
    return differences(draw(one, GROUPS, SETTINGS), draw(other, GROUPS, SETTINGS), SETTINGS.confidence)[0]


def test_interval_of_a_mean_is_two_standard_errors_wide() -> None:
    got = interval(mean_of(VALUES), GROUPS, SETTINGS)
    error = VALUES.std() / np.sqrt(400)
    assert got.value == pytest.approx(VALUES.mean())
    assert got.high - got.value == pytest.approx(1.96 * error, rel=0.2)
    assert got.value - got.low == pytest.approx(1.96 * error, rel=0.2)


def test_a_lower_confidence_is_a_narrower_interval() -> None:
    drawn = draw(mean_of(VALUES), GROUPS, SETTINGS)
    (narrow,), (wide,) = intervals(drawn, 0.5), intervals(drawn, 0.9)
    inside = [np.mean((drawn.samples >= one.low) & (drawn.samples <= one.high)) for one in (narrow, wide)]
    assert inside == pytest.approx([0.5, 0.9], abs=0.01)


def test_a_difference_is_paired() -> None:
    got = difference(mean_of(VALUES + 0.1), mean_of(VALUES))  # the same everywhere: certain
    assert [got.value, got.low, got.high] == pytest.approx([0.1, 0.1, 0.1])
    assert got.at_most_zero == 0
    assert difference(mean_of(VALUES), mean_of(VALUES)).at_most_zero == 1


def test_like_frames_of_a_sequence_make_the_interval_wider() -> None:
    repeated = np.repeat(VALUES[:40], 10)
    by_image = interval(mean_of(repeated), GROUPS, SETTINGS)
    by_sequence = interval(mean_of(repeated), np.repeat(np.arange(40), 10), SETTINGS)
    assert by_sequence.high - by_sequence.low > 2 * (by_image.high - by_image.low)


def test_samples_without_a_value_are_left_out() -> None:
    nothing = interval(lambda weights: np.array([np.nan]), GROUPS, SETTINGS)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def images(*sequences: str | None) -> AnnotationSet:
    numbered = (LabelledImage(9 - i, f"{i}.png", 8, 8, sequence=name) for i, name in enumerate(sequences))
    return AnnotationSet(tuple(numbered), ())


def test_groups_are_in_the_order_of_image_ids() -> None:
    labels = images("b", "a", "b")
    np.testing.assert_array_equal(image_groups(labels, "sequence"), [0, 1, 0])
    np.testing.assert_array_equal(image_groups(labels, "image"), [0, 1, 2])


@pytest.mark.parametrize(
    ("sequences", "message"), [(("a", None), "sequence: missing"), (("a", "a"), "at least two of: sequence, got 1")]
)
def test_sequences_that_cannot_be_drawn(sequences: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        image_groups(images(*sequences), "sequence")


def test_the_same_seed_draws_the_same() -> None:
    first, again = (interval(mean_of(VALUES), GROUPS, SETTINGS) for _ in range(2))
    assert first == again
    assert first != interval(mean_of(VALUES), GROUPS, SETTINGS.model_copy(update={"seed": 1}))
