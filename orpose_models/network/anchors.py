"""Anchor boxes of the proposal network.

The centre of cell (i, j) of level L is (j, i) * 2**L px, as in detectron2 (and in torchvision, but for its last level).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from orpose_models.network.presets import Preset


def level_anchors(preset: Preset, level_index: int, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Anchors of one level.

    Args:
        level_index: Index into `preset.fpn_levels`.
        grid: Rows and columns of that level's feature map.
        size: Width and height of the network's input, px.

    Returns:
        `(rows * columns * A, 4)` float64, x1 y1 x2 y2 in input px, in the order (row, column, ratio). Strides are exact
        powers of two at every image size, unless the preset's conventions are to divide the image size by the grid.
    """
    across = down = 2 ** preset.fpn_levels[level_index]
    if preset.conventions.divided_strides:
        across, down = size[0] // grid[1], size[1] // grid[0]
    side = preset.anchor_sizes[level_index]
    ratios = torch.tensor(preset.anchor_ratios, dtype=torch.float64)
    widths, heights = side / ratios.sqrt(), side * ratios.sqrt()
    cell = torch.stack([-widths, -heights, widths, heights], dim=1) / 2
    if preset.conventions.rounded_anchors:
        cell = cell.round()
    rows = torch.arange(grid[0], dtype=torch.float64) * down
    columns = torch.arange(grid[1], dtype=torch.float64) * across
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    centres = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (centres + cell).reshape(-1, 4)


class PyramidAnchors(nn.Module):
    """`level_anchors` of all levels, as torchvision's anchor generator gives them; the last size is remembered."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        self._cached_for: tuple = ()
        self._cached = torch.empty(0)

    def forward(self, image_list: ImageList, features: list[Tensor]) -> list[Tensor]:
        grids = tuple((int(f.shape[-2]), int(f.shape[-1])) for f in features)
        height, width = (int(side) for side in image_list.tensors.shape[-2:])
        key = (grids, width, height, features[0].dtype, features[0].device)
        if key != self._cached_for:
            levels = [level_anchors(self.preset, i, grid, (width, height)) for i, grid in enumerate(grids)]
            anchors = torch.cat(levels)
            self._cached, self._cached_for = anchors.to(features[0]), key
        return [self._cached] * len(image_list.image_sizes)
