"""Forms of the student's head layers that run faster where shapes are fixed. Weights and answers stay the same."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from orpose_models.network.heads import BOX_CELLS, KEYPOINT_CELLS, NUM_KEYPOINTS, BoxHead, KeypointHead
from orpose_models.network.lifter import Lifter
from orpose_models.network.roi_heads import RoIHeads


@torch.no_grad()
def use_static_heads(heads: RoIHeads) -> None:
    """Replaces layers of `heads` by the forms below; with one sample a cell the box head reads `(N, 7, 7, C)`."""
    heads.keypoint = StaticKeypointHead(heads.keypoint)  # type: ignore[assignment]
    for name in ("lifter_hard", "lifter_soft"):
        if hasattr(heads, name):
            setattr(heads, name, StaticLifter(getattr(heads, name)))
    if heads.preset.sampling_ratio == 1:
        _read_channels_last(heads.box)


class StaticKeypointHead(nn.Module):
    """`KeypointHead` without interleaving: a convolution and two matrix products instead of a transposed convolution.

    The transposed one (4x4, stride 2, padding 1) is four 2x2 kernels of stride 1, one for each parity a, b of the
    output's row and column: with the input padded by one cell, output 2 m + a is at place m + a. The bilinear x2 that
    follows is a matrix product along each axis, so the rows of its matrix are put in the order of (parity, place).
    """

    def __init__(self, head: KeypointHead) -> None:
        super().__init__()
        self.convs, self.branches = head.convs, head.branches
        branches = (head.hard, head.soft) if head.branches == 2 else (head.hard,)
        weight = torch.cat([branch.weight for branch in branches], dim=1)  # in, C, 4, 4
        bias = torch.cat([branch.bias for branch in branches if branch.bias is not None])
        taps = torch.tensor([[3, 1], [2, 0]])  # of parity 0 and 1, on the cell before and the cell itself
        four = weight[:, :, taps][..., taps].permute(1, 2, 4, 0, 3, 5)  # C, a, b, in, 2, 2
        self.scores = nn.Conv2d(weight.shape[0], 4 * weight.shape[1], 2, padding=1)
        self.scores.weight = nn.Parameter(four.flatten(0, 2).contiguous(), requires_grad=False)
        self.scores.bias = nn.Parameter(bias.repeat_interleave(4), requires_grad=False)
        self.upsample = _UpsampleParities(KEYPOINT_CELLS + 1)

    def forward(self, roi_features: Tensor) -> Tensor:
        return self.upsample(self.scores(self.convs(roi_features))).unflatten(1, (self.branches, NUM_KEYPOINTS))


class _UpsampleParities(nn.Module):
    """Bilinear x2 of maps kept as (parity, place): `(N, 4 C, S, S)` -> `(N, C, 4 (S - 1), 4 (S - 1))`."""

    matrix: Tensor

    def __init__(self, places: int) -> None:
        super().__init__()
        self.register_buffer("matrix", _upsampling(places), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        matrix = self.matrix.to(maps.dtype)
        maps = maps.unflatten(1, (-1, 2, 2)).permute(0, 1, 2, 4, 3, 5)  # N, C, a, places, b, places
        return matrix.T @ (maps.flatten(4).flatten(2, 3) @ matrix)


def _upsampling(places: int) -> Tensor:
    """`(2 * places, 4 * (places - 1))`: bilinear x2 of a row of 2 * (places - 1) cells kept as (parity, place)."""
    cells = 2 * (places - 1)
    bilinear = F.interpolate(torch.eye(cells)[None], scale_factor=2.0, mode="linear", align_corners=False)[0]
    rows = torch.zeros(2, places, 2 * cells)
    rows[0, :-1], rows[1, 1:] = bilinear[0::2], bilinear[1::2]  # the other two places belong to no cell
    return rows.flatten(0, 1)


class StaticLifter(nn.Module):
    """`Lifter` as 1x1 convolutions over a row of people: a runtime's threads share the channels of one layer."""

    def __init__(self, lifter: Lifter) -> None:
        super().__init__()
        self.first = _layer(lifter.w1, lifter.batch_norm1)
        self.stages = nn.ModuleList(_stage(stage) for stage in lifter.linear_stages)
        self.last = _as_convolution(lifter.w2)

    def forward(self, joints: Tensor) -> Tensor:
        x = self.first(joints.flatten(1).T[None, :, None])  # 1, values, 1, N
        for stage in self.stages:
            x = x + stage(x)
        return self.last(x)[0, :, 0].T.unflatten(1, (-1, 3))


def _stage(stage: Any) -> nn.Module:
    return nn.Sequential(_layer(stage.w1, stage.batch_norm1), _layer(stage.w2, stage.batch_norm2))


def _layer(linear: nn.Linear, norm: nn.BatchNorm1d) -> nn.Module:
    return nn.Sequential(_as_convolution(fuse_linear_bn_eval(linear, norm)), nn.ReLU())


def _as_convolution(linear: nn.Linear) -> nn.Conv2d:
    layer = nn.Conv2d(linear.in_features, linear.out_features, 1)
    layer.weight = nn.Parameter(linear.weight[..., None, None].clone(), requires_grad=False)
    layer.bias = nn.Parameter(linear.bias.clone(), requires_grad=False)
    return layer


def _read_channels_last(head: BoxHead) -> None:
    """Lets the box head's first layer read RoI features as `(N, 7, 7, C)`, flattened, in place of `(N, C, 7, 7)`."""
    first = head.fc6 if isinstance(head.fc6, nn.Linear) else head.fc6[0]  # type: ignore[index]
    weight = first.weight.unflatten(1, (-1, BOX_CELLS**2)).transpose(1, 2).flatten(1)
    first.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
