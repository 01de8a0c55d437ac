"""Exponential moving average of a network's parameters and floating-point buffers."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class MovingAverage(Generic[NetworkT]):
    """Keeps `model`, a copy whose weights are the moving average of the trained network's."""

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.model = copy.deepcopy(network).eval()
        self.model.requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Call after each step. Early on the average is short, so that it soon forgets the random start."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages, values = [], []
        for average, value in zip(self.model.state_dict().values(), network.state_dict().values(), strict=True):
            if average.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)
        torch._foreach_lerp_(averages, values, 1 - decay)
