"""`orpose export`: trained weights -> a static graph or an engine; a graph -> its engine in the engine cache."""

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
        "--out", type=Path, help="file to write, its suffix is the format's; none: a graph's engine goes into the cache"
    )
    parser.add_argument("--name", help="name in the model's id, the weight file's unless given")
    add_options(parser, ExportConfig)
    add_options(parser, RuntimeConfig, only=("engine_cache",))


def run(args: argparse.Namespace) -> int:
    config = settings_from_args(ExportConfig, args)
    is_graph = args.model.suffix in ("", ".onnx")
    if is_graph and config.format == "tensorrt":
        return build_into_cache(args)
    if args.out is None:
        raise ConfigError("--out: missing; only the engine of an .onnx file goes into the engine cache instead")
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


def build_into_cache(args: argparse.Namespace) -> int:
    """The engine of an exported graph for the GPU at hand, where the runtime will look for it: needs no torch."""
    from orpose_models.runtime.backends import load_backend

    if given := [name for name in ("out", "precision", "name", *FIXED) if getattr(args, name, None) is not None]:
        option = given[0].replace("_", "-")
        raise ConfigError(f"--{option}: the engine of {args.model} is as the graph is, and goes into --engine-cache")
    values = {"backend": "tensorrt", "model": str(args.model)}
    if hasattr(args, "engine_cache"):
        values["engine_cache"] = args.engine_cache
    config = build_settings(RuntimeConfig, values, "command line")
    info = load_backend(config).info
    print(f"{info.model_id}: {info.precision}, {info.engine}")
    return 0


def quantise_graph(args: argparse.Namespace, config: ExportConfig) -> int:
    """int8 from an exported float32 .onnx file or a shipped model: needs no torch."""
    source = find_model(str(args.model), ".onnx")
    if (config.format, config.precision) != ("onnx", "int8") or args.out.suffix != ".onnx":
        raise ConfigError(f"{source}: is a graph already; from it only --precision int8 --out NAME.onnx can be made")
    if given := [name for name in FIXED if hasattr(args, name)]:
        raise ConfigError(f"--{given[0].replace('_', '-')}: {source} has that fixed; export from .safetensors instead")
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
