"""Weights that others published: read without unpickling code, checked key by key."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from orpose_models.checkpoints.pickles import LONGEST_REASON, read_pickled_arrays
from orpose_models.errors import ModelError
from orpose_models.runtime.models import first_line

#: Where training scripts put the weights, beside optimiser and epoch.
_CONTAINERS = ("state_dict", "model")
#: What data-parallel wrappers put before every name.
_WRAPPER = "module."
_SHOWN = 3


def read_tensors(path: Path, *, hint: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, a model zoo .pkl or a PyTorch checkpoint, by name.

    Args:
        path: The file.
        hint: What to fetch where it is missing.

    Raises:
        ModelError: It is missing or corrupt, or holds other things than tensors, numbers and text.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weight file; {hint}")
    try:
        found = _READERS.get(path.suffix, _load_checkpoint)(path)
    except ModelError:
        raise
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path}: damaged, or it holds Python objects, which are never unpickled; expected tensors alone: save its"
            " state_dict on a machine that may run it, or fetch it again"
        ) from None
    except Exception as error:  # a damaged file raises nearly anything
        raise ModelError(f"{path}: not a readable weight file ({first_line(error)[:LONGEST_REASON]}); {hint}") from None
    for container in _CONTAINERS:
        if isinstance(found, Mapping) and isinstance(found.get(container), Mapping):
            found = found[container]
    tensors = {str(k).removeprefix(_WRAPPER): v for k, v in found.items()} if isinstance(found, Mapping) else {}
    tensors = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{path}: holds no weights; {hint}")
    return tensors


def _load_checkpoint(path: Path) -> Any:
    # Training scripts save their last error beside the weights, as a numpy number.
    numbers: list[Any] = [np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType]
    scalar = np.float64(0).__reduce__()[0]
    numbers += [scalar, (scalar, "numpy.core.multiarray.scalar")]
    with torch.serialization.safe_globals(numbers):
        return torch.load(path, map_location="cpu", weights_only=True)


_READERS: dict[str, Callable[[Path], Any]] = {".safetensors": load_file, ".pkl": read_pickled_arrays}


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, expected: str) -> None:
    """Loads all of `tensors` into all of `module`.

    Raises:
        ModelError: A name is missing, is one too many, or has another shape; `expected` says what the file should be.
    """
    own = module.state_dict()
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # older files have none
    problems = {
        "missing": sorted(set(own) - set(tensors) - counters),
        "unexpected": sorted(set(tensors) - set(own)),
        "of another shape": sorted(n for n in set(own) & set(tensors) if own[n].shape != tensors[n].shape),
    }
    refuse(path, problems, expected=expected)
    module.load_state_dict({**{name: own[name] for name in counters}, **tensors})


def refuse(path: Path, problems: Mapping[str, Sequence[str]], *, expected: str) -> None:
    """Raises ModelError if there is a problem: kind of problem -> names of tensors, of which the first few are told."""
    told = [f"{len(names)} {what} ({', '.join(names[:_SHOWN])})" for what, names in problems.items() if names]
    if told:
        raise ModelError(f"{path}: does not fit: {'; '.join(told)}; expected {expected}")
