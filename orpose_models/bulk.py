"""Bulk work over independent items: one process, a pool of processes, or the machines of a Ray cluster.

The work is given as `make_worker`: something picklable that is called once in every process (there it loads models and
other assets) and returns the function that does one item. An item may be done twice, after a machine was lost, so it
must write its files by temporary name and rename (`orpose_models.files`).
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from orpose_models.errors import ConfigError, WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Items handed out at once, per process: the one under way and the next.
_IN_FLIGHT = 2


def usable_cpus() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_items(
    items: Sequence[Item],
    make_worker: Callable[[], Callable[[Item], Result]],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    gpus: float = 0.0,
) -> Iterator[Result]:
    """Does all items and yields their results as they finish, in any order; memory does not grow with their number.

    Args:
        items: What to do; a `range` or a list. With a cluster every machine gets all of it.
        make_worker: Makes the function that does one item; called once in every process, before its first item.
        workers: Processes on this machine; 1 stays in this one, None is one for every usable processor.
        cluster: Address of a Ray cluster to use instead ("auto": the one this machine belongs to), all its processors.
        gpus: GPUs (or the part of one) that every process on the cluster takes for itself.

    Raises:
        ConfigError: `workers` is not positive, both it and `cluster` are given, or `gpus` is without a cluster.
        BackendError: Ray is not installed.
        WorkerError: The cluster is not there, or processes died and their items with them.
        Exception: What an item raised; other items may be done, none is half done by this.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"workers: got {workers}: expected 1 or more")
    if cluster is not None:
        if workers is not None:
            raise ConfigError("workers and cluster exclude each other: a cluster's processors are all used")
        from orpose_models.bulk_ray import map_on_cluster

        return map_on_cluster(items, make_worker, cluster, gpus, _IN_FLIGHT)
    if gpus:
        raise ConfigError(
            f"gpus: got {gpus:g} without a cluster: on this machine every worker takes the next GPU; leave it out, or"
            " name the GPU as the device"
        )
    workers = min(usable_cpus() if workers is None else workers, len(items))
    if workers <= 1:
        return _map_here(items, make_worker)
    return _map_in_pool(items, make_worker, workers)


def worker_number() -> int:
    """Which of the pool's processes this is, from 0; 0 outside a pool. Workers take the GPU of that number."""
    return _worker_number


def _map_here(items: Sequence[Item], make_worker: Callable[[], Callable[[Item], Result]]) -> Iterator[Result]:
    if items:
        yield from map(make_worker(), items)


def _map_in_pool(
    items: Sequence[Item], make_worker: Callable[[], Callable[[Item], Result]], workers: int
) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    lifeline, held = context.Pipe(duplex=False)
    numbers, numbering = context.Pipe(duplex=False)
    os.write(numbering.fileno(), bytes(number % 256 for number in range(workers)))
    initargs = (make_worker, lifeline, numbers)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_init_process, initargs=initargs)
    waiting: set[Future[Result]] = set()
    remaining = iter(items)
    try:
        while True:
            for item in itertools.islice(remaining, workers * _IN_FLIGHT - len(waiting)):
                with _interrupts_blocked():
                    waiting.add(pool.submit(_do_item, item))
            if not waiting:
                break
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool:
        raise WorkerError(
            f"a worker process died, perhaps for want of memory; run the same command again to continue, "
            f"with fewer than {workers} workers if it dies again"
        ) from None
    except BaseException:
        held.close()  # ends the processes at once, whatever they are doing
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for end in (held, lifeline, numbers, numbering):
            end.close()


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started in here never see Ctrl-C: their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_make_worker: Callable[[], Callable[[Any], Any]] | None = None
_worker: Callable[[Any], Any] | None = None
_worker_number = 0


def _init_process(make_worker: Callable[[], Callable[[Any], Any]], lifeline: Connection, numbers: Connection) -> None:
    global _make_worker, _worker_number
    _make_worker = make_worker
    _worker_number = os.read(numbers.fileno(), 1)[0]  # one byte each, whoever comes first
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()


def _die_with_parent(lifeline: Connection) -> None:
    """Ends this process when nobody holds the other end any more: the parent ended, was killed, or wants no more."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)


def _do_item(item: Any) -> Any:
    """One item, in a worker process. The worker is made here, not at the start, so that its errors reach the parent."""
    global _worker
    if _worker is None:
        if _make_worker is None:
            raise RuntimeError("the worker process was not initialised")
        _worker = _make_worker()
    return _worker(item)
