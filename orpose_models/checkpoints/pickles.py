"""Model zoo pickles, read by an unpickler that knows nothing but arrays."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orpose_models.errors import ModelError
from orpose_models.runtime.models import first_line

#: A library's reason is cut in errors (characters).
LONGEST_REASON = 200
#: All that a pickle of arrays needs; the private name is older and newer numpy's.
_HARMLESS = {
    ("collections", "OrderedDict"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
}
#: Booleans, integers, floating point numbers: what a tensor can be made of.
_NUMBERS = "biuf"


def read_pickled_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of a model zoo .pkl.

    Raises:
        ModelError: It is missing or corrupt, or holds anything else than arrays, numbers and text in dictionaries.
    """
    try:
        with path.open("rb") as file:
            found = _ArraysOnly(file, encoding="latin1").load()
        return _tensors(found)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ModelError(
            f"{path}: damaged, or not a file of arrays alone ({first_line(error)[:LONGEST_REASON]}); fetch it again"
        ) from None


def _tensors(found: Any) -> dict[str, Tensor]:
    arrays = found.get("model", found) if isinstance(found, dict) else {}
    arrays = {str(name): value for name, value in arrays.items() if isinstance(value, np.ndarray)}
    if odd := [name for name, value in arrays.items() if value.dtype.kind not in _NUMBERS]:
        raise ValueError(f"{odd[0]} is of {arrays[odd[0]].dtype}, not of numbers")
    return {name: torch.from_numpy(value.astype(value.dtype.newbyteorder("="))) for name, value in arrays.items()}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # how Python 2's protocol writes bytes
            return _latin1_bytes
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which is never run")
        return super().find_class(module, name)


def _latin1_bytes(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it wants to encode as {encoding!r}")
    return text.encode("latin1")
