"""Martinez' lifter, changed to take our joints, answers as before."""

from __future__ import annotations

import torch

from orpose_models.checkpoints.lifters import LEFT_OUT, take_our_joints
from orpose_models.network.lifter import Lifter, LifterStatistics, lifter_input
from orpose_models.skeleton import H36M17_FROM_COCO17


@torch.no_grad()
def test_the_necks_columns_move_to_the_shoulders() -> None:
    torch.manual_seed(0)
    statistics = torch.randn(16, 2) * 200, 20 + 50 * torch.rand(16, 2), torch.randn(16, 3), 1 + torch.rand(16, 3)
    coco = torch.rand(5, 17, 2, dtype=torch.float64) * 400
    lifter, stats = Lifter(64).eval().double(), LifterStatistics()
    stats.set(*statistics)
    stats.double()
    entering = [joint for joint in range(17) if joint != LEFT_OUT["martinez"]]
    before = lifter(stats.standardise_2d(torch.from_numpy(H36M17_FROM_COCO17[entering]).double() @ coco))

    take_our_joints(lifter, statistics)

    torch.testing.assert_close(lifter(stats.standardise_2d(lifter_input(coco, 1.0))), before, rtol=0, atol=1e-11)
