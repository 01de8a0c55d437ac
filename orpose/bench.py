"""`orpose bench`: latency per stage, throughput and memory of our runtimes on this machine, beside torchvision's."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from orpose.options import add_options, settings_from_args
from orpose_models.errors import InputError
from orpose_models.runtime.config import RuntimeConfig, Size
from orpose_models.settings import Settings

if TYPE_CHECKING:
    from orpose.bench_worker import Contestant, Timings, Worker

#: Pause between processes, so that idle threads of the one before stop spinning, s.
_PAUSE_S = 0.3


class BenchConfig(Settings):
    """What is measured, and how often."""

    backends: str = Field(default="onnxruntime", description="comma-separated backends, measured in turns")
    threads: int = Field(default=2, ge=0, le=1024, description="processor threads of each, 0 = all cores")
    size: Size = Field(
        default=(640, 480), description="size of the camera frames in px", json_schema_extra={"metavar": "WxH"}
    )
    frames: int = Field(default=200, ge=1, description="frames measured with each backend, over all rounds")
    warmup: int = Field(default=20, ge=0, description="frames before that which are not counted")
    rounds: int = Field(default=5, ge=1, le=100, description="rounds in which backends and peer take turns")
    peer: bool = Field(
        default=False, description="measure torchvision's eager keypointrcnn_resnet50_fpn (random weights), too"
    )
    peer_frames: int = Field(default=15, ge=1, description="frames measured with the peer, over all rounds")
    peer_warmup: int = Field(default=2, ge=0, description="the peer's frames before that which are not counted")
    peer_persons: int = Field(default=8, ge=1, le=100, description="persons the peer processes in each frame")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, BenchConfig)
    add_options(parser, RuntimeConfig, only=("model", "downsample"))
    parser.add_argument("--json", metavar="OUT", default=argparse.SUPPRESS, help="file to write all figures to")


def run(args: argparse.Namespace) -> int:
    from orpose_models.machine import describe_machine

    bench = settings_from_args(BenchConfig, args)
    json_path = Path(args.json) if hasattr(args, "json") else None
    if json_path and not json_path.absolute().parent.is_dir():
        raise InputError(f"{json_path}: its folder does not exist")
    report: dict[str, Any] = {
        "format": "orpose-bench-1",
        "command": " ".join(["orpose", *sys.argv[1:]]),
        "machine": describe_machine(),
        "settings": bench.model_dump(mode="json"),
        "contestants": _measure(bench, _contestants(bench, args)),
    }
    print(table(report))
    if json_path:
        temporary = json_path.with_name(json_path.name + ".tmp")
        temporary.write_text(json.dumps(report, indent=1) + "\n")
        os.replace(temporary, json_path)
    return 0


def _contestants(bench: BenchConfig, args: argparse.Namespace) -> list[Contestant]:
    from orpose.bench_worker import PEER_NAME, Contestant

    contestants = []
    for name in bench.backends.split(","):
        base = {"backend": name.strip(), "threads": bench.threads}
        config = settings_from_args(RuntimeConfig, args, base)
        contestants.append(Contestant(config.backend, bench.size, config, bench.threads))
    if bench.peer:
        contestants.append(Contestant(PEER_NAME, bench.size, None, bench.threads, bench.peer_persons))
    return contestants


def _measure(bench: BenchConfig, contestants: Sequence[Contestant]) -> list[dict[str, Any]]:
    """Loads and warms up each, then lets them take turns; the figures of each, the peer's last."""
    from tqdm import tqdm

    from orpose.bench_worker import Worker

    rounds = min(bench.rounds, bench.frames, bench.peer_frames)
    with ExitStack() as stack:
        workers: list[Worker] = []
        for contestant in contestants:
            worker = stack.enter_context(Worker(contestant))
            worker.load()
            worker.run(bench.warmup if contestant.config else bench.peer_warmup)
            workers.append(worker)
        measured: list[list[list[Timings]]] = [[] for _ in workers]
        for number in tqdm(range(rounds), unit="round", disable=None):
            for worker, contestant, samples in zip(workers, contestants, measured, strict=True):
                time.sleep(_PAUSE_S)
                frames = bench.frames if contestant.config else bench.peer_frames
                samples.append(worker.run(frames // rounds + (number < frames % rounds)))
        figures = [
            {**_figures(samples), **worker.info, "name": worker.name, "peak_memory_mib": worker.peak_memory_mib()}
            for worker, samples in zip(workers, measured, strict=True)
        ]
    if bench.peer:
        for ours in figures[:-1]:
            ours["ratio_to_peer"] = ratios(figures[-1], ours)
    return figures


def _figures(rounds: Sequence[Sequence[Timings]]) -> dict[str, Any]:
    """Statistics in ms of each stage over all rounds, and of the total in each round."""
    import numpy as np

    frames = [timings for samples in rounds for timings in samples]
    stages = {}
    for stage in frames[0]:
        durations = np.array([timings[stage] for timings in frames])
        p95, p99 = np.percentile(durations, [95, 99])
        stages[stage] = {"median": float(np.median(durations)), "p95": float(p95), "p99": float(p99)}
    return {
        "frames": len(frames),
        "stages_ms": stages,
        "rounds_median_ms": [float(np.median([timings["total"] for timings in samples])) for samples in rounds],
        "frames_per_second": 1e3 * len(frames) / sum(timings["total"] for timings in frames),
    }


def ratios(peer: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """How many times as long the peer takes: of the medians over all frames, and of each round's medians."""
    rounds = zip(peer["rounds_median_ms"], ours["rounds_median_ms"], strict=True)
    return {
        "median": peer["stages_ms"]["total"]["median"] / ours["stages_ms"]["total"]["median"],
        "rounds": [theirs / own for theirs, own in rounds],
    }


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    from orpose_models.machine import machine_line

    machine, settings = report["machine"], report["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    width, height = settings["size"]
    lines = [
        machine_line(machine),
        versions,
        f"load average {machine['load_average_1min']} before the start; other processes disturb the figures",
        f"frames of {width}x{height}, {settings['threads'] or 'all'} threads, each runtime in a process of its own",
    ]
    for item in report["contestants"]:
        lines += ["", *_contestant_lines(item)]
    for item in report["contestants"]:
        if ratio := item.get("ratio_to_peer"):
            each = " ".join(f"{value:.1f}" for value in ratio["rounds"])
            lines += ["", f"the peer takes {ratio['median']:.1f} times as long as {item['name']} (each round: {each})"]
    return "\n".join(lines)


def _contestant_lines(item: dict[str, Any]) -> list[str]:
    width, height = item["input_size"]
    rounds = " ".join(f"{value:.1f}" for value in item["rounds_median_ms"])
    lines = [
        f"{item['name']}: {item['model_id']}, input {width}x{height}, {item['persons']} persons, {item['precision']}",
        f"  {'ms':<12}{'median':>9}{'p95':>9}{'p99':>9}",
    ]
    for stage, values in item["stages_ms"].items():
        lines.append(f"  {stage:<12}{values['median']:>9.2f}{values['p95']:>9.2f}{values['p99']:>9.2f}")
    lines += [
        f"  {item['frames_per_second']:.1f} frames/s over {item['frames']} frames (median of each round: {rounds} ms)",
        f"  loaded in {item['load_s']:.1f} s, peak memory {item['peak_memory_mib']:.0f} MiB",
    ]
    return lines
