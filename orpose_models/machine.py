"""What machine and which libraries a measurement was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

#: Processor features that decide how fast a network runs.
_TELLING_FLAGS = (
    "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_bf16", "amx_int8", "asimd",
    "bf16",
)  # fmt: skip
#: Any of these multiplies bfloat16 in hardware (the last one: Arm).
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_PACKAGES = (
    "orpose", "numpy", "onnxruntime", "openvino", "torch", "torchvision", "opencv-python-headless", "pillow",
)  # fmt: skip


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory (GiB), system, load and versions, for the head of a report."""
    import psutil

    model, flags = _processor()
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": flags,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average_1min": round(os.getloadavg()[0], 2),
        "packages": package_versions(),
    }


def machine_line(machine: dict[str, Any]) -> str:
    """The machine in one line."""
    return (
        f"{machine['processor']}, {machine['cores_usable']} cores ({' '.join(machine['flags'])}), "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}"
    )


def computes_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; if not, it takes several times as long as in float32."""
    return not _BFLOAT16_FLAGS.isdisjoint(_processor()[1])


def package_versions() -> dict[str, str]:
    """Versions of the packages that matter, as far as they are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_mib() -> float:
    """The largest resident memory this process has had, MiB."""
    status = Path("/proc/self/status")
    if status.exists() and (match := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        # Not getrusage: that one starts with the parent's memory in a process that was just spawned.
        return int(match[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10


def _processor() -> tuple[str, list[str]]:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    present = set(flags[1].split()) if flags else set()
    return (model[1] if model else platform.processor() or platform.machine()), [
        flag for flag in _TELLING_FLAGS if flag in present
    ]
