"""Electric power while something is measured, where the platform tells."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

NOT_TOLD = "not told by this platform"
_RAPL = Path("/sys/class/powercap")
_HWMON = Path("/sys/class/hwmon")
_SAMPLE_S = 0.1


class PowerMeter:
    """Watts of the whole machine (of its processor, board or GPU) between `start` and `stop`.

    Attributes:
        source: What is read: "RAPL" (x86 packages), "INA" (Jetson's sensors), "nvidia-smi", or `NOT_TOLD`.

    Args:
        rapl: Folder of the kernel's energy counters.
        hwmon: Folder of its sensors.
        of_gpu: Reads a graphics card before a processor.
    """

    def __init__(self, rapl: Path = _RAPL, hwmon: Path = _HWMON, *, of_gpu: bool = False) -> None:
        card = shutil.which("nvidia-smi")
        counters = [] if of_gpu and card else sorted(rapl.glob("intel-rapl:?/energy_uj"))
        self._counters = [path for path in counters if _number(path) is not None]
        self._sensors = [] if self._counters or (of_gpu and card) else _ina_sensors(hwmon)
        self._command = None if self._counters or self._sensors else card
        self.source = (
            "RAPL" if self._counters else "INA" if self._sensors else "nvidia-smi" if self._command else NOT_TOLD
        )
        self._samples: list[float] = []
        self._stopped = threading.Event()

    def start(self) -> None:
        self._started, self._before = time.perf_counter(), [_number(path) or 0 for path in self._counters]
        if self._sensors or self._command:
            self._samples, self._stopped = [], threading.Event()
            self._thread = threading.Thread(target=self._sample, daemon=True)
            self._thread.start()

    def stop(self) -> float | None:
        """Mean watts since `start`; None where the platform tells nothing."""
        seconds = time.perf_counter() - self._started
        if self._counters:
            return sum(self._joules()) / seconds
        if not (self._sensors or self._command):
            return None
        self._stopped.set()
        self._thread.join()
        return sum(self._samples) / len(self._samples) if self._samples else None

    def _joules(self) -> list[float]:
        used = []
        for path, before in zip(self._counters, self._before, strict=True):
            after, span = _number(path) or 0, _number(path.with_name("max_energy_range_uj")) or 0
            used.append((after - before if after >= before else after - before + span) / 1e6)  # it wraps around
        return used

    def _sample(self) -> None:
        while True:
            watts = _ina_watts(self._sensors) if self._sensors else self._gpu_watts()
            if watts is not None:
                self._samples.append(watts)
            if self._stopped.wait(_SAMPLE_S):
                return

    def _gpu_watts(self) -> float | None:
        command = [str(self._command), "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.split()
            return sum(float(value) for value in told)
        except (OSError, subprocess.SubprocessError, ValueError):
            return None


def _ina_sensors(hwmon: Path) -> list[tuple[Path, Path]]:
    """Voltage (mV) and current (mA) files of Jetson's input rail: the first channel of its INA3221 sensors."""
    found = []
    for name in sorted(hwmon.glob("hwmon*/name")):
        if name.read_text().strip() == "ina3221":
            pair = (name.with_name("in1_input"), name.with_name("curr1_input"))
            if all(_number(path) is not None for path in pair):
                found.append(pair)
    return found[:1]


def _ina_watts(sensors: list[tuple[Path, Path]]) -> float:
    return sum((_number(volts) or 0) * (_number(amperes) or 0) / 1e6 for volts, amperes in sensors)


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None
