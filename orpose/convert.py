"""`orpose convert`: other people's keypoint R-CNN weights -> ours."""

from __future__ import annotations

import argparse
from pathlib import Path

from orpose.options import add_options, settings_from_args
from orpose_models.checkpoints.config import ConvertConfig
from orpose_models.errors import BackendError, ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        type=Path,
        help="keypoint R-CNN R50-FPN of torchvision, detectron2 or ORPose: .pth, .pkl, .safetensors of the same names",
    )
    parser.add_argument("--out", required=True, type=Path, help=".safetensors file to write; its card lies beside it")
    add_options(parser, ConvertConfig)


def run(args: argparse.Namespace) -> int:
    config = settings_from_args(ConvertConfig, args)
    if args.out.suffix != ".safetensors" or args.out.resolve() == args.checkpoint.resolve():
        raise ConfigError(f"--out: got {args.out}, expected another file, with a name that ends in .safetensors")
    try:
        from orpose_models.checkpoints.importer import import_checkpoint
        from orpose_models.network.weights import save_weights
        from training.distill.checkpoint import source_commit
        from training.distill.finish import NOT_FOR
    except ImportError as error:
        raise BackendError(f"convert: {error.name} is not installed; pip install 'orpose[train]'") from None
    imported = import_checkpoint(args.checkpoint, config)
    card = {
        "name": args.out.stem,
        "data": "that of the checkpoint",
        "schedule": "that of the checkpoint",
        "metrics": "none measured after conversion",
        **imported.facts,
        "commit": source_commit(),
        "limitations": NOT_FOR,
    }
    save_weights(imported.student.float(), args.out, card)
    source, preset = imported.facts["source"], imported.student.preset
    lifters = imported.facts["lifters"]
    print(f"{args.out}: {preset.name} from {source['family']} {args.checkpoint.name}; lifters {lifters}")
    return 0
