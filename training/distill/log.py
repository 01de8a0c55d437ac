"""The run's log: one JSON object a line, averaged over some iterations; validations have lines of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RunLog:
    """Appends to log.jsonl. On resume, lines after the checkpoint's iteration go: they will be written again."""

    def __init__(self, path: Path, first_iteration: int) -> None:
        self.path = path
        self.sums: dict[str, float] = {}
        self.count = 0
        lines = path.read_text().splitlines() if path.is_file() else []
        kept = [line for line in lines if json.loads(line)["iteration"] <= first_iteration]
        path.write_text("".join(line + "\n" for line in kept))

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
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
