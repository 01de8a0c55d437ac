"""Where in its budget a run is, and what follows from it: the stage and the learning rate. Pure functions."""

from __future__ import annotations

import math

from training.data.loader import BatchShape
from training.distill.config import OptimizerConfig, StageConfig, TrainConfig


def progress(config: TrainConfig, iteration: int, elapsed_s: float) -> float:
    """Share of the budget used, 0 to 1: the larger of the two shares where both budgets are set."""
    shares = []
    if config.iterations is not None:
        shares.append(iteration / config.iterations)
    if config.max_minutes is not None:
        shares.append(elapsed_s / (60 * config.max_minutes))
    return min(max(shares), 1.0)


def lr_factor(optimizer: OptimizerConfig, share: float) -> float:
    """Learning rate as a factor of the peak, at this share of the budget."""
    warm = 1.0 if share >= optimizer.warmup else 0.01 + 0.99 * share / optimizer.warmup
    if optimizer.schedule == "step":
        return warm * 0.1 ** sum(share >= milestone for milestone in optimizer.milestones)
    after_warmup = max(share - optimizer.warmup, 0.0) / (1 - optimizer.warmup)
    return warm * max(0.5 * (1 + math.cos(math.pi * after_warmup)), 0.001)


def batch_shape(stages: tuple[StageConfig, ...], share: float) -> BatchShape:
    """Image size and batch size at this share of the budget."""
    stage = next((stage for stage in stages if share < stage.until), stages[-1])
    return BatchShape(stage.size, stage.batch_size)
