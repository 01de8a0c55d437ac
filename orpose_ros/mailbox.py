"""Newest-frame mailbox: one slot for each camera. Whoever is slow gets the newest frame, and never an old queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Mailbox(Generic[ItemT]):
    """Slots that hold the newest item each. Any number of threads may put; one takes."""

    def __init__(self, slots: Iterable[str]) -> None:
        self._slots: dict[str, ItemT | None] = dict.fromkeys(slots)
        self._order: list[str] = []  # slots with an item, the longest waiting first: no camera starves another
        self._closed = False
        self._changed = threading.Condition()

    def put(self, slot: str, item: ItemT) -> ItemT | None:
        """Puts an item into a slot and returns the older one it displaced, if any. Closed: the item itself."""
        with self._changed:
            if self._closed:
                return item
            displaced = self._slots[slot]
            self._slots[slot] = item
            if displaced is None:
                self._order.append(slot)
            self._changed.notify()
            return displaced

    def take(self) -> tuple[str, ItemT] | None:
        """Waits for an item and takes it out, with its slot. None: the mailbox was closed."""
        return next(iter(self.take_some(1, wait_s=0)), None)

    def take_some(
        self, most: int, wait_s: float, is_enough: Callable[[Sequence[ItemT]], bool] | None = None
    ) -> list[tuple[str, ItemT]]:
        """Takes up to `most` items of different slots: waits for the first, then a little for others or newer ones.

        Args:
            most: As many as can be dealt with at once.
            wait_s: Time to wait after the first, s; what is there then is taken.
            is_enough: Whether the items that wait are worth taking before. None: when they are `most`.

        Returns:
            The longest waiting first; empty: the mailbox was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._order or self._closed)

            def is_over() -> bool:
                waiting = [item for slot in self._order if (item := self._slots[slot]) is not None]
                return self._closed or (len(waiting) >= most if is_enough is None else is_enough(waiting))

            self._changed.wait_for(is_over, wait_s)
            taken = []
            for slot in self._order[:most]:
                item, self._slots[slot] = self._slots[slot], None
                assert item is not None
                taken.append((slot, item))
            del self._order[:most]
            return taken

    def close(self) -> list[tuple[str, ItemT]]:
        """Wakes the taker for good and returns what was never taken."""
        with self._changed:
            self._closed = True
            left = [(slot, item) for slot in self._order if (item := self._slots[slot]) is not None]
            self._order.clear()
            self._changed.notify_all()
            return left
