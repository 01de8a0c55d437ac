"""A data set rendered on two Ray nodes, one of which is killed half way: complete, and the same bytes."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate

# What Ray and its processes leave open and say about themselves.
pytestmark = pytest.mark.filterwarnings("ignore")

CONFIG = SynthConfig(images=8, views=1, size="64x64", seed=7)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_node_loses_nothing(two_nodes, tmp_path):
    killed = []

    def kill_half_way() -> None:
        while len(list(tmp_path.glob("cluster/shards/*.json"))) < CONFIG.images // 3:
            time.sleep(0.01)
        two_nodes.lose_a_node()
        killed.append(len(list(tmp_path.glob("cluster/shards/*.json"))))

    killer = threading.Thread(target=kill_half_way, daemon=True)
    killer.start()
    generate(CONFIG, tmp_path / "cluster", cluster=two_nodes.address)
    killer.join(timeout=10)
    assert killed and killed[0] < CONFIG.images  # there was work left
    generate(CONFIG, tmp_path / "alone", workers=1)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "alone")
