"""Crops of people for top-down networks, and the way back, in the two conventions of published weights.

Both count pixels from the middle of the first one; everything outside of this file counts from the image's edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from training.data.geometry import CROP_PADDING
from training.teacher.stages import Image


@dataclass(frozen=True)
class CropStyle:
    """How crops are cut.

    Attributes:
        size: Width and height of the crop, px.
        unbiased: The side of the crop spans `size - 1` steps from the first pixel's middle to the last one's (Huang
            2020, UDP) instead of `size` px (the published HRNet code).
    """

    size: tuple[int, int]
    unbiased: bool

    def span(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """What a crop's sides measure in cells of a map of `size` (w, h)."""
        return np.array(size, np.float64) - (1 if self.unbiased else 0)


def crop_regions(boxes: NDArray, style: CropStyle, zoom: float = 1.0) -> tuple[NDArray, NDArray]:
    """Centres `(N, 2)` and sides `(N, 2)`, px, of the crops of boxes `(N, 4)` xyxy.

    The box is widened or heightened to the crop's aspect, then enlarged by 1.25 (the published code's `scale` is the
    side / 200) and by `zoom`.
    """
    boxes = np.asarray(boxes, np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    aspect = style.size[0] / style.size[1]
    width = np.maximum(sides[:, 0], sides[:, 1] * aspect)
    return (boxes[:, :2] + boxes[:, 2:]) / 2, np.stack([width, width / aspect], axis=1) * CROP_PADDING * zoom


def crop_people(image: Image, boxes: NDArray, style: CropStyle, zoom: float = 1.0) -> NDArray[np.uint8]:
    """Crops `(N, h, w, 3)` BGR; what lies outside of the image is black."""
    centres, sides = crop_regions(boxes, style, zoom)
    crops = np.zeros((len(boxes), style.size[1], style.size[0], 3), np.uint8)
    span = style.span(style.size)
    for crop, centre, side in zip(crops, centres, sides, strict=True):
        factor = span / side
        matrix = np.array([[factor[0], 0, 0], [0, factor[1], 0]])
        matrix[:, 2] = span / 2 - factor * centre
        crop[:] = cv2.warpAffine(image, matrix, style.size, flags=cv2.INTER_LINEAR)
    return crops


def cells_to_image(cells: NDArray, boxes: NDArray, map_size: tuple[int, int], style: CropStyle) -> NDArray[np.float64]:
    """Image px, from the image's edges, `(N, J, 2)` of cells x, y of maps of `map_size` (w, h) over the plain crops."""
    centres, sides = crop_regions(boxes, style)
    span = style.span(map_size)
    return (cells - span / 2) * (sides / span)[:, None] + centres[:, None] + 0.5


def unzoomed(heatmaps: Tensor, zoom: float, style: CropStyle) -> Tensor:
    """Heatmaps `(N, J, h, w)` of crops enlarged by `zoom`, sampled where the plain crop has its cells; 0 outside."""
    if zoom == 1:
        return heatmaps
    height, width = heatmaps.shape[-2:]
    axes = []
    for size, span in zip((width, height), style.span((width, height)), strict=True):
        cells = (torch.arange(size, dtype=torch.float64) - span / 2) / zoom + span / 2
        axes.append((cells * 2 / (size - 1) - 1).to(heatmaps))
    y, x = torch.meshgrid(axes[1], axes[0], indexing="ij")
    grid = torch.stack([x, y], dim=-1).expand(len(heatmaps), -1, -1, -1)
    return F.grid_sample(heatmaps, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
