"""`orpose convert`: other people's keypoint R-CNN weights, or a graph that `orpose export` wrote -> our weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orpose.options import add_options, settings_from_args
from orpose_models.checkpoints.config import ConvertConfig
from orpose_models.errors import BackendError, ConfigError, ModelError
from orpose_models.files import file_sha256
from orpose_models.runtime.models import REFERENCE_INPUT_SIZE, find_model
from orpose_models.settings import read_yaml_mapping

if TYPE_CHECKING:
    from orpose_models.network.student import Student
    from orpose_models.runtime.models import ModelInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        type=Path,
        help="keypoint R-CNN R50-FPN of torchvision, detectron2 or ORPose: .pth, .pkl, .safetensors of the same names;"
        " or our own fp32 .onnx file or a shipped model's name, to train on from it",
    )
    parser.add_argument("--out", required=True, type=Path, help=".safetensors file to write; its card lies beside it")
    add_options(parser, ConvertConfig)


def run(args: argparse.Namespace) -> int:
    config = settings_from_args(ConvertConfig, args)
    if args.out.suffix != ".safetensors" or args.out.resolve() == args.checkpoint.resolve():
        raise ConfigError(f"--out: got {args.out}, expected another file, with a name that ends in .safetensors")
    try:
        from orpose_models.network.weights import save_weights
        from training.distill.checkpoint import source_commit
        from training.distill.finish import NOT_FOR

        student, size, facts, summary = (
            _from_graph(args) if _is_graph(args.checkpoint) else _from_checkpoint(args, config)
        )
    except ImportError as error:
        raise BackendError(f"convert: {error.name} is not installed; pip install 'orpose[train]'") from None
    card = {"name": args.out.stem, "commit": source_commit(), "limitations": NOT_FOR, **facts}
    save_weights(student, args.out, card, size)
    print(f"{args.out}: {student.preset.name}, {size[0]}x{size[1]}, from {summary}")
    return 0


def _is_graph(path: Path) -> bool:
    return path.suffix == ".onnx" or (path.suffix == "" and not path.is_file())


#: Student, width and height of the network's input in px, what the card says, and what the command says.
Converted = tuple["Student", tuple[int, int], dict[str, Any], str]


def _from_checkpoint(args: argparse.Namespace, config: ConvertConfig) -> Converted:
    from orpose_models.checkpoints.importer import import_checkpoint

    imported = import_checkpoint(args.checkpoint, config)
    facts = {
        "data": "that of the checkpoint",
        "schedule": "that of the checkpoint",
        "metrics": "none measured after conversion",
        **imported.facts,
    }
    source = imported.facts["source"]
    summary = f"{source['family']} {args.checkpoint.name}; lifters {imported.facts['lifters']}"
    return imported.student.float(), REFERENCE_INPUT_SIZE, facts, summary


#: What a graph's card says of the graph's own file, or of what is written anew.
_NOT_TAKEN_OVER = ("name", "preset", "lifter_input", "input_size", "sha256", "bytes", "onnx", "exported")


def _from_graph(args: argparse.Namespace) -> Converted:
    """The card is that of the graph, where it lies beside it."""
    if given := [name for name in ConvertConfig.model_fields if hasattr(args, name)]:
        option = given[0].replace("_", "-")
        raise ConfigError(f"--{option}: is for other people's checkpoints; {args.checkpoint} says all of itself")
    graph = find_model(str(args.checkpoint), ".onnx")
    beside = graph.with_suffix(".yaml")
    if beside.is_file() and args.out.with_suffix(".yaml").resolve() == beside.resolve():
        raise ConfigError(f"--out: the card of {args.out} would replace {beside}, the graph's; give another name")
    from orpose_models.export.read_back import read_student

    student, info = read_student(graph)
    unknown = dict.fromkeys(("data", "schedule", "metrics", "licence"), "those of the graph's weights")
    card = _card_of(graph, info, beside) if beside.is_file() else unknown
    source = {"file": graph.name, "sha256": file_sha256(graph), "model_id": info.model_id, "precision": info.precision}
    facts = {key: value for key, value in card.items() if key not in _NOT_TAKEN_OVER}
    size = info.network_size or info.input_size
    return student, size, {**facts, "source": source}, f"{info.model_id} {graph.name}; {info.precision}"


def _card_of(graph: Path, info: ModelInfo, beside: Path) -> dict[str, Any]:
    """The graph's card. One that names a sha256 names the graph's, or that of the weights it was exported from.

    Raises:
        ModelError: It is another model's.
    """
    card = read_yaml_mapping(beside)
    of_graph = card.get("onnx")
    named = [card.get("sha256"), of_graph.get("sha256") if isinstance(of_graph, dict) else None]
    found = [str(digest) for digest in named if digest]
    of_weights = info.model_id.rpartition("@")[2]
    if found and file_sha256(graph) not in found and not any(each.startswith(of_weights) for each in found):
        raise ModelError(
            f"{beside}: is the card of another model (sha256 {found[0][:8]}; {graph.name} is {info.model_id}); put its "
            "own there, or move this one away"
        )
    return card
