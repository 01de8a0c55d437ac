"""One training step: forward, backward, clip, update; and the check that its numbers are finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from training.data.loader import Batch
from training.distill.config import TrainConfig

_AUTOCAST = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def total_loss(losses: Mapping[str, Tensor], weights: Mapping[Any, float]) -> Tensor:
    """The weighted sum of the loss components; weight 1 where not named."""
    return torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()


def make_scaler(config: TrainConfig) -> torch.amp.GradScaler:
    """Keeps small gradients alive in float16; does nothing in the other precisions."""
    return torch.amp.GradScaler(config.device, enabled=config.precision == "fp16")


def train_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    batch: Batch,
    config: TrainConfig,
) -> dict[str, float] | None:
    """Updates the student, or its data-parallel wrapper, from one batch.

    Returns:
        The loss components, their sum `loss` and `grad_norm`; None if the gradient was not finite and nothing was
        updated, BatchNorm's statistics neither. Gradients are summed over all processes before that is asked, so all
        of them answer alike.
    """
    device = next(network.parameters()).device
    buffers = list(network.buffers())
    before = [buffer.clone() for buffer in buffers]
    pixels = batch.images.to(device, non_blocking=True).float() / 255
    if config.channels_last:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    targets = [{key: value.to(device, non_blocking=True) for key, value in target.items()} for target in batch.targets]
    with torch.autocast(device.type, _AUTOCAST[config.precision], enabled=_autocasts(config)):
        losses = network(list(pixels), targets)
    loss = total_loss(losses, config.loss_weights)
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(network.parameters(), config.optimizer.clip_norm)
    finite = bool(norm.isfinite())
    if finite:
        scaler.step(optimizer)
    scaler.update()
    if not finite:
        # one activation that is not finite would stay in the running statistics for good
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        return None
    return {name: float(value.detach()) for name, value in {**losses, "loss": loss, "grad_norm": norm}.items()}


def _autocasts(config: TrainConfig) -> bool:
    # bfloat16 on the CPU pays in the keypoint head alone, which then does it by itself
    return config.precision == "fp16" or (config.precision == "bf16" and config.device == "cuda")
