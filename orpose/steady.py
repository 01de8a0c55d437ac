"""`python -m orpose.steady`: how soon a backend gives its first result, and whether its memory stays where it is.

Start it twice: the first start may build an engine, the second finds it in the engine cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from orpose.options import add_options, settings_from_args
from orpose_models.errors import OrposeError
from orpose_models.runtime.config import RuntimeConfig, Size
from orpose_models.settings import Settings


class SteadyConfig(Settings):
    """How long to run."""

    frames: int = Field(default=10_000, ge=100, description="frames after the warm-up")
    warmup: int = Field(default=500, ge=1, description="frames before memory is first looked at")
    size: Size = Field(
        default=(640, 480), description="size of the camera frames in px", json_schema_extra={"metavar": "WxH"}
    )


def run(config: RuntimeConfig, steady: SteadyConfig) -> dict[str, Any]:
    """Loads, times the first frame, then runs frames that all differ and follows the resident memory of the process.

    Returns:
        Durations in s; memory in MiB: after the warm-up, at the end, the largest of all samples, growth over the whole
        run and its least-squares slope per 1000 frames.
    """
    import numpy as np
    import psutil

    from orpose.bench_worker import example_frame

    frame = example_frame(steady.size)
    clocks = [_clocks()]
    from orpose_models.runtime import PoseEstimator

    estimator = PoseEstimator(config)
    clocks.append(_clocks())
    estimator.estimate(frame)
    clocks.append(_clocks())
    process = psutil.Process()
    every = max(1, steady.frames // 100)
    samples: list[tuple[int, float]] = []
    for number in range(-steady.warmup, steady.frames + 1):
        estimator.estimate(np.roll(frame, number * 7, axis=1))
        if number >= 0 and number % every == 0:
            samples.append((number, process.memory_info().rss / 2**20))
    frames, memory = np.array(samples).T
    return {
        "backend": estimator.backend,
        "model": estimator.info.model_id,
        "precision": estimator.info.precision,
        "engine": estimator.info.engine,
        "import_and_load_s": round(clocks[1][0] - clocks[0][0], 3),
        "import_and_load_cpu_s": round(clocks[1][1] - clocks[0][1], 3),
        "first_frame_s": round(clocks[2][0] - clocks[1][0], 3),
        "first_frame_cpu_s": round(clocks[2][1] - clocks[1][1], 3),
        "frames": steady.frames,
        "frames_per_s": round((steady.frames + steady.warmup) / (time.perf_counter() - clocks[2][0]), 1),
        "memory_after_warmup_mib": round(memory[0], 1),
        "memory_at_end_mib": round(memory[-1], 1),
        "memory_largest_mib": round(memory.max(), 1),
        "growth_mib": round(memory[-1] - memory[0], 2),
        "slope_mib_per_1000_frames": round(float(np.polyfit(frames, memory, 1)[0]) * 1000, 3),
    }


def _clocks() -> tuple[float, float]:
    """Wall clock and this process's processor time over all threads, s; on a busy machine only the second tells."""
    return time.perf_counter(), time.process_time()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m orpose.steady", description=__doc__)
    add_options(parser, SteadyConfig)
    add_options(parser, RuntimeConfig)
    args = parser.parse_args(argv)
    try:
        report = run(settings_from_args(RuntimeConfig, args), settings_from_args(SteadyConfig, args))
    except OrposeError as error:
        print(f"orpose.steady: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
