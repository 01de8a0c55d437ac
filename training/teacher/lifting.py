"""The published two-block lifters (Martinez 2017), each with the input its weights were made for (paper.md)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orpose_models.errors import ModelError
from orpose_models.network.lifter import Lifter, LifterStatistics, with_pelvis
from orpose_models.skeleton import H36M17_FROM_COCO17, H36M17_SOURCES
from training.teacher.checkpoints import load_strictly, read_tensors
from training.teacher.config import PublishedLifting

#: Convention -> the Human3.6M-17 joint that does not enter: ORPose's public code leaves out its neck, Martinez'
#: published lifter (and the statistics file) Human3.6M's "Neck/Nose".
LEFT_OUT = {"orpose": 8, "martinez": 9}
#: `h36stats.json`: its 2D and 3D means and deviations list Human3.6M's 32 joints.
_JOINTS = 32
_HINTS = {
    "orpose": "the lifter of an ORPose checkpoint, or a file of its names w1, batch_norm1, linear_stages, w2",
    "martinez": "ckpt_best.pth.tar of the PyTorch version of 3d-pose-baseline (two blocks of 1024)",
}


class PublishedLiftStage:
    """One published lifter."""

    def __init__(self, config: PublishedLifting, device: torch.device) -> None:
        self._lifter, self._statistics = Lifter(1024), LifterStatistics()
        tensors = _own_part(read_tensors(config.weights, hint=f"give {_HINTS[config.kind]}"), config)
        load_strictly(self._lifter, tensors, config.weights, expected=_HINTS[config.kind])
        self._statistics.set(*read_h36_statistics(config.statistics))
        self._lifter.eval().to(device)
        self._statistics.to(device)
        self._entering = [joint for joint in range(17) if joint != LEFT_OUT[config.kind]]
        self._device = device

    @torch.no_grad()
    def lift(self, joints: NDArray, confidence: NDArray) -> NDArray[np.float32]:
        points = torch.from_numpy(self.entering_joints(joints, np.asarray(confidence) > 0)).to(self._device)
        lifted = self._lifter(self._statistics.standardise_2d(points))
        return with_pelvis(self._statistics.restore_3d(lifted)).cpu().numpy()

    def entering_joints(self, joints: NDArray, known: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The 16 joints `(N, 16, 2)` that enter, px, of COCO-17 joints `(N, 17, 2)`; those not known are 0."""
        points = H36M17_FROM_COCO17[self._entering] @ np.asarray(joints, np.float64)
        complete = [known[:, list(H36M17_SOURCES[joint])].all(axis=1) for joint in self._entering]
        return (points * np.stack(complete, axis=1)[..., None]).astype(np.float32)


def _own_part(tensors: dict[str, Tensor], config: PublishedLifting) -> dict[str, Tensor]:
    """The lifter's tensors, also out of a whole ORPose checkpoint."""
    prefix = f"roi_heads.keypoint_head.nw2Dto3D_{config.branch}."
    inner = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return inner or tensors


def read_h36_statistics(path: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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
        values.append(torch.from_numpy(every[used].reshape(16, axes)).float())
    return values[0], values[1]
