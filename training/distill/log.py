"""The run's log: one JSON object a line, averaged over some iterations; validations have lines of their own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orpose_models.errors import BackendError


class RunLog:
    """Appends to log.jsonl, and to TensorBoard's events if asked to. One that is not active writes nothing.

    On resume, lines after the checkpoint's iteration go: they will be written again.
    """

    def __init__(self, out: Path, first_iteration: int, *, tensorboard: bool = False, active: bool = True) -> None:
        self.path = out / "log.jsonl"
        self.sums: dict[str, float] = {}
        self.count = 0
        self.active = active
        self.events = _open_events(out / "tensorboard", first_iteration) if tensorboard and active else None
        if active:
            lines = self.path.read_text().splitlines() if self.path.is_file() else []
            kept = [line for line in lines if _iteration_of(line) <= first_iteration]
            self.path.write_text("".join(line + "\n" for line in kept))

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold of the line that is being averaged."""
        return {"sums": dict(self.sums), "count": self.count}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.sums, self.count = dict(state["sums"]), state["count"]

    def add(self, values: Mapping[str, float]) -> None:
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def flush(self, facts: Mapping[str, Any]) -> None:
        """Writes the means since the last call, with `facts` as they are."""
        means = {name: round(value / self.count, 5) for name, value in self.sums.items()} if self.count else {}
        self.write({**facts, **means})
        self.sums, self.count = {}, 0

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


def _iteration_of(line: str) -> float:
    """Infinity for the rest of a line that was being written when the disk was full or the power failed."""
    try:
        return json.loads(line)["iteration"]
    except (ValueError, KeyError, TypeError):
        return math.inf


def _open_events(folder: Path, first_iteration: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise BackendError(
            "tensorboard: true, but the package is not installed; pip install tensorboard, or leave the key out"
        ) from None
    return SummaryWriter(str(folder), purge_step=first_iteration + 1)
