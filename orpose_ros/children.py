"""Child processes of a replay: started with a log file each, ended together, and with us, however we end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from orpose_models.errors import OrposeError

#: `[ERROR] [1790.123] [ns.orpose]: `
_LOG_HEAD = re.compile(r"^\[[A-Z]+\] \[[\d.]+\] \[[^]]*\]: ")


class ReplayError(OrposeError):
    """A process of the replay that did not do its part."""


class Child:
    """One process."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], log_path: Path) -> None:
        self.name = name
        self._log_path = log_path
        with log_path.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orpose_ros.with_parent", str(os.getpid()), module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we end the children in order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def require_running(self) -> None:
        """Raises:
        ReplayError: The process has ended.
        """
        if not self.is_running():
            raise ReplayError(f"the {self.name} ended with exit code {self._process.returncode}: {self.last_line()}")

    def require_success(self) -> None:
        """Raises:
        ReplayError: The process ended with another exit code than 0.
        """
        if self._process.wait() != 0:
            raise ReplayError(f"the {self.name} ended with exit code {self._process.returncode}: {self.last_line()}")

    def stop(self, timeout_s: float) -> None:
        """Asks the process to end, and kills it when it does not in time."""
        if self.is_running():
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        if self.is_running():
            self._process.kill()
            self._process.wait()

    def last_line(self) -> str:
        """What it said last, without level, time and name where it is a line of ROS' log."""
        lines = [line for line in self._log_path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return _LOG_HEAD.sub("", lines[-1]) if lines else f"it said nothing ({self._log_path})"


class Children:
    """Ends what is still running when the block ends, however it ends."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._children: list[Child] = []

    def start(self, name: str, module: str, arguments: Sequence[str]) -> Child:
        """Runs `python -m module arguments`; its output goes to NAME.log."""
        child = Child(name, module, arguments, self._log_folder / f"{name}.log")
        self._children.append(child)
        return child

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.stop(timeout_s=5.0)
