"""The runtime's letterbox (runtime/letterbox.py) as tensor operations of fixed shape: a camera frame -> network input.

Each axis is a weighted sum of a few gathered rows or columns, as many as an output pixel covers: area means to shrink,
bilinear to enlarge, with OpenCV's rules. What OpenCV rounds to whole grey levels stays exact here.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from orpose_models.network.boxes import clip_boxes
from orpose_models.runtime.letterbox import PADDING_BGR, Letterbox


class StaticLetterbox(nn.Module):
    """`(B, h, w, 3)` uint8 BGR frames -> `(B, H, W, 3)` float32, 0-255.

    Args:
        frame_size: Width and height of the frames, px.
        input_size: Width and height of the network's input, px.
    """

    padding: Tensor

    def __init__(self, frame_size: tuple[int, int], input_size: tuple[int, int]) -> None:
        super().__init__()
        self.letterbox = Letterbox.fit(frame_size, input_size)
        left, top, width, height = self.letterbox.content_xywh
        shrinks = width * height < frame_size[0] * frame_size[1]
        self.columns = _Resize(2, *_taps(frame_size[0], width, shrinks))
        self.rows = _Resize(1, *_taps(frame_size[1], height, shrinks))
        self.margins = (0, 0, left, input_size[0] - left - width, top, input_size[1] - top - height)
        self.register_buffer("padding", torch.tensor(PADDING_BGR, dtype=torch.float32), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        content = self.columns(self.rows(frames.to(self.padding.dtype)))
        if not any(self.margins):
            return content
        return F.pad(content - self.padding, self.margins) + self.padding

    def boxes_to_frame(self, boxes: Tensor) -> Tensor:
        """Boxes `(..., 4)` from network-input px to frame px, cut to the frame."""
        corners = self.points_to_frame(boxes.unflatten(-1, (2, 2))).flatten(-2)
        return clip_boxes(corners, self.letterbox.frame_size)

    def points_to_frame(self, points: Tensor) -> Tensor:
        """Points `(..., 2)` from network-input px to frame px."""
        left, top, width, height = self.letterbox.content_xywh
        frame_width, frame_height = self.letterbox.frame_size
        return (points - points.new_tensor([left, top])) * points.new_tensor(
            [frame_width / width, frame_height / height]
        )


class _Resize(nn.Module):
    """One axis: the sum over k of `weights[k]` times the lines `indices[k]`, each `(K, target)`."""

    indices: Tensor
    weights: Tensor

    def __init__(self, axis: int, indices: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("indices", torch.from_numpy(indices), persistent=False)
        self.register_buffer("weights", torch.from_numpy(weights).float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        count, target = self.indices.shape
        shape = [1, 1, 1, 1]
        shape[self.axis] = target
        lines = [image.index_select(self.axis, self.indices[k]) * self.weights[k].view(shape) for k in range(count)]
        return torch.stack(lines).sum(dim=0) if count > 1 else lines[0]


def _taps(length: int, target: int, shrinks: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each of `target` outputs the source lines it is made of, and their weights: two `(K, target)`."""
    if length == target:
        return np.arange(target)[None], np.ones((1, target))
    return _area_taps(length, target) if shrinks else _linear_taps(length, target)


def _area_taps(length: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """OpenCV's INTER_AREA: the share of the output's extent that each line covers."""
    scale = length / target
    start = np.arange(target) * scale
    first = np.floor(start + 1e-9).astype(np.int64)
    lines = first + np.arange(math.ceil(scale) + 1)[:, None]
    covered = np.minimum(lines + 1, start + scale) - np.maximum(lines, start)
    weights = np.where(lines < length, covered, 0).clip(0) / scale
    used = weights.max(axis=1) > 1e-6
    weights, lines = weights[used], lines[used]
    return lines.clip(max=length - 1), weights / weights.sum(axis=0)


def _linear_taps(length: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """OpenCV's INTER_LINEAR: pixel centres, the border repeated."""
    position = ((np.arange(target) + 0.5) * length / target - 0.5).clip(0, length - 1)
    low = np.floor(position).astype(np.int64)
    fraction = position - low
    return np.stack([low, np.minimum(low + 1, length - 1)]), np.stack([1 - fraction, fraction])
