"""How much faster two processes train than one: `python -m training.distill.throughput CONFIG`.

Both runs are real ones of `orpose train`, of the same iterations and global batch, one thread a process (torchrun,
gloo). The first iterations are left out of the times: workers start and memory is fetched then. Their loss tells
whether both runs learn the same: they start from the same weights and see the same images.
"""

from __future__ import annotations

import argparse
import json
import math
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
#: Largest share by which the mean loss of the first iterations may differ. It is not 0: each process draws its own
#: proposals and dropout, and normalises losses and BatchNorm over its own images.
LOSS_TOLERANCE = 0.03


@dataclass(frozen=True)
class Run:
    """What a run's log says.

    Attributes:
        images_per_s, data_s, step_s: Of the iterations after the warm-up: images a second; seconds that an iteration
            waits for data, and learns.
        first_loss: Mean over the iterations of the warm-up.
    """

    images_per_s: float
    data_s: float
    step_s: float
    first_loss: float

    @property
    def waiting(self) -> float:
        """Share of the time spent waiting for data."""
        return self.data_s / (self.data_s + self.step_s)


def read_run(log: Path) -> Run:
    """From a log.jsonl with one line an iteration."""
    lines = [line for line in map(json.loads, log.read_text().splitlines()) if "loss" in line]
    start, used = lines[_WARM_UP - 1], lines[_WARM_UP:]
    seconds = 60 * (used[-1]["minutes"] - start["minutes"])
    images = used[-1]["images"] - start["images"]
    data_s, step_s = (sum(line[name] for line in used) / len(used) for name in ("data_s", "step_s"))
    return Run(images / seconds, data_s, step_s, sum(line["loss"] for line in lines[:_WARM_UP]) / _WARM_UP)


def check_losses(one: Run, two: Run) -> None:
    """Both runs learn the same.

    Raises:
        OrposeError: The losses of the first iterations differ by more than `LOSS_TOLERANCE`.
    """
    if not math.isclose(one.first_loss, two.first_loss, rel_tol=LOSS_TOLERANCE):
        raise OrposeError(
            f"mean loss of the first {_WARM_UP} iterations: got {one.first_loss:.4f} with one process and"
            f" {two.first_loss:.4f} with two, expected at most {LOSS_TOLERANCE:.0%} between them: the processes do not"
            " share their batches or gradients rightly"
        )


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file of a run; its first stage's image size is taken")
    parser.add_argument("--iterations", type=int, default=40, help="of each run; more than 5")
    parser.add_argument("--batch-size", type=int, default=16, help="images an iteration, of all processes together")
    args = parser.parse_args()
    if args.iterations <= _WARM_UP:
        parser.error(f"--iterations: got {args.iterations}, expected more than {_WARM_UP}")
    try:
        _compare(args.config, args.iterations, args.batch_size)
    except OrposeError as error:
        print(f"throughput: error: {error}", file=sys.stderr)
        return 2
    return 0


def _compare(config: Path, iterations: int, batch_size: int) -> None:
    runs = []
    for processes in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            run = measure(config, processes, iterations, batch_size, Path(folder))
        speed = f"{run.images_per_s:.2f} images/s, {run.waiting:.1%} of the time waiting for data"
        print(f"{processes} x 1 thread: {speed}, loss of the first {_WARM_UP} iterations {run.first_loss:.4f}")
        runs.append(run)
    check_losses(*runs)
    print(f"two processes: {runs[1].images_per_s / runs[0].images_per_s:.2f} times the images of one, the same loss")


if __name__ == "__main__":
    sys.exit(main())
