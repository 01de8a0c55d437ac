"""`orpose export`: trained weights -> a static graph or an engine; a model -> what a backend builds of it, cached."""

from __future__ import annotations

import argparse
from pathlib import Path

from orpose.options import add_options, settings_from_args
from orpose_models.errors import BackendError, ConfigError
from orpose_models.export.config import ExportConfig
from orpose_models.export.staging import staged
from orpose_models.files import file_sha256
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.models import find_model
from orpose_models.settings import build_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", required=True, type=Path, help="weights, .safetensors; int8: also a float32 .onnx or a shipped model"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="file to write, its suffix is the format's; none where --backend or a graph's engine is built",
    )
    parser.add_argument("--name", help="name in the model's id, the weight file's unless given")
    add_options(parser, ExportConfig)
    group = parser.add_argument_group(
        "build only",
        "what a backend builds of --model at its first start goes into the engine cache; nothing else is written",
    )
    add_options(group, RuntimeConfig, only=BUILD_OPTIONS)


def run(args: argparse.Namespace) -> int:
    if hasattr(args, "backend"):
        return build_into_cache(args)
    config = settings_from_args(ExportConfig, args)
    is_graph = args.model.suffix in ("", ".onnx")
    if is_graph and config.format == "tensorrt":
        del args.format
        args.backend = "tensorrt"
        return build_into_cache(args)
    if given := [name for name in BUILD_OPTIONS if hasattr(args, name)]:
        raise ConfigError(f"--{_option(given[0])}: is for building only; give --backend, too, or leave it out")
    if args.out is None:
        raise ConfigError("--out: missing; what --backend builds goes into the engine cache instead")
    if is_graph:
        return quantise_graph(args, config)
    try:
        from orpose_models.export.formats import export_model
        from orpose_models.network.weights import load_student, read_input_size
    except ImportError as error:
        raise BackendError(f"export: {error.name} is not installed; pip install 'orpose[export]'") from None
    student, own_size = load_student(args.model), read_input_size(args.model)
    if own_size:
        config = settings_from_args(ExportConfig, args, {"size": own_size})
    model_id = f"{args.name or args.model.stem}@{file_sha256(args.model)[:8]}"
    metadata = export_model(student, args.out, config, model_id)
    megabytes = args.out.stat().st_size / 1e6
    facts = f"{metadata.model_id}, {metadata.input_size}, {metadata.max_persons} persons, {metadata.precision}"
    print(f"{args.out}: {facts}, {megabytes:.1f} MB")
    return 0


#: Options that a graph has decided already.
FIXED = ("batch", "size", "frame_size", "max_persons", "weights", "sm")
#: Options of the runtime that decide what a backend builds.
BUILD_OPTIONS = (
    "backend",
    "provider",
    "torch_mode",
    "torch_device",
    "torch_precision",
    "torch_batch",
    "torch_size",
    "threads",
    "engine_cache",
)


def build_into_cache(args: argparse.Namespace) -> int:
    """What a backend builds of a model on this machine, where the runtime will look for it; no frame is needed."""
    from orpose_models.runtime.backends import load_backend

    if given := [name for name in ("out", "name", *ExportConfig.model_fields) if getattr(args, name, None) is not None]:
        option = _option(given[0])
        raise ConfigError(f"--{option}: what is built of {args.model} is as the model is, and goes into --engine-cache")
    values = {name: getattr(args, name) for name in BUILD_OPTIONS if hasattr(args, name)}
    config = build_settings(RuntimeConfig, {"model": str(args.model), **values}, "command line")
    if not _builds(config):
        raise ConfigError(
            f"--backend {config.backend}: builds nothing so; tensorrt, torch-tensorrt, onnxruntime with --provider "
            "tensorrt, and torch with --torch-mode compile on the processor do"
        )
    info = load_backend(config).info
    print(f"{info.model_id}: {info.precision}, {info.engine}")
    return 0


def _builds(config: RuntimeConfig) -> bool:
    """Whether loading puts something into the engine cache."""
    compiles = config.torch_mode == "compile" and config.torch_device == "cpu"
    return config.backend in ("tensorrt", "torch-tensorrt") or config.provider == "tensorrt" or compiles


def _option(name: str) -> str:
    return name.replace("_", "-")


def quantise_graph(args: argparse.Namespace, config: ExportConfig) -> int:
    """int8 from an exported float32 .onnx file or a shipped model: needs no torch."""
    source = find_model(str(args.model), ".onnx")
    if (config.format, config.precision) != ("onnx", "int8") or args.out.suffix != ".onnx":
        raise ConfigError(f"{source}: is a graph already; from it only --precision int8 --out NAME.onnx can be made")
    if given := [name for name in FIXED if hasattr(args, name)]:
        raise ConfigError(f"--{_option(given[0])}: {source} has that fixed; export from .safetensors instead")
    if args.name:
        raise ConfigError(f"--name: {source} has its name; export from .safetensors instead")
    try:
        from orpose_models.export.int8_export import quantise
    except ImportError as error:
        raise BackendError(f"export: {error.name} is not installed; pip install 'orpose[export]'") from None
    with staged(args.out) as path:
        precision = quantise(source, path, config, config.int8_activations, print)
    print(f"{args.out}: {precision}, {args.out.stat().st_size / 1e6:.1f} MB")
    return 0
