"""`orpose bench`: latency, throughput, memory and watts of models and backends on this machine, beside peers."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orpose.bench_config import BenchConfig
from orpose.options import add_options, settings_from_args
from orpose_models.errors import BackendError, ConfigError, InputError
from orpose_models.files import write_atomically
from orpose_models.runtime.config import RuntimeConfig

if TYPE_CHECKING:
    from orpose.bench_power import PowerMeter
    from orpose.bench_roofline import Ceilings, Cost
    from orpose.bench_worker import Contestant, Timings, Worker

#: Pause between processes, so that idle threads of the one before stop spinning, s.
_PAUSE_S = 0.3
#: What takes longer than this is measured in `peer_frames`, ms.
_SLOW_MS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, BenchConfig)
    add_options(parser, RuntimeConfig, only=("model", "downsample"))
    parser.add_argument("--json", metavar="OUT", default=argparse.SUPPRESS, help="file to write all figures to")
    parser.add_argument("--plot", metavar="OUT", default=argparse.SUPPRESS, help="PNG with a bar for each latency")


def run(args: argparse.Namespace) -> int:
    from orpose.bench_contestants import all_contestants
    from orpose.bench_power import PowerMeter
    from orpose.bench_table import require_matplotlib, table, write_plot
    from orpose_models.machine import describe_machine

    bench = settings_from_args(BenchConfig, args)
    outputs = {name: Path(getattr(args, name)) for name in ("json", "plot") if hasattr(args, name)}
    for path in outputs.values():
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: its folder does not exist")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the file's name")
    if "plot" in outputs:
        require_matplotlib(outputs["plot"])
    machine = describe_machine()
    groups, left_out = all_contestants(bench, args)
    everybody = [item for group in groups for item in group]
    ceilings = _ceilings(bench, everybody)
    meter = PowerMeter(of_gpu=any(_device(item) == "cuda" for item in everybody))
    contestants = [item for group in groups for item in _measure(bench, group, meter, left_out)]
    report: dict[str, Any] = {
        "format": "orpose-bench-3",
        "command": " ".join(["orpose", *sys.argv[1:]]),
        "machine": machine,
        "gpus": list(dict.fromkeys(item["gpu"] for item in contestants if "gpu" in item)),
        "settings": bench.model_dump(mode="json"),
        "power": meter.source,
        "contestants": contestants,
        "ratios": all_ratios(contestants),
        "notes": _notes(contestants, bench),
        "roofline": _roofline(ceilings, contestants),
        "left_out": left_out,
    }
    print(table(report))
    if "json" in outputs:
        write_atomically(outputs["json"], (json.dumps(report, indent=1) + "\n").encode())
    if "plot" in outputs:
        write_plot(report, outputs["plot"])
    return 0


def _measure(
    bench: BenchConfig, contestants: Sequence[Contestant], meter: PowerMeter, left_out: list[str]
) -> list[dict[str, Any]]:
    """Loads and warms up each, then lets them take turns; the figures of each.

    Raises:
        BackendError: A backend that was asked for by name does not start; see `_else_left_out`.
    """
    from tqdm import tqdm

    from orpose.bench_worker import Worker

    rounds = min(bench.rounds, bench.frames, bench.peer_frames)
    with ExitStack() as stack:
        started = [(item, stack.enter_context(Worker(item))) for item in contestants]
        loaded: list[tuple[Contestant, Worker]] = []
        running: list[Contestant] = []
        workers: list[Worker] = []
        frames: list[int] = []
        for item, worker in started:
            with _else_left_out(bench, item, left_out):
                worker.load()
                loaded.append((item, worker))
        for item, worker in loaded:
            with _else_left_out(bench, item, left_out):
                frames.append(_warm_up(worker, item, bench))
                running.append(item)
                workers.append(worker)
        measured: list[list[list[Timings]]] = [[] for _ in workers]
        watts: list[list[float]] = [[] for _ in workers]
        for number in tqdm(range(rounds), unit="round", disable=None):
            for worker, total, samples, power in zip(workers, frames, measured, watts, strict=True):
                time.sleep(_PAUSE_S)
                meter.start()
                samples.append(worker.run(total // rounds + (number < total % rounds)))
                power += [value for value in (meter.stop(),) if value is not None]
        each = zip(running, workers, measured, watts, strict=True)
        return [_item(contestant, worker, samples, power) for contestant, worker, samples, power in each]


@contextmanager
def _else_left_out(bench: BenchConfig, contestant: Contestant, left_out: list[str]) -> Iterator[None]:
    """With --keep-going, and of ours with --all-backends, an error of its start is a reason to leave it out."""
    try:
        yield
    except BackendError as error:
        if not (bench.keep_going or (bench.all_backends and contestant.config)):
            raise
        left_out.append(f"{contestant.name}, batch {contestant.batch}: {error}")


def _warm_up(worker: Worker, contestant: Contestant, bench: BenchConfig) -> int:
    """Runs a few calls; how many are to be measured."""
    if contestant.config is None and contestant.yolo is None:
        worker.run(bench.peer_warmup)
        return bench.peer_frames
    is_slow = worker.run(1)[0]["total"] > _SLOW_MS and worker.run(1)[0]["total"] > _SLOW_MS
    worker.run(min(bench.warmup, bench.peer_warmup) if is_slow else bench.warmup)
    return min(bench.frames, bench.peer_frames) if is_slow else bench.frames


def _item(
    contestant: Contestant, worker: Worker, samples: Sequence[Sequence[Timings]], watts: Sequence[float]
) -> dict[str, Any]:
    return {
        **_figures(samples, worker.info["batch"]),
        **worker.info,
        "name": contestant.name,
        "frame_size": list(contestant.frame_size),
        "file_precision": contestant.precision,
        "is_peer": contestant.config is None,
        "is_torchvision": contestant.config is None and contestant.yolo is None,
        "model": contestant.config.model if contestant.config else None,
        "settings": contestant.config.model_dump(mode="json") if contestant.config else None,
        "device": _device(contestant),
        "gpu_memory_mib": worker.gpu_memory_mib(),
        "peak_memory_mib": worker.peak_memory_mib(),
        "watts": sum(watts) / len(watts) if watts else None,
    }


def _device(contestant: Contestant) -> str:
    """What computes: "cuda" also of the backends and providers that know nothing else."""
    if contestant.config is None:
        return contestant.device
    config = contestant.config
    is_gpu = "cuda" in (config.torch_device, config.provider) or "tensorrt" in f"{config.backend} {config.provider}"
    return "cuda" if is_gpu else "cpu"


def _figures(rounds: Sequence[Sequence[Timings]], batch: int = 1) -> dict[str, Any]:
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
        "frames_per_second": 1e3 * batch * len(frames) / sum(timings["total"] for timings in frames),
    }


def all_ratios(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each peer to each of ours that saw the same frames one by one: how many times as long the peer takes."""
    return [
        {"peer": peer["name"], "ours": ours["name"], "frame_size": ours["frame_size"], **ratios(peer, ours)}
        for peer in items
        if peer["is_peer"]
        for ours in items
        if not ours["is_peer"] and ours["batch"] == 1 and ours["frame_size"] == peer["frame_size"]
    ]


def ratios(peer: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """How many times as long the peer takes: of the medians over all frames, and of each round's medians."""
    rounds = zip(peer["rounds_median_ms"], ours["rounds_median_ms"], strict=True)
    return {
        "median": peer["stages_ms"]["total"]["median"] / ours["stages_ms"]["total"]["median"],
        "rounds": [theirs / own for theirs, own in rounds],
    }


def _notes(items: Sequence[dict[str, Any]], bench: BenchConfig) -> list[str]:
    """What the figures do not say by themselves."""
    notes = ["presets: random weights, which take as long as trained ones"] if bench.presets else []
    if any(item["is_peer"] and not item["is_torchvision"] for item in items):
        notes.append("YOLO: letterbox, scaling and decoding with NMS are counted; random weights find nobody; 2D only")
    if any(item.get("gpu_memory_mib") for item in items):
        notes.append("GPU MiB: the most that torch had in use, tried algorithms included, without CUDA's own memory")
    if any("TF32" in item["precision"] for item in items):
        notes.append("torchvision on the GPU: as torch is set, convolutions in TF32; our fp32 is float32 throughout")
    for item in items:  # the others compute in what their file says, or their name
        if item["file_precision"] == "fp16" and not item["precision"].startswith(("fp16", "float16")):
            notes.append(f"{item['name']}, batch {item['batch']}: computes in {item['precision']}")
    if any(item["name"].startswith("torchvision") for item in items):
        notes.append("torchvision: random weights, so its slots are filled by taking that many boxes; 2D only")
    if any(item.get("graphs") == 2 for item in items):
        notes.append("two graphs: people in view are put in by force, which changes no time; slots are the bucket run")
    return notes


def _ceilings(bench: BenchConfig, contestants: Sequence[Contestant]) -> dict[str, Ceilings] | None:
    """By device, of those that somebody's cost is compared with.

    Raises:
        ConfigError: The cost of a model's kind of file cannot be counted; said before anything is measured.
    """
    if not bench.roofline:
        return None
    models = [item.config.model for item in contestants if item.config]
    if closed := [model for model in models if Path(model).suffix not in ("", ".onnx", ".safetensors")]:
        raise ConfigError(f"--roofline: counts .onnx and .safetensors files, got {closed[0]}; name what it was made of")
    from orpose.bench_gpu import measure_gpu_ceilings
    from orpose.bench_roofline import measure_ceilings, require_onnx

    found = {}
    if any(item.config and (item.config.backend != "torch" or _device(item) == "cpu") for item in contestants):
        require_onnx()
    if any(item.config and _device(item) == "cpu" for item in contestants):
        found["cpu"] = measure_ceilings(bench.threads)
    if any(_device(item) == "cuda" for item in contestants):
        found["cuda"] = measure_gpu_ceilings()
    return found


def _roofline(ceilings: dict[str, Ceilings] | None, items: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The ceilings and, of each of ours, its graph's cost, the least time it could take and the share reached."""
    if ceilings is None:
        return None
    models = []
    for item in items:
        if item["model"] is None or item["device"] not in ceilings:
            continue
        cost = _cost(item)
        bound_ms, bound_by = ceilings[item["device"]].bound_ms(cost)
        models.append(
            {
                "name": f"{item['name']} {item['input_size'][0]}x{item['input_size'][1]} b{item['batch']}",
                "gflop": cost.flops / 1e9,
                "mbytes": cost.total_bytes / 1e6,
                "bound_ms": bound_ms,
                "bound_by": bound_by,
                "share": bound_ms / item["stages_ms"]["infer"]["median"],
            }
        )
    return {
        "ceilings": {
            device: {
                "gflops_per_s": found.flops_per_s / 1e9,
                "half_gflops_per_s": found.half_flops_per_s / 1e9 if found.half_flops_per_s else None,
                "gbytes_per_s": found.bytes_per_s / 1e9,
            }
            for device, found in ceilings.items()
        },
        "models": models,
    }


def _cost(item: dict[str, Any]) -> Cost:
    from orpose.bench_roofline import count_file
    from orpose_models.runtime.models import find_model
    from orpose_models.runtime.onnx_file import read_metadata
    from orpose_models.runtime.person_buckets import second_graph

    if item["settings"]["backend"] in ("torch", "torch-tensorrt"):
        from orpose.bench_gpu import count_torch

        return count_torch(RuntimeConfig(**item["settings"]))
    path = find_model(item["model"], ".onnx")
    cost = count_file(path)
    if poses := second_graph(read_metadata(path), path):
        cost += count_file(poses, item["persons"])
    return cost
