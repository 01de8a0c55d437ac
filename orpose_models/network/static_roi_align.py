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
    # Each map is transposed alone: ONNX Runtime does that while it leaves its blocked layout.
    cells = torch.cat([f.permute(0, 2, 3, 1).flatten(1, 2) for f in used], dim=1).flatten(0, 1)
    return Atlas(cells, sum(sizes), first_rows, grids, tuple(2**level for level in preset.roi_levels))


def static_pool_rois(atlas: Atlas, boxes: Tensor, cells: int, preset: Preset, *, channels_last: bool = False) -> Tensor:
    """RoI features `(B * P, C, cells, cells)` of boxes `(B, P, 4)` in input px; or `(B * P, cells, cells, C)`."""
    rows, weights = _corners(atlas, boxes, cells * preset.sampling_ratio, preset)
    if preset.sampling_ratio > 1:
        pooled = _means_of_bins(atlas.cells, rows, weights, preset.sampling_ratio)
    else:
        pooled = _weighted_rows(atlas.cells, rows, weights).flatten(0, 1)
    return pooled if channels_last else pooled.permute(0, 3, 1, 2)


def _corners(atlas: Atlas, boxes: Tensor, samples: int, preset: Preset) -> tuple[Tensor, Tensor]:
    """The four cells around every sample: rows of the atlas and weights, each `(4, B, P, S, S)`.

    The rules are those of torchvision's kernel; both axes go together, x first.
    """
    facts = [
        [1 / stride, first, 1, columns, columns - 1, rows - 1]
        for first, (rows, columns), stride in zip(atlas.first_rows, atlas.grids, atlas.strides, strict=True)
    ]
    # As floats, which are exact up to 16 million rows: fewer conversions.
    own = F.embedding(roi_level(boxes, preset), boxes.new_tensor(facts))
    scale, first, step, last = own.split([1, 1, 2, 2], dim=-1)  # each (B, P, 1 or 2)
    start, end = (boxes * scale).chunk(2, dim=-1)
    share = (torch.arange(samples, dtype=boxes.dtype, device=boxes.device) + 0.5) / samples
    if preset.conventions.aligned_rois:
        first_sample, side = start - 0.5, end - start
    else:
        first_sample, side = start, (end - start).clamp(min=1)
    position = first_sample[..., None] + side[..., None] * share  # B, P, 2, S
    last = last[..., None]
    inside = ((position >= -1) & (position <= last + 1)).to(position.dtype)
    clamped = torch.minimum(position.clamp(min=0), last)
    low = clamped.floor()
    fraction = clamped - low
    cell = torch.stack([low, torch.minimum(low + 1, last)]) * step[..., None]  # 2, B, P, 2, S
    weight = torch.stack([1 - fraction, fraction]) * inside
    x, y = cell.unbind(3)
    weight_x, weight_y = weight.unbind(3)
    first = first + torch.arange(boxes.shape[0], device=boxes.device)[:, None, None] * atlas.rows_per_image
    rows = (y + first)[:, None, ..., :, None] + x[None, ..., None, :]  # 2, 2, B, P, S, S
    weights = weight_y[:, None, ..., :, None] * weight_x[None, ..., None, :]
    return rows.flatten(0, 1).long(), weights.flatten(0, 1)


def _weighted_rows(cells: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Sum over the first axis of `rows` and `weights` `(4, ...)`: `(..., C)`."""
    # Corner by corner: each is small enough for the processor's cache.
    corners = zip(rows.unbind(0), weights.unbind(0), strict=True)
    each = [F.embedding(row, cells) * weight[..., None].to(cells.dtype) for row, weight in corners]
    return each[0] + each[1] + each[2] + each[3]


def _means_of_bins(cells: Tensor, rows: Tensor, weights: Tensor, ratio: int) -> Tensor:
    """Mean of the `ratio * ratio` samples of every bin: `(B * P, S / ratio, S / ratio, C)`.

    `rows` and `weights` are those of `_corners`, `(4, B, P, S, S)`.
    """
    count, bins = rows.shape[1] * rows.shape[2], rows.shape[-1] // ratio

    def of_bins(values: Tensor) -> Tensor:  # B * P * bins * bins, 4 * ratio * ratio
        return values.reshape(4, count, bins, ratio, bins, ratio).permute(1, 2, 4, 0, 3, 5).flatten(0, 2).flatten(1)

    # One product reads a bin's neighbours once; weighting, adding and averaging samples pass over them seven times.
    share = (of_bins(weights) / ratio**2).to(cells.dtype)
    means = share[:, None] @ F.embedding(of_bins(rows), cells)
    return means.reshape(count, bins, bins, -1)
