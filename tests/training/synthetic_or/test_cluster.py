"""A data set rendered on two Ray nodes, one of which is killed half way: complete, and the same bytes."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate

pytest.importorskip("ray", reason="needs the extra 'ray'")
# What Ray and its processes leave open and say about themselves.
pytestmark = pytest.mark.filterwarnings("ignore")

CONFIG = SynthConfig(images=8, views=1, size="64x64", seed=7)


@contextlib.contextmanager
def two_nodes() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A lost node, which refuses the connection, is noticed after 1 second instead of 10; a busy one is not lost.
        health = {"health_check_period_ms": 500, "health_check_timeout_ms": 20_000, "health_check_failure_threshold": 2}
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": health}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.lost = cluster.add_node(num_cpus=1)
        try:
            yield cluster
        finally:
            cluster.shutdown()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_node_loses_nothing(tmp_path):
    with two_nodes() as cluster:
        killed = []

        def kill_half_way() -> None:
            while len(list(tmp_path.glob("cluster/shards/*.json"))) < CONFIG.images // 3:
                time.sleep(0.01)
            cluster.remove_node(cluster.lost, allow_graceful=False)
            killed.append(len(list(tmp_path.glob("cluster/shards/*.json"))))

        killer = threading.Thread(target=kill_half_way, daemon=True)
        killer.start()
        generate(CONFIG, tmp_path / "cluster", cluster=cluster.address)
        killer.join(timeout=10)
    assert killed and killed[0] < CONFIG.images  # there was work left
    generate(CONFIG, tmp_path / "alone", workers=1)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "alone")
