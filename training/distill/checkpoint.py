"""Training state on disk: written atomically, read without executing anything, complete enough to go on exactly."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import torch

from orpose_models.errors import InputError
from orpose_models.files import remove_if_possible

#: What a checkpoint tells about its run, and what a run that goes on from it must have in common with it.
_MUST_MATCH = {
    "preset": "of preset {}, the run's is {}; give the run's own checkpoint, or change `preset`",
    "world_size": "of {} processes, this run has {}; start as many with `torchrun --nproc-per-node`",
    "num_items": "of {} training images, got {}; resume with the same data",
}


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Saves tensors, numbers and strings by temporary name and rename: a kill leaves the old file or the new one.

    Raises:
        InputError: it cannot be written; an older checkpoint is still there.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        remove_if_possible(temporary)
        reason = getattr(error, "strerror", None) or "probably no space left"
        raise InputError(f"{path}: cannot be written ({reason}); free the disk, then go on with --resume") from None


def read_checkpoint(path: Path, **facts: Any) -> dict[str, Any]:
    """The state of `write_checkpoint`, of a run with these `facts` (preset, world_size, num_items).

    Raises:
        InputError: the file is missing, truncated, not such a state, or of another run.
    """
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from; start without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{path}: not a training checkpoint, or a truncated one ({type(error).__name__}); start without --resume"
        ) from None
    if not isinstance(state, dict) or not state.keys() >= {"student", "optimizer", *_MUST_MATCH}:
        raise InputError(f"{path}: not a training checkpoint of this version of orpose; start without --resume")
    for name, expected in facts.items():
        if state[name] != expected:
            raise InputError(f"{path}: " + _MUST_MATCH[name].format(state[name], expected))
    return state


def source_commit() -> str:
    """The commit of the code that runs, with `+` where tracked files were changed since.

    Without a repository it is `$ORPOSE_COMMIT`, which docker/Dockerfile.train sets.
    """
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("ORPOSE_COMMIT") or "unknown (not run from a repository, and ORPOSE_COMMIT is not set)"
    return commit.stdout.strip() + ("+" if changed.returncode else "")
