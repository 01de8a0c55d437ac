"""What the measurement reads from a run's log, and that it compares the losses; nothing is timed here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orpose_models.errors import OrposeError
from training.distill import throughput
from training.distill.throughput import Run, check_losses, read_run


def test_the_warm_up_is_left_out(tmp_path: Path) -> None:
    lines = [
        {"iteration": i, "images": 8 * i, "minutes": (100 + 4 * i) / 60, "loss": 9.0 if i < 6 else 3.0,
         "data_s": 50.0 if i < 6 else 0.5, "step_s": 3.5}
        for i in range(1, 9)
    ]  # fmt: skip
    lines.append({"iteration": 8, "images": 64, "minutes": 9, "validation": {}})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = read_run(tmp_path / "log.jsonl")
    assert (run.images_per_s, run.data_s, run.step_s, run.first_loss) == pytest.approx((2.0, 0.5, 3.5, 9.0))
    assert run.waiting == pytest.approx(0.125)


def test_other_losses_are_an_error() -> None:
    one = Run(1, 0, 1, first_loss=20.0)
    check_losses(one, Run(2, 0, 1, first_loss=20.5))
    with pytest.raises(OrposeError, match=r"got 20.0000 with one process and 20.7000 with two, expected at most 3%"):
        check_losses(one, Run(2, 0, 1, first_loss=20.7))
    with pytest.raises(OrposeError, match="nan with two"):
        check_losses(one, Run(2, 0, 1, first_loss=float("nan")))


def test_the_command_ends_with_an_error_where_losses_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = iter([Run(1, 0.1, 0.9, first_loss=20.0), Run(1.8, 0.2, 0.8, first_loss=10.0)])
    monkeypatch.setattr(throughput, "measure", lambda *_: next(runs))
    monkeypatch.setattr("sys.argv", ["throughput", "run.yaml"])
    assert throughput.main() == 2
    printed = capsys.readouterr()
    assert "2 x 1 thread: 1.80 images/s, 20.0% of the time waiting for data" in printed.out
    assert printed.err.startswith("throughput: error: mean loss of the first 5 iterations")
    assert printed.err.count("\n") == 1
