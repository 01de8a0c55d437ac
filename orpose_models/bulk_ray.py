"""Bulk work on the machines of a Ray cluster (extra 'ray'): `orpose_models.bulk` with `cluster`."""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import BackendError, OrposeError, WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Parts the items are dealt out in: small enough that no machine waits long for another one's last part, and few
#: enough for Ray to keep track of.
_MOST_BLOCKS = 10_000
_ANSWER_S = 10.0
_START = "`ray start --head` makes this machine a cluster, and prints its address"
#: Of what Ray's daemons print only the loss of a machine is for the user; the rest is pages of their inner state.
_UNWANTED = r"(?s)\A(?!.*has been marked dead)"


def map_on_cluster(
    items: Sequence[Item], make_worker: Callable[[], Callable[[Item], Result]], address: str, gpus: float
) -> Iterator[Result]:
    """`orpose_models.bulk.map_items` with one Ray actor a processor. Machines may leave meanwhile, and join."""
    ray = _connected(address)
    try:
        seen = bytearray(len(items))
        for row in _rows(ray, items, make_worker, gpus):
            index, (result, error) = int(row["id"]), pickle.loads(row["result"])
            if error is not None:
                raise error
            if not seen[index]:
                seen[index] = True
                yield result
        if lost := seen.count(0):
            raise WorkerError(f"Ray gave no result of {lost} of {len(items)} items; run the same command again")
    except (ray.exceptions.RayActorError, ray.exceptions.RaySystemError, ray.exceptions.OutOfMemoryError) as error:
        raise WorkerError(f"Ray gave up: {' '.join(str(error).split())}; run the same command again") from None
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    """The module ray, connected."""
    # Read when ray is imported. Its C++ side says that actors' arguments may be lost: they stay with us.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", _UNWANTED)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError:
        raise BackendError("ray: not installed, needed for a cluster; run: pip install 'orpose[ray]'") from None
    _check_address(address)
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise WorkerError(f"cluster {address}: {reason}; {_START}") from None
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


def _rows(
    ray: Any, items: Sequence[Item], make_worker: Callable[[], Callable[[Item], Result]], gpus: float
) -> Iterator[Mapping[str, Any]]:
    """`id` and pickled `result` of every item, as soon as it is done."""
    if not items:
        return
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # results leave an actor one by one
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what is raised need not be logged as well
    resources = ray.cluster_resources()
    most = int(resources.get("GPU", 0) / gpus if gpus else resources.get("CPU", 1))
    if most < 1:
        raise WorkerError(f"the cluster has {resources.get('GPU', 0):g} GPUs, every worker needs {gpus:g}")
    dataset = ray.data.from_arrow(_blocks(items)).map_batches(
        _Actor,
        batch_size=1,
        # Not a fixed number: when a machine is lost, its actors have to find place among the others.
        compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=most, max_size=most),
        fn_constructor_args=(make_worker,),
        num_cpus=1,
        num_gpus=gpus or None,
    )
    yield from dataset.iter_rows()


def _blocks(items: Sequence[Any]) -> list[Any]:
    """The items as tables of `id` and pickled `item`, each the work of one task."""
    import pyarrow

    size = -(-len(items) // _MOST_BLOCKS)
    return [
        pyarrow.table({"id": range(start, stop), "item": [pickle.dumps(items[index]) for index in range(start, stop)]})
        for start in range(0, len(items), size)
        for stop in [min(start + size, len(items))]
    ]


class _Actor:
    """Lives on some machine of the cluster, holds the worker with its assets."""

    def __init__(self, make_worker: Callable[[], Callable[[Any], Any]]) -> None:
        self._make_worker = make_worker
        self._worker: Callable[[Any], Any] | None = None

    def __call__(self, batch: Mapping[str, NDArray]) -> dict[str, Any]:
        results = [pickle.dumps(self._outcome(pickle.loads(item))) for item in batch["item"]]
        return {"id": batch["id"], "result": np.array(results, object)}

    def _outcome(self, item: Any) -> tuple[Any, OrposeError | None]:
        """The result and None, or None and what the user has to mend. Defects are left to Ray."""
        try:
            if self._worker is None:
                self._worker = self._make_worker()
            return self._worker(item), None
        except OrposeError as error:
            return None, error
