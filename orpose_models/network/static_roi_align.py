"""RoIAlign as tensor operations of fixed shape, equal to torchvision's, on all pyramid levels at once.

The levels are laid one after the other into a table of cells; every sample gathers its four neighbours as rows of that
table. ONNX Runtime's gather of rows is a plain copy, where its GridSample goes sample by sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from orpose_models.network.presets import Preset
from orpose_models.network.roi_align import roi_level


@dataclass(frozen=True)
class Atlas:
    """Cells of all RoI levels: `cells` (B * R, C), and per level the first row, the grid and the stride."""

    cells: Tensor
    rows_per_image: int
    first_rows: tuple[int, ...]
    grids: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]


def build_atlas(features: list[Tensor], preset: Preset) -> Atlas:
    """The atlas of the maps `(B, C, h, w)` of `preset.roi_levels`."""
    used = features[: len(preset.roi_levels)]
    grids = tuple((int(f.shape[-2]), int(f.shape[-1])) for f in used)
    sizes = [h * w for h, w in grids]
    first_rows = tuple(sum(sizes[:i]) for i in range(len(sizes)))
    cells = torch.cat([f.flatten(2) for f in used], dim=2).transpose(1, 2).flatten(0, 1)
    return Atlas(cells, sum(sizes), first_rows, grids, tuple(2**level for level in preset.roi_levels))


def static_pool_rois(atlas: Atlas, boxes: Tensor, cells: int, preset: Preset) -> Tensor:
    """RoI features `(B * P, C, cells, cells)` of boxes `(B, P, 4)` in input px."""
    batch, count = boxes.shape[:2]
    level = roi_level(boxes, preset)
    atlas_facts = (atlas.first_rows, atlas.grids, atlas.strides)
    facts = [[first, *grid, stride] for first, grid, stride in zip(*atlas_facts, strict=True)]
    first, rows, columns, stride = F.embedding(level, torch.tensor(facts, device=boxes.device)).unbind(-1)
    samples = cells * preset.sampling_ratio
    aligned = preset.conventions.aligned_rois
    y = _axis(boxes[..., 1], boxes[..., 3], stride, rows, samples, aligned)
    x = _axis(boxes[..., 0], boxes[..., 2], stride, columns, samples, aligned)
    first = first + torch.arange(batch, device=boxes.device)[:, None] * atlas.rows_per_image
    pooled = _gather(atlas.cells, first, columns, y, x)  # B, P, S, S, C
    pooled = pooled.permute(0, 1, 4, 2, 3).reshape(batch * count, -1, samples, samples)
    if preset.sampling_ratio > 1:
        pooled = F.avg_pool2d(pooled, preset.sampling_ratio)
    return pooled


@dataclass(frozen=True)
class _Axis:
    """Neighbours of the samples of one axis: cell indices and weights, each `(B, P, S)`."""

    low: Tensor
    high: Tensor
    weight_low: Tensor
    weight_high: Tensor


def _axis(start: Tensor, end: Tensor, stride: Tensor, length: Tensor, samples: int, aligned: bool) -> _Axis:
    """Samples of RoIs from `start` to `end` (px) on axes of `length` cells: the rules of torchvision's kernel."""
    share = (torch.arange(samples, dtype=start.dtype, device=start.device) + 0.5) / samples
    first, side = start / stride, (end - start) / stride
    first, side = (first - 0.5, side) if aligned else (first, side.clamp(min=1))
    position = first[..., None] + side[..., None] * share
    last = (length - 1).to(position.dtype)[..., None]
    inside = ((position >= -1) & (position <= last + 1)).to(position.dtype)
    clamped = torch.minimum(position.clamp(min=0), last)
    low = clamped.floor()
    fraction = clamped - low
    high = torch.minimum(low + 1, last)
    return _Axis(low.long(), high.long(), (1 - fraction) * inside, fraction * inside)


def _gather(cells: Tensor, first: Tensor, columns: Tensor, y: _Axis, x: _Axis) -> Tensor:
    """Bilinear samples `(B, P, S, S, C)`."""
    first, columns = first[..., None], columns[..., None]

    def corner(rows: Tensor, across: Tensor, weight_y: Tensor, weight_x: Tensor) -> Tensor:
        index = (first + rows * columns)[..., :, None] + across[..., None, :]
        return F.embedding(index, cells) * (weight_y[..., :, None] * weight_x[..., None, :])[..., None]

    return (
        corner(y.low, x.low, y.weight_low, x.weight_low)
        + corner(y.low, x.high, y.weight_low, x.weight_high)
        + corner(y.high, x.low, y.weight_high, x.weight_low)
        + corner(y.high, x.high, y.weight_high, x.weight_high)
    )
