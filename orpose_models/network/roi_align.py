"""Which pyramid level a RoI is read from, and the dynamic way to read it (torchvision's RoIAlign)."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import roi_align

from orpose_models.network.presets import Preset


def roi_level(boxes: Tensor, preset: Preset) -> Tensor:
    """Index into `preset.roi_levels` for boxes `(..., 4)`: the FPN paper's rule, by area instead of logarithms."""
    sides = boxes[..., 2:] - boxes[..., :2]
    area = sides[..., 0] * sides[..., 1]
    limits = [(preset.canonical_size * 2.0 ** (level - 4)) ** 2 for level in preset.roi_levels[1:]]
    return (area[..., None] >= area.new_tensor(limits)).sum(dim=-1)


def pool_rois(features: list[Tensor], boxes: list[Tensor], cells: int, preset: Preset) -> Tensor:
    """RoI features `(sum N, C, cells, cells)` of each image's boxes `(N, 4)`, in input px."""
    image_index = torch.cat([torch.full_like(b[:, :1], i) for i, b in enumerate(boxes)])
    rois = torch.cat([image_index, torch.cat(boxes)], dim=1)
    levels = roi_level(rois[:, 1:], preset)
    aligned = preset.conventions.aligned_rois
    samples = 0 if preset.conventions.adaptive_sampling else preset.sampling_ratio
    pooled = features[0].new_zeros(len(rois), features[0].shape[1], cells, cells)
    for i, level in enumerate(preset.roi_levels):
        chosen = torch.where(levels == i)[0]
        if len(chosen):
            values = roi_align(features[i], rois[chosen], cells, 2.0**-level, samples, aligned)
            pooled[chosen] = values.to(pooled.dtype)
    return pooled
