"""Training state on disk: written atomically, read without executing anything, complete enough to go on exactly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from orpose_models.errors import InputError


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Saves tensors, numbers and strings by temporary name and rename: a kill leaves the old file or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state of `write_checkpoint`. Raises: InputError if the file is missing or not such a state."""
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from; start without --resume")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{path}: not a training checkpoint ({type(error).__name__}); start without --resume"
        ) from None
