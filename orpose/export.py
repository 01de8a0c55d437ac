"""`orpose export`: trained weights -> a static graph or an engine."""

from __future__ import annotations

import argparse
from pathlib import Path

from orpose.options import add_options, settings_from_args
from orpose_models.errors import BackendError
from orpose_models.export.config import ExportConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="weights, .safetensors")
    parser.add_argument("--out", required=True, type=Path, help="file to write, its suffix is the format's")
    parser.add_argument("--name", help="name in the model's id, the weight file's unless given")
    add_options(parser, ExportConfig)


def run(args: argparse.Namespace) -> int:
    config = settings_from_args(ExportConfig, args)
    try:
        from orpose_models.export.formats import export_model
        from orpose_models.network.weights import file_sha256, load_student
    except ImportError as error:
        raise BackendError(f"export: {error.name} is not installed; pip install 'orpose[export]'") from None
    student = load_student(args.model)
    model_id = f"{args.name or args.model.stem}@{file_sha256(args.model)[:8]}"
    metadata = export_model(student, args.out, config, model_id)
    megabytes = args.out.stat().st_size / 1e6
    facts = f"{metadata.model_id}, {metadata.input_size}, {metadata.max_persons} persons, {metadata.precision}"
    print(f"{args.out}: {facts}, {megabytes:.1f} MB")
    return 0
