"""Bulk work on a Ray cluster of two nodes in this process; one of them is killed half way."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orpose_models.bulk import map_items
from orpose_models.errors import InputError, WorkerError

pytest.importorskip("ray", reason="needs the extra 'ray'")
# What Ray and its processes leave open and say about themselves.
pytestmark = pytest.mark.filterwarnings("ignore")


@contextlib.contextmanager
def two_nodes() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Lost machines are noticed after 2 seconds instead of 10.
        health = {"health_check_period_ms": 500, "health_check_timeout_ms": 500, "health_check_failure_threshold": 2}
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": health}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.lost = cluster.add_node(num_cpus=1)
        try:
            yield cluster
        finally:
            cluster.shutdown()


def make_slow_square(folder: Path):
    """Squares; every call leaves a line in a file of its process."""

    def work(number: int) -> tuple[int, int]:
        with (folder / str(os.getpid())).open("a") as file:
            file.write(f"{number}\n")
        time.sleep(0.05)
        return number, number * number

    return work


def make_trouble():
    def work(number: int) -> int:
        raise InputError(f"item {number} has no file")

    return work


def test_all_items_come_although_a_node_is_killed(tmp_path):
    with two_nodes() as cluster:
        results = map_items(range(100), partial(make_slow_square, tmp_path), cluster=cluster.address)
        found = [next(results) for _ in range(20)]
        while len(list(tmp_path.iterdir())) < 2:  # both nodes are at work
            found.append(next(results))
        cluster.remove_node(cluster.lost, allow_graceful=False)
        found += results
        assert sorted(found) == [(number, number * number) for number in range(100)]

        with pytest.raises(InputError, match="has no file"):
            list(map_items(["a", "b"], make_trouble, cluster=cluster.address))


def test_a_cluster_that_is_not_there():
    with pytest.raises(WorkerError, match=r"cluster auto: .*ray start --head"):
        list(map_items(range(3), make_trouble, cluster="auto"))
