"""With privacy downsampling no camera pixel leaves the process by accident: not in a core dump, not in an error's text.

What is published and written on purpose is reduced where it is made (`runtime/downsample.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType

from orpose_models.errors import OrposeError

_PR_SET_DUMPABLE = 4


def guard_process() -> None:
    """For processes that hold images at full resolution: no core dumps, and tracebacks without the errors' texts.

    Hooks that somebody else has set for uncaught errors stay.
    """
    forbid_core_dumps()
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _print_without_text
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda args: _print_without_text(args.exc_type, args.exc_value, args.exc_traceback)


def forbid_core_dumps() -> None:
    """The kernel writes no memory image of this process, and no other user's process can read its memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # A crash reporter that the kernel pipes into (apport, systemd-coredump) does not care about that limit.
    with contextlib.suppress(OSError, AttributeError):  # not Linux
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def error_text(error: BaseException, downsample: float) -> str:
    """What may be said of an error.

    Our own errors name sizes, encodings and files. Others may quote what they were given, an array's values too: with
    privacy downsampling only their type and place are told.

    Args:
        error: Raised while an image was worked on.
        downsample: The privacy downsampling factor, 1 for none.
    """
    if isinstance(error, OrposeError):
        return str(error)
    if downsample == 1:
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place} (its text may hold pixels; it is only told with downsample 1)"


def _print_without_text(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """A traceback shows lines of code, and no values."""
    print("Traceback (most recent call last):", file=sys.stderr)
    traceback.print_tb(trace, file=sys.stderr)
    print(kind.__name__ if error is None else error_text(error, float("inf")), file=sys.stderr)
