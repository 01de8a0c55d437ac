"""A saved program of `orpose export --format torch-export` (.pt2), for backend torch on the processor."""

from __future__ import annotations

import io
import json
import pickle
import re
import warnings
import zipfile
from pathlib import Path

import torch

from orpose_models.errors import ConfigError, ModelError
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.description import BUILT_BY_KEY, read_description
from orpose_models.runtime.models import OUTPUT_NAMES, ModelInfo, check_interface, find_model, first_line

_WEIGHTS, _CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
_EXAMPLES = "data/sample_inputs/model.pt"
#: All that a program of plain tensors consists of: no machine code, and no tensors in the older, pickled form.
_PLAIN = re.compile(
    r"archive_format|archive_version|byteorder|\.data/\w+|models/model\.json|data/weights/weight_\d+|"
    rf"data/constants/tensor_\d+|{re.escape(_WEIGHTS)}|{re.escape(_CONSTANTS)}|{re.escape(_EXAMPLES)}"
)


def read_program(config: RuntimeConfig) -> tuple[Path, torch.export.ExportedProgram, ModelInfo]:
    """The model file, the program in it, and what the JSON beside it says.

    Raises:
        ConfigError: An option that a program has decided already.
        ModelError: A file is missing, damaged, not ours, or not one that this version of torch loads.
    """
    path = find_model(config.model, ".pt2")
    description = read_description(path)
    info = ModelInfo.from_metadata(description, path)
    _check_options(config, info, path)
    built_by = description.get(BUILT_BY_KEY, "not given")
    if not built_by.startswith("torch "):
        raise ModelError(f"{path}: {BUILT_BY_KEY} is {built_by}; backend torch reads programs of --format torch-export")
    _check_plain(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # inside torch, none of which a user can mend
            program = torch.export.load(str(path))
    except Exception as error:  # torch raises many kinds
        raise ModelError(
            f"{path}: torch {torch.__version__} cannot load it ({first_line(error)}); it was written by {built_by}: "
            "export it again"
        ) from None
    outputs = dict.fromkeys(OUTPUT_NAMES[: len(program.graph_signature.user_outputs)])
    check_interface(_input_shapes(program), outputs, info, path)
    return path, program, info


def _check_options(config: RuntimeConfig, info: ModelInfo, path: Path) -> None:
    if config.torch_device != "cpu":
        raise ConfigError(
            f"torch_device {config.torch_device}: {path} is for the processor; name its .safetensors file"
        )
    if config.torch_size not in (None, info.input_size):
        width, height = info.input_size
        raise ConfigError(f"torch_size: {path} has {width}x{height}, which is fixed; leave it out, or export another")
    if config.torch_batch not in (type(config).model_fields["torch_batch"].default, info.batch):
        raise ConfigError(f"torch_batch: {path} has {info.batch}, which is fixed; leave it out, or export another")


def _check_plain(path: Path) -> None:
    """Refuses what torch would unpickle, which can run any code, or load as machine code: our exports have neither.

    Raises:
        ModelError: The archive holds more than plain tensors and the program's JSON.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2]: name for name in archive.namelist()}
            if foreign := [name for inner, name in names.items() if not _PLAIN.fullmatch(inner)]:
                raise ValueError(f"it holds {foreign[0]}")
            for config in (_WEIGHTS, _CONSTANTS):
                entries = json.loads(archive.read(names[config]))["config"]
                if pickled := [name for name, entry in entries.items() if entry["use_pickle"]]:
                    raise ValueError(f"{pickled[0]} is pickled")
            torch.load(io.BytesIO(archive.read(names[_EXAMPLES])), weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"{path}: not a program of plain tensors, as `orpose export --format torch-export` writes it "
            f"({first_line(error)}); export it again"
        ) from None


def _input_shapes(program: torch.export.ExportedProgram) -> dict[str, tuple[int, ...]]:
    names = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    return {node.name: tuple(node.meta["val"].shape) for node in nodes}
