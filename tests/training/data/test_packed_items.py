"""Packed items are those that were given; worker processes get their memory, not a copy."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from training.data.packed_items import PackedItems


def test_items_come_back_in_order_and_more_than_once() -> None:
    items = ["first", ("second", 2), np.arange(3.0)]
    packed = PackedItems(items)
    for _ in range(2):
        assert [packed[0], packed[1], packed[2].tolist()] == ["first", ("second", 2), [0, 1, 2]]
    assert len(packed) == len(list(packed)) == 3
    assert packed[:2] == [packed[-3], packed[1]] == items[:2]
    with pytest.raises(IndexError):
        packed[3]


def test_there_may_be_no_items() -> None:
    assert list(PackedItems([])) == []


def test_repeated_items_are_held_once() -> None:
    items = [np.full(10_000, number) for number in range(3)]
    once, repeated = PackedItems(items), PackedItems([*items, *items])
    assert [item[0] for item in repeated] == [0, 1, 2, 0, 1, 2]
    assert len(pickle.dumps(repeated)) < len(pickle.dumps(once)) + 1000


def test_a_worker_process_gets_no_copy() -> None:
    """What is sent to a process of torch's is a handle of the memory, however long the list is."""
    packed = PackedItems([np.full(100_000, number) for number in range(10)])
    assert len(ForkingPickler.dumps(packed)) < 10_000
