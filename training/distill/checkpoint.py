"""Training state on disk: written atomically, read without executing anything, complete enough to go on exactly."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from orpose_models.errors import InputError
from orpose_models.files import remove_if_possible
from orpose_models.settings import changed_settings, told_changes, validation_message
from training.distill.config import TrainConfig

#: Settings that may differ between a stopped run and its continuation: how long, where, and how it is watched.
_FREE = {
    "iterations", "max_minutes", "threads", "num_workers", "device", "checkpoint_minutes", "log_every", "tensorboard",
    "validation.every_minutes", "data_notes",
}  # fmt: skip
#: Facts that older checkpoints do not have.
_NEWER_FACTS = {"label_files"}
#: What to do about a checkpoint that cannot be used: where one lies no run starts anew.
START_ANEW = "remove it and start without --resume, or choose another --out"


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


def read_checkpoint(path: Path, config: TrainConfig, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The state of `write_checkpoint`, of a run with the same settings and `facts` (processes, data).

    The budget, and what only says where the run computes and how it is watched, may have changed.

    Raises:
        InputError: the file is missing, truncated, not such a state, or of another run; what differs is named.
    """
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from; start without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{path}: not a training checkpoint, or a truncated one ({type(error).__name__}); {START_ANEW}"
        ) from None
    foreign = f"{path}: not a training checkpoint of this version of orpose"
    needed = {"student", "optimizer", "config", "iteration", *facts} - _NEWER_FACTS
    if not isinstance(state, dict) or not state.keys() >= needed:
        raise InputError(f"{foreign}; {START_ANEW}")
    try:  # settings that are newer than the checkpoint have their defaults
        settings = TrainConfig.model_validate(state["config"]).model_dump(mode="json")
    except ValidationError as error:
        raise InputError(f"{foreign} ({validation_message(error)}); {START_ANEW}") from None
    before = {**settings, **{name: state[name] for name in facts if name in state}}
    now = {**config.model_dump(mode="json"), **{name: facts[name] for name in facts if name in state}}
    changed = {name: values for name, values in changed_settings(before, now).items() if name not in _FREE}
    if changed:
        start = f" (`torchrun --nproc-per-node {state['world_size']}`)" if "world_size" in changed else ""
        advice = f"resume with the same ones{start}, or choose another --out"
        raise InputError(f"{path}: begun with other settings: {told_changes(changed)}; {advice}")
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
