"""How this process's allocator treats large blocks."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Lets glibc keep what is freed instead of giving it back to the system at once.

    A training step allocates the same hundreds of MB again and again; fetching them anew as zeroed pages costs a tenth
    of the step. Other C libraries have no `mallopt` and are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
