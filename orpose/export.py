"""`orpose export`: trained weights -> a static graph."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from orpose_models.errors import BackendError, ConfigError
from orpose_models.runtime.models import REFERENCE_INPUT_SIZE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path, help="weights, .safetensors")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="kind of graph")
    parser.add_argument("--out", required=True, type=Path, help="file to write")
    width, height = REFERENCE_INPUT_SIZE
    parser.add_argument("--size", default=f"{width}x{height}", metavar="WxH", help="the network's input, px")
    parser.add_argument("--batch", type=int, default=1, help="images per call")
    parser.add_argument("--name", help="name in the model's id, the weight file's unless given")
    parser.add_argument("--max-persons", type=int, help="person slots per image, the preset's unless given")
    parser.add_argument(
        "--weights", choices=["float16", "float32"], default="float16", help="storage of large weights in the file"
    )


def run(args: argparse.Namespace) -> int:
    size = parse_size(args.size)
    try:
        from orpose_models.export.onnx_export import export_onnx
        from orpose_models.network.weights import file_sha256, load_student
    except ImportError as error:
        raise BackendError(f"export: {error.name} is not installed; pip install 'orpose[train]'") from None
    student = load_student(args.model)
    model_id = f"{args.name or args.model.stem}@{file_sha256(args.model)[:8]}"
    try:
        metadata = export_onnx(student, args.out, size, args.batch, model_id, args.max_persons, args.weights)
    except ValueError as error:
        raise ConfigError(f"export: {error}") from None
    megabytes = args.out.stat().st_size / 1e6
    print(f"{args.out}: {metadata.model_id}, {metadata.input_size}, {metadata.max_persons} persons, {megabytes:.1f} MB")
    return 0


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of `WxH`.

    Raises:
        ConfigError: another form.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise ConfigError(f"--size: got {text!r}, expected WxH in px, such as 640x480")
    return int(match[1]), int(match[2])
