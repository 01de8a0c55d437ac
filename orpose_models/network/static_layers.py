"""Rewrites of a trained student's layers for the static graph: BatchNorm folded, heavy layers in float16."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from orpose_models.network.static_proposals import CandidateHead
from orpose_models.network.student import Student


class CastTo(nn.Module):
    """Values in another floating type."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)


def fold_batch_norms(module: nn.Module) -> None:
    """Puts every BatchNorm below `module` (evaluation mode) into the layer before it, in that layer's own precision.

    "Before" is the order of registration, which is that of the computation wherever the student has a BatchNorm. Done
    here rather than by the exporters, because float16 weights must be rounded once, after folding.
    """
    for parent in list(module.modules()):
        children = list(parent.named_children())
        for (name, layer), (norm_name, norm) in pairwise(children):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
            elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                setattr(parent, name, fuse_linear_bn_eval(layer, norm))
            else:
                continue
            setattr(parent, norm_name, nn.Identity())


def compute_in_float16(student: Student, candidates: CandidateHead) -> None:
    """Makes the heavy layers compute in float16: trunk, pyramid, proposal head, fc6, fc7, keypoint head, lifters.

    The layers that give scores and box deltas stay float32, as do the enlargement of heatmaps and their decoding.

    Raises:
        ValueError: A weight beyond float16's range.
    """
    heads = student.heads
    box, keypoint = heads.box, heads.keypoint
    convolutions: nn.Module = keypoint.scores  # type: ignore[assignment]
    for part in (student.pyramid, candidates.shared, box.fc6, box.fc7, keypoint.convs, convolutions):
        part.half()
    for layer in heads.lifters:
        layer.half()
    for name, parameter in (*student.named_parameters(), *candidates.named_parameters()):
        if not parameter.isfinite().all():
            raise ValueError(f"precision fp16: weights of {name} are beyond its range; use fp32")
    _wrap(candidates, "output", CastTo(torch.float32))
    _wrap(box, "score", CastTo(torch.float32))
    _wrap(box, "delta", CastTo(torch.float32))
    keypoint.scores = nn.Sequential(convolutions, CastTo(torch.float32))
    for name in ("lifter_hard", "lifter_soft")[: len(heads.lifters)]:
        _wrap(heads, name, CastTo(torch.float16), CastTo(torch.float32))


def _wrap(parent: nn.Module, name: str, before: nn.Module, *after: nn.Module) -> None:
    setattr(parent, name, nn.Sequential(before, getattr(parent, name), *after))
