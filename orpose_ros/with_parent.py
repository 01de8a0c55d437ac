"""Runs a module that must not outlive whoever started it: `python -m orpose_ros.with_parent PID MODULE ARGUMENTS…`.

Linux ends the process with SIGTERM when its parent, the process PID, ends, even by SIGKILL.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def end_with_parent(parent_pid: int) -> None:
    """Raises:
    SystemExit: The parent has ended already.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(f"{sys.argv[0]}: process {parent_pid}, which started this one, has ended")


def main() -> None:
    parent_pid, module = int(sys.argv[1]), sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    end_with_parent(parent_pid)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
