"""The published two-block lifters (Martinez 2017), each with the input its weights were made for (Srivastav 2020)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orpose_models.checkpoints.config import LifterKind
from orpose_models.checkpoints.files import load_strictly, read_tensors
from orpose_models.errors import ModelError
from orpose_models.network.lifter import INPUT_JOINTS, Lifter

#: Kind -> the Human3.6M-17 joint that does not enter: ORPose's public code leaves out its neck, Martinez'
#: published lifter (and the statistics file) Human3.6M's "Neck/Nose".
LEFT_OUT: Mapping[LifterKind, int] = {"orpose": 8, "martinez": 9}
#: Units of all of them.
WIDTH = 1024
#: `h36stats.json`: its 2D and 3D means and deviations list Human3.6M's 32 joints.
_JOINTS = 32
_HINTS: Mapping[LifterKind, str] = {
    "orpose": "the lifter of an ORPose checkpoint, or a file of its names w1, batch_norm1, linear_stages, w2",
    "martinez": "ckpt_best.pth.tar of the PyTorch version of 3d-pose-baseline (two blocks of 1024)",
}
#: In Human3.6M-17: the neck is the middle of the shoulders.
_NECK, _SHOULDERS = 8, (11, 14)

Statistics = tuple[Tensor, Tensor, Tensor, Tensor]


def read_lifter(path: Path, kind: LifterKind, branch: str) -> Lifter:
    """A published lifter in evaluation mode, also out of a whole ORPose checkpoint, whose `branch` is hard or soft.

    Raises:
        ModelError: The file is missing, corrupt, or holds something else.
    """
    tensors = read_tensors(path, hint=f"give {_HINTS[kind]}")
    prefix = f"roi_heads.keypoint_head.nw2Dto3D_{branch}."
    inner = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    lifter = Lifter(WIDTH)
    load_strictly(lifter, inner or tensors, path, expected=_HINTS[kind])
    return lifter.eval()


@torch.no_grad()
def take_our_joints(lifter: Lifter, statistics: Statistics) -> None:
    """Changes Martinez' lifter so that it takes the joints ours take, and answers as before.

    Where it has the neck, we have the ears' mean; the neck is the middle of the shoulders, which both have. So the
    neck's columns of the first layer move to the shoulders' ones, exactly, through the standardisation of both.
    """
    mean, std = (each.double() for each in statistics[:2])
    weight = lifter.w1.weight.double().unflatten(1, (-1, 2))  # units, joints, axes
    neck = INPUT_JOINTS.index(LEFT_OUT["martinez"])
    shoulders = [INPUT_JOINTS.index(joint) for joint in _SHOULDERS]
    columns = weight[:, neck].clone()
    weight[:, neck] = 0
    weight[:, shoulders] += columns[:, None] * std[shoulders] / (len(shoulders) * std[neck])
    offset = (mean[shoulders].mean(dim=0) - mean[neck]) / std[neck]
    lifter.w1.bias.add_((columns * offset).sum(dim=1))
    lifter.w1.weight.copy_(weight.flatten(1))


def read_h36_statistics(path: Path) -> Statistics:
    """Mean and deviation of 2D `(16, 2)` px and of 3D `(16, 3)` mm joints, from `h36stats.json`.

    Raises:
        ModelError: It is missing, is not JSON, or lacks a key.
    """
    try:
        stats = json.loads(path.read_text(encoding="utf-8"))
        return (*_used(stats, "2d", 2), *_used(stats, "3d", 3))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give Human3.6M's h36stats.json") from None
    except KeyError as error:
        raise ModelError(f"{path}: {error.args[0]}: missing; expected Human3.6M's h36stats.json") from None
    except (ValueError, TypeError, IndexError) as error:
        raise ModelError(f"{path}: not Human3.6M's h36stats.json ({error})") from None


def _used(stats: dict, name: str, axes: int) -> tuple[Tensor, Tensor]:
    used = np.asarray(stats[f"dim_to_use_{name}"], np.int64).ravel()
    if len(used) != 16 * axes:
        raise ValueError(f"dim_to_use_{name}: expected {16 * axes} numbers, got {len(used)}")
    values = []
    for key in (f"data_mean_{name}", f"data_std_{name}"):
        every = np.asarray(stats[key], np.float64).ravel()
        if len(every) != _JOINTS * axes:
            raise ValueError(f"{key}: expected {_JOINTS * axes} numbers, got {len(every)}")
        if not np.isfinite(every[used]).all() or (key.startswith("data_std") and not (every[used] > 0).all()):
            raise ValueError(f"{key}: expected finite numbers, positive ones of deviations")
        values.append(torch.from_numpy(every[used].reshape(16, axes)).float())
    return values[0], values[1]
