"""How much faster two processes train than one: `python -m training.distill.throughput CONFIG`.

Both runs are real ones of `orpose train`, of the same iterations and global batch, one thread a process (torchrun,
gloo). The first iterations are left out: workers start and memory is fetched then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from orpose_models.errors import OrposeError
from training.distill.config import read_config

_WARM_UP = 5


@dataclass(frozen=True)
class Run:
    """Mean over the iterations after the warm-up: images a second, seconds waited for data and loss an iteration."""

    images_per_s: float
    data_s: float
    step_s: float
    loss: float


def read_run(log: Path) -> Run:
    """From a log.jsonl with one line an iteration."""
    lines = [line for line in map(json.loads, log.read_text().splitlines()) if "loss" in line]
    start, used = lines[_WARM_UP - 1], lines[_WARM_UP:]
    seconds = 60 * (used[-1]["minutes"] - start["minutes"])
    images = used[-1]["images"] - start["images"]
    data_s, step_s, loss = (sum(line[name] for line in used) / len(used) for name in ("data_s", "step_s", "loss"))
    return Run(images / seconds, data_s, step_s, loss)


def measure(config: Path, processes: int, iterations: int, batch_size: int, out: Path) -> Run:
    """Trains in `processes` processes of one thread each.

    Raises:
        OrposeError: a run failed, with the last line it said.
    """
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launcher = torchrun if processes > 1 else []
    stage = {"until": 1, "size": list(read_config(config).stages[0].size), "batch_size": batch_size}
    changes = {"log_every": 1, "threads": 1, "lifter_iterations": 0, "validation": {"sources": []}, "stages": [stage]}
    (out / "run.yaml").write_text(yaml.safe_dump({"base": str(config.resolve()), **changes}))
    command = [sys.executable, *launcher, "-m", "orpose", "train", str(out / "run.yaml"), "--out", str(out / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command += ["--iterations", str(iterations)]
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise OrposeError(f"{processes} processes: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return read_run(out / "run/log.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file of a run; its first stage's image size is taken")
    parser.add_argument("--iterations", type=int, default=40, help="of each run; more than 5")
    parser.add_argument("--batch-size", type=int, default=16, help="images an iteration, of all processes together")
    args = parser.parse_args()
    runs = []
    for processes in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            run = measure(args.config, processes, args.iterations, args.batch_size, Path(folder))
        waiting = run.data_s / (run.data_s + run.step_s)
        speed = f"{run.images_per_s:.2f} images/s, {waiting:.1%} waiting for data, loss {run.loss:.3f}"
        print(f"{processes} x 1 thread: {speed}")
        runs.append(run)
    print(f"two processes: {runs[1].images_per_s / runs[0].images_per_s:.2f} times the images of one")


if __name__ == "__main__":
    main()
