"""What the measurement reads from a run's log; nothing is timed here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.distill.throughput import read_run


def test_the_warm_up_is_left_out(tmp_path: Path) -> None:
    lines = [
        {"iteration": i, "images": 8 * i, "minutes": (100 + 4 * i) / 60, "loss": 9.0 if i < 6 else 3.0,
         "data_s": 50.0 if i < 6 else 0.5, "step_s": 3.5}
        for i in range(1, 9)
    ]  # fmt: skip
    lines.append({"iteration": 8, "images": 64, "minutes": 9, "validation": {}})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = read_run(tmp_path / "log.jsonl")
    assert (run.images_per_s, run.data_s, run.step_s, run.loss) == pytest.approx((2.0, 0.5, 3.5, 3.0))
