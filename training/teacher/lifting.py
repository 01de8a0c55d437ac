"""A published two-block lifter as a stage of the teacher (orpose_models/checkpoints/lifters.py)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.checkpoints.lifters import LEFT_OUT, read_h36_statistics, read_lifter
from orpose_models.network.lifter import LifterStatistics, with_pelvis
from orpose_models.skeleton import H36M17_FROM_COCO17, H36M17_SOURCES
from training.teacher.config import PublishedLifting


class PublishedLiftStage:
    """One published lifter."""

    def __init__(self, config: PublishedLifting, device: torch.device) -> None:
        self._lifter, self._statistics = read_lifter(config.weights, config.kind, config.branch), LifterStatistics()
        self._statistics.set(*read_h36_statistics(config.statistics))
        self._lifter.to(device)
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
