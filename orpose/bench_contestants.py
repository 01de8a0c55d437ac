"""Who takes part in `orpose bench`: every preset, backend, size and batch that was asked for, and the peers."""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from orpose.bench_peers import TORCHVISION, YOLO_NAMES, yolo_models
from orpose.bench_worker import Contestant
from orpose.options import settings_from_args
from orpose_models.errors import BackendError, ConfigError
from orpose_models.runtime.config import RuntimeConfig, Size, parse_size

if TYPE_CHECKING:
    from orpose.bench_config import BenchConfig

#: Backends that read a graph, whose size is in the file; and those of them that the bench runs in batches and parts.
_GRAPH_BACKENDS = ("onnxruntime", "openvino", "tensorrt")
_PROCESSOR_BACKENDS = ("onnxruntime", "openvino")
#: Options of a contestant's configuration, and how tables name it.
Variant = tuple[dict[str, object], str]


def all_contestants(bench: BenchConfig, args: argparse.Namespace) -> tuple[list[list[Contestant]], list[str]]:
    """Groups that see frames of one size each and take turns, and what was left out and why.

    Raises:
        BackendError: A backend or peer that was asked for by name is not there.
        ConfigError: A size, batch, preset or backend that cannot be.
    """
    left_out: list[str] = []
    backends = _installed(left_out) if bench.all_backends else _words(bench.backends)
    sizes = [_size(word) for word in _words(bench.sizes)] or [bench.size]
    if not bench.presets and (bench.sizes or bench.batches != "1" or bench.buckets):
        raise ConfigError(
            "--sizes, --batches and --buckets are for --presets; a model's size and batch are in its file"
        )
    groups = []
    for size in sizes if bench.presets else [bench.size]:
        ours = (
            _presets(bench, args, backends, size, left_out)
            if bench.presets
            else _model(bench, args, backends, left_out)
        )
        groups.append([*ours, *_peers(bench, size, left_out)])
    return groups, list(dict.fromkeys(left_out))


def _model(bench: BenchConfig, args: argparse.Namespace, backends: list[str], left_out: list[str]) -> list[Contestant]:
    given = settings_from_args(RuntimeConfig, args)
    found = []
    for name in backends:
        if bench.all_backends and name not in _GRAPH_BACKENDS and Path(given.model).suffix != ".safetensors":
            left_out.append(f"backend {name}: it reads weights (.safetensors), not {given.model}; see --presets")
            continue
        for options, shown in _variants(bench, name, left_out):
            config = settings_from_args(RuntimeConfig, args, {"threads": bench.threads, **options})
            title = f"{Path(given.model).stem}, {shown}"
            found.append(Contestant(title, bench.size, bench.threads, config, 1, bench.persons))
    return found


def _variants(bench: BenchConfig, backend: str, left_out: list[str]) -> list[Variant]:
    """The backend as it is; torch on every device, in every mode and precision that was asked for.

    The processor is left out of what only a GPU has, if a GPU takes part, too.
    """
    if backend != "torch":
        return [({"backend": backend}, backend)]
    devices, modes = _words(bench.torch_devices), _words(bench.torch_modes)
    found: list[Variant] = []
    for device, mode, precision in product(devices, modes, _words(bench.torch_precisions)):
        name = f"torch {device} {mode} {precision}"
        if device == "cpu" and "cuda" in devices and (precision != "fp32" or "graphs" in mode):
            left_out.append(f"{name}: only a GPU runs this")
            continue
        own = {"torch_device": device, "torch_mode": mode, "torch_precision": precision}
        found.append(({"backend": backend, **own}, name))
    return found


def _presets(
    bench: BenchConfig, args: argparse.Namespace, backends: list[str], size: Size, left_out: list[str]
) -> list[Contestant]:
    from orpose.bench_models import random_model

    found = []
    for preset in _words(bench.presets):
        for backend in backends:
            is_graph, is_flexible = backend in _GRAPH_BACKENDS, backend in _PROCESSOR_BACKENDS
            for batch in [_batch(word) for word in _words(bench.batches)]:
                if batch > 1 and not (is_flexible or backend == "torch"):
                    left_out.append(f"{preset}, {backend}, batch {batch}: not what this backend runs")
                    continue
                path = random_model(preset, ".onnx" if is_graph else ".safetensors", size, batch)
                for options, shown in _variants(bench, backend, left_out):
                    own: dict[str, object] = {} if is_graph else {"torch_size": size}
                    if backend == "torch":
                        own["torch_batch"] = batch
                    config = _config(args, {**options, **own}, bench.threads, path)
                    found.append(Contestant(f"{preset}, {shown}", size, bench.threads, config, batch, bench.persons))
            if bench.buckets and is_flexible:
                path = random_model(preset, ".onnx", size, buckets=True)
                config = _config(args, {"backend": backend}, bench.threads, path)
                name = f"{preset}, {backend}, two graphs"
                found.append(Contestant(name, size, bench.threads, config, 1, bench.persons))
    return found


def _config(args: argparse.Namespace, options: dict[str, object], threads: int, path: Path) -> RuntimeConfig:
    config = settings_from_args(RuntimeConfig, args, {"threads": threads, **options})
    return config.model_copy(update={"model": str(path)})


def _peers(bench: BenchConfig, size: Size, left_out: list[str]) -> list[Contestant]:
    import importlib.util

    found = []
    if bench.peer or (bench.peers and importlib.util.find_spec("torchvision")):
        for device in _words(bench.torch_devices):
            name = TORCHVISION if device == "cpu" else f"{TORCHVISION} {device}"
            found.append(Contestant(name, size, bench.threads, persons=bench.persons, device=device))
    elif bench.peers:
        left_out.append("torchvision: not installed; pip install 'orpose[train]'")
    if not (bench.peers or bench.yolo_onnx):
        return found
    from orpose.bench_models import cache_folder

    try:
        models = yolo_models([Path(word) for word in _words(bench.yolo_onnx)], size, cache_folder())
    except BackendError as error:
        left_out.append(f"{', '.join(YOLO_NAMES)}: {error}")
        return found
    return found + [Contestant(name, size, bench.threads, yolo=path) for name, path in models]


def _installed(left_out: list[str]) -> list[str]:
    """The backends whose library can be imported."""
    import importlib.util

    from orpose_models.runtime.backends import BACKEND_NAMES

    found = []
    for name in BACKEND_NAMES:
        library = name.replace("-", "_")
        if importlib.util.find_spec(library):
            found.append(name)
        else:
            left_out.append(f"backend {name}: {library} is not installed; `orpose doctor` says how")
    return found


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _batch(word: str) -> int:
    if not word.isdigit() or int(word) < 1:
        raise ConfigError(f"--batches: got {word!r}, expected whole numbers from 1, such as 1,4")
    return int(word)


def _size(word: str) -> Size:
    try:
        size: Size = parse_size(word)
    except ValueError as error:
        raise ConfigError(f"--sizes: got {word!r}, {error}") from None
    return size
