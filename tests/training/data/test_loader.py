"""Epochs are permutations, and a sampler that starts in the middle goes on as the one that was there."""

from __future__ import annotations

import itertools

import pytest
from torch._utils import ExceptionWrapper

from orpose_models.errors import ImageError
from training.data.loader import BatchShape, EndlessBatches, of_worker

SMALL, LARGE = BatchShape((32, 24), 3), BatchShape((64, 48), 2)


def shape_of(batch_index: int) -> BatchShape:
    return SMALL if batch_index < 4 else LARGE


def test_each_epoch_sees_every_item_once() -> None:
    batches = itertools.islice(EndlessBatches(6, 0, lambda _: SMALL, 0, 0), 4)
    indices = [draw.index for batch in batches for draw in batch]
    assert sorted(indices[:6]) == sorted(indices[6:]) == list(range(6))
    assert indices[:6] != indices[6:]


@pytest.mark.parametrize("first_batch", [1, 3, 4, 6])
def test_resumes_anywhere(first_batch: int) -> None:
    whole = list(itertools.islice(EndlessBatches(5, 7, shape_of, 0, 0), 10))
    seen = sum(len(batch) for batch in whole[:first_batch])
    rest = list(itertools.islice(EndlessBatches(5, 7, shape_of, first_batch, seen), 10 - first_batch))
    assert rest == whole[first_batch:]


def test_two_processes_share_what_one_would_see() -> None:
    whole = itertools.islice(EndlessBatches(7, 3, lambda _: BatchShape((32, 24), 4), 0, 0), 5)
    parts = [EndlessBatches(7, 3, lambda _: BatchShape((32, 24), 4), 0, 0, rank=r, world_size=2) for r in (0, 1)]
    for batch, first, second in zip(whole, *map(iter, parts), strict=False):
        assert sorted([*first, *second], key=lambda draw: draw.position) == batch
        assert len(first) == len(second) == 2


def test_seeds_differ() -> None:
    first, second = (next(iter(EndlessBatches(50, seed, lambda _: SMALL, 0, 0))) for seed in (0, 1))
    assert [d.index for d in first] != [d.index for d in second]


def test_an_error_of_a_worker_process_is_one_line() -> None:
    error = ImageError("20 images in a row cannot be read, the last one: a.png: missing")
    try:
        raise error
    except ImageError:
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(ImageError, match="Caught ImageError in DataLoader worker process 0") as caught:
        wrapped.reraise()
    assert str(of_worker(caught.value)) == str(of_worker(error)) == str(error)
