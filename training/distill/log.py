"""The run's log: one JSON object a line, averaged over some iterations; validations have lines of their own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orpose_models.errors import BackendError
from orpose_models.files import write_atomically


class RunLog:
    """Appends to log.jsonl, and to TensorBoard's events if asked to. One that is not active writes nothing.

    A new run's log begins empty, whatever lies in the folder. One that goes on from a checkpoint (`resumed_at`, its
    iteration) forgets the lines after it: they will be written again.

    Raises:
        InputError: The file cannot be written.
    """

    def __init__(
        self, out: Path, resumed_at: int | None = None, *, tensorboard: bool = False, active: bool = True
    ) -> None:
        self.path = out / "log.jsonl"
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.active = active
        self.events = _open_events(out / "tensorboard", resumed_at) if tensorboard and active else None
        if active:
            kept = [] if resumed_at is None else _lines_until(self.path, resumed_at)
            write_atomically(self.path, "".join(line + "\n" for line in kept).encode())

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold of the line that is being averaged."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.sums = dict(state["sums"])
        # older checkpoints hold one count for all names
        self.counts = dict(state["counts"]) if "counts" in state else dict.fromkeys(self.sums, state["count"])

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def flush(self, facts: Mapping[str, Any]) -> None:
        """Writes each name's mean over the calls of `add` that had it since the last line, with `facts` as they are."""
        means = {name: round(value / self.counts[name], 5) for name, value in self.sums.items()}
        self.write({**facts, **means})
        self.sums, self.counts = {}, {}

    def write(self, line: Mapping[str, Any]) -> None:
        if not self.active:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self.events is not None:
            flat = {**line, **{f"validation/{name}": value for name, value in line.get("validation", {}).items()}}
            for name, value in flat.items():
                if isinstance(value, int | float) and name != "iteration":
                    self.events.add_scalar(name, value, line["iteration"])
            self.events.flush()


def _lines_until(path: Path, iteration: int) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return [line for line in lines if _iteration_of(line) <= iteration]


def _iteration_of(line: str) -> float:
    """Infinity for the rest of a line that was being written when the disk was full or the power failed."""
    try:
        return json.loads(line)["iteration"]
    except (ValueError, KeyError, TypeError):
        return math.inf


def _open_events(folder: Path, resumed_at: int | None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise BackendError(
            "tensorboard: true, but the package is not installed; pip install tensorboard, or leave the key out"
        ) from None
    return SummaryWriter(str(folder), purge_step=0 if resumed_at is None else resumed_at + 1)
