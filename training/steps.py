"""A chain of `orpose` commands, each known by the file it makes, so that a stopped chain goes on where it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event


@dataclass(frozen=True)
class Step:
    """`orpose *arguments` makes the file `product`; with `resume`, added if the file `under_way` is there."""

    arguments: tuple[str, ...]
    product: Path
    under_way: Path | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments of `orpose` as things are now."""
        going_on = self.under_way is not None and self.under_way.exists()
        return (*self.arguments, "--resume") if going_on else self.arguments


def train_step(config: Path, out: Path, device: str | None = None) -> Step:
    """Trains what `config` says in the folder `out`, from its checkpoint where there is one."""
    options = ("--device", device) if device else ()
    return Step(("train", str(config), "--out", str(out), *options), out / "weights.safetensors", out / "checkpoint.pt")


def steps_left(steps: Sequence[Step]) -> list[Step]:
    """Those whose file is not there yet."""
    return [step for step in steps if not step.product.exists()]


def run_steps(steps: Sequence[Step]) -> int:
    """Runs them in order; progress is each command's own. Returns 0, or the exit code of the one that failed."""
    for number, step in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] orpose", *step.command, flush=True)
        step.product.parent.mkdir(parents=True, exist_ok=True)
        code = subprocess.run([sys.executable, "-m", "orpose", *step.command]).returncode
        if code != 0:
            return code
    return 0


def run_chains(chains: Sequence[Sequence[Step]], jobs: int) -> int:
    """Runs each chain in its order, up to `jobs` chains at once; what a step prints is in a file beside its product.

    Returns:
        0, or the exit code of a step that failed; steps that run then come to their end, no other begins.
    """
    failed = Event()

    def run_chain(chain: Sequence[Step]) -> int:
        for step in steps_left(chain):
            if failed.is_set():
                return 0
            if code := _run_beside_others(step):
                failed.set()
                return code
        return 0

    with ThreadPoolExecutor(jobs) as pool:
        return next(filter(None, pool.map(run_chain, chains)), 0)


def _run_beside_others(step: Step) -> int:
    step.product.parent.mkdir(parents=True, exist_ok=True)
    log = step.product.with_suffix(".log")
    print("orpose", *step.command, ">", log, flush=True)
    with log.open("ab") as output:
        code = subprocess.run(
            [sys.executable, "-m", "orpose", *step.command], stdout=output, stderr=subprocess.STDOUT
        ).returncode
    print(f"{step.product}: {'made' if code == 0 else f'failed with exit code {code}; see {log}'}", flush=True)
    return code


def print_plan(steps: Sequence[Step]) -> None:
    """Prints the commands instead of running them."""
    for step in steps:
        print("orpose", *step.command)
