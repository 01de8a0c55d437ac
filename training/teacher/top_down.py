"""What HRNet and ViTPose share: crops of people in, heatmaps out, mirrored views turned back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orpose_models.network.backbone import normalise
from orpose_models.skeleton import COCO17
from training.teacher.crops import CropStyle, cells_to_image, crop_people, unzoomed
from training.teacher.heatmaps import Refinement, decode_heatmaps
from training.teacher.stages import Image, View


class TopDownStage:
    """A 2D stage around a network that maps crops `(N, 3, H, W)` (RGB, ImageNet's statistics) to heatmaps.

    Args:
        network: The network, `(N, 3, H, W)` -> `(N, 17, h, w)`.
        style: How it wants its crops.
        refine: How its peaks are refined.
        flip_shift: Mirrored heatmaps are shifted by one cell to the right.
        dark_kernel: Of the refinement "dark".
        batch_size: People in one go.
        device: Where the network is.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        style: CropStyle,
        *,
        refine: Refinement,
        flip_shift: bool,
        dark_kernel: int = 11,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._network, self._style, self._device = network, style, device
        self._refine, self._dark_kernel = refine, dark_kernel
        self._flip_shift, self._batch_size = flip_shift, batch_size

    @torch.no_grad()
    def heatmaps(self, image: Image, boxes: NDArray[np.float32], view: View) -> Tensor:
        """Heatmaps of the plain crops; `view.scale` is the crop's size over the plain one's."""
        found = []
        for start in range(0, len(boxes), self._batch_size):
            part = boxes[start : start + self._batch_size]
            crops = crop_people(image, part, self._style, zoom=view.scale)
            rgb = torch.from_numpy(np.ascontiguousarray(crops[..., ::-1].transpose(0, 3, 1, 2)))
            inputs = normalise(rgb.to(self._device).float() / 255)
            maps = self._mirrored(inputs) if view.flip else self._network(inputs)
            found.append(unzoomed(maps, view.scale, self._style))
        return torch.cat(found)

    def _mirrored(self, inputs: Tensor) -> Tensor:
        maps = self._network(inputs.flip(-1)).flip(-1)[:, list(COCO17.flip)]
        if self._flip_shift:
            maps = torch.cat([maps[..., :1], maps[..., :-1]], dim=-1)
        return maps

    def decode(self, heatmaps: Tensor, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        maps = heatmaps.float().cpu().numpy()
        cells, peaks = decode_heatmaps(maps, self._refine, self._dark_kernel)
        points = cells_to_image(cells, boxes, (maps.shape[-1], maps.shape[-2]), self._style)
        return np.concatenate([points, peaks.clip(0, 1)[..., None]], axis=-1).astype(np.float32)
