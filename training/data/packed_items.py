"""A long list in one block of shared memory, so that the loader's worker processes do not each hold a copy."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import TypeVar, overload

import numpy as np
import torch

Element = TypeVar("Element")


class PackedItems(Sequence[Element]):
    """Items that are packed into bytes once, and unpacked each time one is asked for; repeated ones are held once.

    The bytes are a torch tensor: torch's processes hand a tensor's memory on to each other where they would copy an
    array or a list. What is asked for is a new object every time.
    """

    def __init__(self, items: Sequence[Element]) -> None:
        places = {id(item): place for place, item in reversed(list(enumerate(items)))}
        unique = sorted(places.values())
        packed = [pickle.dumps(items[place], protocol=pickle.HIGHEST_PROTOCOL) for place in unique]
        rows = {place: row for row, place in enumerate(unique)}
        self._rows = torch.tensor([rows[places[id(item)]] for item in items], dtype=torch.int64)
        self._ends = torch.from_numpy(np.cumsum([0, *map(len, packed)]))
        self._bytes = torch.from_numpy(np.frombuffer(bytearray().join(packed), np.uint8))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Element: ...

    @overload
    def __getitem__(self, index: slice) -> list[Element]: ...

    def __getitem__(self, index: int | slice) -> Element | list[Element]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        row = self._rows[index]
        return pickle.loads(self._bytes[self._ends[row] : self._ends[row + 1]].numpy().tobytes())
