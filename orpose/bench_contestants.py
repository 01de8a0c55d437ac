"""Who takes part in `orpose bench`: every preset, backend, size and batch that was asked for, and the peers."""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Literal

from orpose.bench_config import BenchConfig
from orpose.bench_peers import TORCHVISION, YOLO_NAMES, yolo_models
from orpose.bench_worker import Contestant
from orpose.options import settings_from_args
from orpose_models.errors import BackendError, ConfigError
from orpose_models.runtime.config import RuntimeConfig, Size, parse_size

#: Backends that read a graph, whose size, batch and precision are in the file; and those of them that run two graphs.
_GRAPH_BACKENDS = ("onnxruntime", "openvino", "tensorrt")
_BUCKET_BACKENDS = ("onnxruntime", "openvino")
_PRECISIONS = ("fp32", "fp16")
_DEFAULTS = BenchConfig.model_fields
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
    if bench.providers != _DEFAULTS["providers"].default and "onnxruntime" not in backends:
        raise ConfigError(f"--providers {bench.providers}: for backend onnxruntime; got --backends {bench.backends}")
    of_presets = ("sizes", "batches", "precisions", "buckets")
    if not bench.presets and any(getattr(bench, name) != _DEFAULTS[name].default for name in of_presets):
        raise ConfigError(
            "--sizes, --batches, --precisions and --buckets are for --presets; a model's own are in its file"
        )
    _check_used(bench, args, backends)
    groups = []
    for size in sizes if bench.presets else [bench.size]:
        ours = (
            _presets(bench, args, backends, size, left_out)
            if bench.presets
            else _model(bench, args, backends, left_out)
        )
        groups.append([*ours, *_peers(bench, size, left_out)])
    return groups, list(dict.fromkeys(left_out))


def _check_used(bench: BenchConfig, args: argparse.Namespace, backends: list[str]) -> None:
    """Raises ConfigError for an option that nobody would take note of."""
    if bench.presets and hasattr(args, "model"):
        raise ConfigError(f"--model {args.model}: --presets are measured in its place; give one of them")
    if bench.all_backends:  # those that are installed are taken, whatever the options
        return
    of_torch = ["torch_modes", "torch_precisions", *([] if bench.peer or bench.peers else ["torch_devices"])]
    unused = [] if "torch" in backends else [(name, "backend torch") for name in of_torch]
    if not set(backends) & set(_BUCKET_BACKENDS):
        unused.append(("buckets", f"backends {' and '.join(_BUCKET_BACKENDS)}"))
    if set(backends) == {"torch"}:
        unused.append(("precisions", "exported --presets, and backend torch has --torch-precisions"))
    for name, wanted in unused:
        if getattr(bench, name) != _DEFAULTS[name].default:
            raise ConfigError(f"--{name.replace('_', '-')}: is for {wanted}; got --backends {','.join(backends)}")


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
    """The backend as it is; ONNX Runtime with every provider; torch on every device, in every mode and precision.

    The processor is left out of what only a GPU has, if a GPU takes part, too.
    """
    if backend == "onnxruntime":
        names = _words(bench.providers)
        return [({"backend": backend, "provider": p}, backend if p == "cpu" else f"{backend} {p}") for p in names]
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
    """Those of one size.

    Raises:
        ConfigError: What was asked for cannot be; with --keep-going or --all-backends it is left out instead.
    """
    from orpose.bench_models import random_model

    batches = [_batch(word) for word in _words(bench.batches)]
    precisions = [_precision(word) for word in _words(bench.precisions)]
    found = []
    for preset, backend in product(_words(bench.presets), backends):
        suffix = ".onnx" if backend in _GRAPH_BACKENDS else ".safetensors"
        for batch, precision in product(batches, precisions if backend != "torch" else _PRECISIONS[:1]):
            if why := _impossible(backend, batch, precision):
                what = f"{preset}, {backend} {precision}, batch {batch}: {why}"
                if not (bench.keep_going or bench.all_backends):
                    raise ConfigError(f"{what}; --keep-going leaves it out")
                left_out.append(what)
                continue
            path = random_model(preset, suffix, size, batch, precision)
            for options, shown in _variants(bench, backend, left_out):
                own: dict[str, object] = {} if backend in _GRAPH_BACKENDS else {"torch_size": size}
                if backend == "torch":
                    own["torch_batch"] = batch
                config = _config(args, {**options, **own}, bench.threads, path)
                name = f"{preset}, {shown}" + ("" if precision == "fp32" else f" {precision}")
                found.append(Contestant(name, size, bench.threads, config, batch, bench.persons, precision=precision))
        if bench.buckets and backend in _BUCKET_BACKENDS:
            path = random_model(preset, ".onnx", size, buckets=True)
            for options, shown in _variants(bench, backend, left_out):
                config = _config(args, options, bench.threads, path)
                name = f"{preset}, {shown}, two graphs"
                found.append(Contestant(name, size, bench.threads, config, 1, bench.persons))
    return found


def _impossible(backend: str, batch: int, precision: str) -> str | None:
    """Why a backend cannot run that, if it cannot."""
    if backend == "torch-tensorrt" and (batch, precision) != (1, "fp32"):
        return "it compiles for one image a call in fp32 alone; backend tensorrt takes batches and fp16"
    return None


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
        bindings = name == "tensorrt" and importlib.util.find_spec("tensorrt_bindings")  # pip's, without `tensorrt`
        if importlib.util.find_spec(library) or bindings:
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


def _precision(word: str) -> Literal["fp32", "fp16"]:
    if word not in _PRECISIONS:
        raise ConfigError(f"--precisions: got {word!r}, expected {' or '.join(_PRECISIONS)}")
    return "fp32" if word == "fp32" else "fp16"


def _size(word: str) -> Size:
    try:
        size: Size = parse_size(word)
    except ValueError as error:
        raise ConfigError(f"--sizes: got {word!r}, {error}") from None
    return size
