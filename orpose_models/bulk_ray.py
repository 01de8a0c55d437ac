"""Bulk work on the machines of a Ray cluster (extra 'ray'): `orpose_models.bulk` with `cluster`."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from orpose_models.errors import BackendError, OrposeError, WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")

_ANSWER_S = 10.0
#: How often the cluster is asked for machines that joined or left (s).
_LOOK_S = 2.0
#: Workers that may die over one item, or while they start, before it is no machine's fault.
_MOST_DEATHS = 5
_START = "`ray start --head` makes this machine a cluster, and prints its address"
#: Of what Ray's daemons print only the loss of a machine is for the user; the rest is pages of their inner state.
_UNWANTED = r"(?s)\A(?!.*has been marked dead)"


def map_on_cluster(
    items: Sequence[Item],
    make_worker: Callable[[], Callable[[Item], Result]],
    address: str,
    gpus: float,
    in_flight: int,
) -> Iterator[Result]:
    """`orpose_models.bulk.map_items` with one Ray actor a processor, which holds up to `in_flight` items.

    Machines may leave meanwhile, and join.
    """
    ray = _connected(address)
    try:
        if items:
            yield from _Dealer(ray, items, make_worker, gpus, in_flight).results()
    except ray.exceptions.RaySystemError as error:
        raise WorkerError(f"Ray gave up: {_one_line(error)}; run the same command again") from None
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    """The module ray, connected."""
    # Read when ray is imported. Its C++ side says that actors' arguments may be lost: they stay with us.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", _UNWANTED)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
    except ImportError:
        raise BackendError("ray: not installed, needed for a cluster; run: pip install 'orpose[ray]'") from None
    _check_address(address)
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise WorkerError(f"cluster {address}: {_one_line(error)}; {_START}") from None
    return ray


def _check_address(address: str) -> None:
    """Raises WorkerError if nobody answers there; Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except ValueError:
        raise WorkerError(f"cluster {address!r}: expected auto or HOST:PORT") from None
    except OSError as error:
        raise WorkerError(f"cluster {address}: nobody answers ({error.strerror or error}); {_START}") from None


class _Dealer:
    """Deals the items out to actors, and again those whose actor is lost.

    Not Ray Data: its pipeline may wait for ever for a task that was lost with its machine.
    """

    def __init__(
        self, ray: Any, items: Sequence[Any], make_worker: Callable[[], Callable], gpus: float, in_flight: int
    ) -> None:
        self._ray, self._items, self._make_worker, self._in_flight = ray, items, make_worker, in_flight
        self._actor = ray.remote(num_cpus=1, num_gpus=gpus or None)(_Actor)
        self._resource, self._share = ("GPU", gpus) if gpus else ("CPU", 1.0)
        self._left = deque(range(len(items)))
        self._starting: dict[Any, Any] = {}  # the answer that an actor owes, and the actor
        self._working: dict[Any, tuple[Any, int]] = {}  # the answer; the actor and the item's index
        self._held: dict[Any, deque[int]] = {}  # indices of the items that an actor holds; it does the first one now
        self._deaths: Counter[int] = Counter()
        self._deaths_at_start = 0
        self._looked_s = -_LOOK_S

    def results(self) -> Iterator[Any]:
        while self._left or any(self._held.values()):
            self._fill_places()
            self._deal()
            done, _ = self._ray.wait([*self._starting, *self._working], timeout=_LOOK_S)
            for answer in done:
                if answer in self._starting:
                    self._began(answer)
                else:
                    yield from self._finished(answer)

    def _fill_places(self) -> None:
        """An actor for every processor or GPU; one that other work keeps waiting holds no items meanwhile."""
        actors = len(self._starting) + len(self._held)
        if actors and time.monotonic() < self._looked_s + _LOOK_S:
            return
        there = self._ray.cluster_resources().get(self._resource, 0)
        places = int(there / self._share)
        if not actors and not places:
            raise WorkerError(
                f"the cluster has {there:g} {self._resource}s, every worker needs {self._share:g}; add machines with"
                " more, or ask for less"
            )
        for _ in range(min(places, len(self._items)) - actors):
            actor = self._actor.remote(self._make_worker)
            self._starting[actor.is_there.remote()] = actor
        self._looked_s = time.monotonic()

    def _deal(self) -> None:
        for actor, held in self._held.items():
            while self._left and len(held) < self._in_flight:
                held.append(self._left.popleft())
                self._working[actor.work.remote(self._items[held[-1]])] = (actor, held[-1])

    def _began(self, answer: Any) -> None:
        actor = self._starting.pop(answer)
        try:
            self._ray.get(answer)
        except self._losses() as error:
            self._deaths_at_start += 1
            if self._deaths_at_start > _MOST_DEATHS:
                raise WorkerError(
                    f"no worker starts on the cluster: {_one_line(error)}; is this version of orpose on every machine?"
                ) from None
            return
        self._deaths_at_start = 0
        self._held[actor] = deque()

    def _finished(self, answer: Any) -> Iterator[Any]:
        """The result, or none if the actor was lost."""
        actor, index = self._working.pop(answer)
        if actor not in self._held:
            return  # its items are dealt out again
        try:
            result, error = pickle.loads(self._ray.get(answer))
        except self._losses() as loss:
            self._lose(actor, loss)
            return
        self._held[actor].remove(index)
        if error is not None:
            raise error
        yield result

    def _lose(self, actor: Any, loss: BaseException) -> None:
        held = self._held.pop(actor)
        self._ray.kill(actor)
        self._left.extendleft(reversed(held))
        index = held[0]
        self._deaths[index] += 1
        if self._deaths[index] > _MOST_DEATHS:
            raise WorkerError(
                f"item {index} of {len(self._items)}: {self._deaths[index]} workers died over it, perhaps for want of"
                f" memory: {_one_line(loss)}; look at that item, then run the same command again"
            ) from None

    def _losses(self) -> tuple[type[Exception], ...]:
        """What an answer is when its machine, process or memory is gone."""
        known = self._ray.exceptions
        return known.RayActorError, known.ObjectLostError, known.OutOfMemoryError, known.NodeDiedError


class _Actor:
    """Lives on some machine of the cluster, holds the worker with its assets."""

    def __init__(self, make_worker: Callable[[], Callable[[Any], Any]]) -> None:
        self._make_worker = make_worker
        self._worker: Callable[[Any], Any] | None = None

    def is_there(self) -> None:
        """Answers when the actor has found a place."""

    def work(self, item: Any) -> bytes:
        """Pickled: the result and None, or None and what the user has to mend. Defects are left to Ray."""
        try:
            if self._worker is None:
                self._worker = self._make_worker()
            return pickle.dumps((self._worker(item), None))
        except OrposeError as error:
            return pickle.dumps((None, error))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
