"""One training step: forward, backward, clip, update; and the check that its numbers are finite."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.data.loader import Batch
from training.distill.config import TrainConfig


def total_loss(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the loss components; weight 1 where not named."""
    return torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()


def train_step(
    student: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, config: TrainConfig
) -> dict[str, float] | None:
    """Updates the student from one batch.

    Returns:
        The loss components, their sum `loss` and `grad_norm`; None if a number was not finite and nothing was updated.
    """
    images, targets = batch
    pixels = images.float() / 255
    if config.channels_last:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
        losses = student(list(pixels), targets)
    loss = total_loss(losses, config.loss_weights)
    optimizer.zero_grad(set_to_none=True)
    if not loss.isfinite():
        return None
    loss.backward()
    norm = nn.utils.clip_grad_norm_(student.parameters(), config.optimizer.clip_norm)
    if not norm.isfinite():
        return None
    optimizer.step()
    return {name: float(value.detach()) for name, value in {**losses, "loss": loss, "grad_norm": norm}.items()}
