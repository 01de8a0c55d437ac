"""Bulk work on a Ray cluster. A node killed half way: tests/training/synthetic_or/test_cluster.py."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

from orpose_models.bulk import map_items
from orpose_models.errors import InputError, WorkerError

pytest.importorskip("ray", reason="needs the extra 'ray'")
# What Ray and its processes leave open and say about themselves.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a cluster of one node."""
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        yield cluster.address
        cluster.shutdown()


def make_worker():
    """Repeats a text twice; has no file for "c"."""

    def work(text: str) -> str:
        if text == "c":
            raise InputError("item c has no file")
        return 2 * text

    return work


def test_items_of_any_kind_come_back(cluster):
    assert sorted(map_items(["a", "b", "aa"], make_worker, cluster=cluster)) == ["aa", "aaaa", "bb"]
    assert list(map_items([], make_worker, cluster=cluster)) == []


def test_an_items_error_is_raised(cluster):
    with pytest.raises(InputError, match="item c has no file"):
        list(map_items("abc", make_worker, cluster=cluster))


def test_an_item_whose_worker_dies_is_done_by_another(cluster, tmp_path):
    def make_dying_worker():
        def work(number: int) -> int:
            done_before = (tmp_path / str(number)).exists()
            (tmp_path / str(number)).touch()
            if number == 3 and not done_before:
                os._exit(1)
            return number

        return work

    assert sorted(map_items(range(8), make_dying_worker, cluster=cluster)) == list(range(8))


def test_an_item_that_kills_every_worker_is_named(cluster):
    def make_killing_worker():
        return lambda number: os._exit(1) if number == 1 else number

    with pytest.raises(WorkerError, match=r"item 1 of 4: 6 workers died over it"):
        list(map_items(range(4), make_killing_worker, cluster=cluster))


class _NotHere:
    """Cannot be unpickled, as something of another version."""

    def __call__(self):
        return str

    def __reduce__(self):
        return (__import__, ("no_such_module",))


def test_workers_that_do_not_start(cluster):
    with pytest.raises(WorkerError, match=r"no worker starts on the cluster: .*no_such_module.*; is this version"):
        list(map_items(["a"], _NotHere(), cluster=cluster))


def test_gpus_that_are_not_there(cluster):
    with pytest.raises(WorkerError, match="the cluster has 0 GPUs, every worker needs 1"):
        list(map_items(["a"], make_worker, cluster=cluster, gpus=1.0))


@pytest.mark.parametrize(("address", "reason"), [
    ("127.0.0.1:1", "nobody answers .*ray start --head"),
    ("ray://127.0.0.1:1", "nobody answers"),
    ("somewhere", "expected auto or HOST:PORT"),
    ("somewhere:port", "expected auto or HOST:PORT"),
])  # fmt: skip
def test_a_cluster_that_is_not_there(address, reason):
    with pytest.raises(WorkerError, match=reason):
        list(map_items(["a"], make_worker, cluster=address))


def test_no_cluster_on_this_machine(monkeypatch):
    import ray

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(WorkerError, match=r"cluster auto: Could not find any .*`ray start --head`"):
        list(map_items(["a"], make_worker, cluster="auto"))
