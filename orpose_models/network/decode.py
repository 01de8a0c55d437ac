"""Heatmaps to joints, and the calibration of their scores.

`decode_subcell` is what the static graph and the dynamic way use. `decode_bicubic` is the reference of the public code
(every map resized to its RoI, then arg-max); a test states how far apart they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def decode_subcell(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Peaks with sub-cell refinement.

    The arg-max is taken as two 1-D ones, of the column and of the row maxima. A parabola through each one's peak and
    its two neighbours refines it: the profile of maxima has its top where the peak has it, also a slanted peak, for
    which a row and a column through its highest cell would not do.

    Args:
        logits: `(..., S, S)` heatmaps over the RoI.

    Returns:
        `(..., 2)` x and y as shares of the RoI's width and height, `(cell + 0.5) / S`, and the peak's logit `(...)`.
    """
    return decode_profiles(profiles_of(logits))


def profiles_of(logits: Tensor) -> Tensor:
    """`(..., 2, S)`: the column maxima (along x) and the row maxima (along y) of maps `(..., S, S)`."""
    return torch.stack([logits.amax(dim=-2), logits.amax(dim=-1)], dim=-2)


def decode_profiles(profiles: Tensor) -> tuple[Tensor, Tensor]:
    """`decode_subcell` from `profiles_of` the maps, so that several maps' profiles are decoded in one go."""
    size = profiles.shape[-1]
    cell = profiles.argmax(dim=-1, keepdim=True)
    # Outside the map the neighbour is mirrored, which leaves a peak on the border where it is.
    left = (cell - 1).abs()
    right = (size - 1) - (size - 2 - cell).abs()
    lower, peak, upper = profiles.gather(-1, torch.cat([left, cell, right], dim=-1)).unbind(-1)
    curvature = (2 * peak - lower - upper).clamp(min=1e-6)
    offset = ((upper - lower) / (2 * curvature)).clamp(-0.5, 0.5)
    return (cell.squeeze(-1) + offset + 0.5) / size, peak[..., 0]


def decode_bicubic(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The reference decoding: `(N, J, S, S)` maps, each resized bicubically to its box `(N, 4)` in px, then arg-max.

    Returns:
        `(N, J, 2)` as `decode_subcell`, and the resized peak's logit `(N, J)`.
    """
    points, peaks = [torch.zeros_like(logits[:0, :, 0, :2])], [torch.zeros_like(logits[:0, :, 0, 0])]
    for maps, box in zip(logits, boxes, strict=True):
        width, height = ((box[2:] - box[:2]).clamp(min=1).ceil().int()).tolist()
        resized = F.interpolate(maps[None], size=(height, width), mode="bicubic", align_corners=False)[0].flatten(1)
        peak, position = resized.max(dim=1)
        x = (position % width + 0.5) / width
        y = (position // width + 0.5) / height
        points.append(torch.stack([x, y], dim=-1)[None].to(logits))
        peaks.append(peak[None])
    return torch.cat(points), torch.cat(peaks)


def softmax_peak(logits: Tensor, peak: Tensor) -> Tensor:
    """The softmax over each `(..., S, S)` map, read at its peak's logit `(...)`, the map's highest."""
    return 1 / (logits.flatten(-2) - peak.unsqueeze(-1)).exp().sum(dim=-1)


def place_in_boxes(points: Tensor, boxes: Tensor) -> Tensor:
    """Px `(N, ..., 2)` from shares of the boxes `(N, 4)`."""
    corners = boxes.view(-1, *[1] * (points.dim() - 2), 4)
    return corners[..., :2] + points * (corners[..., 2:] - corners[..., :2])


class ScoreCalibration(nn.Module):
    """A monotone, piecewise linear map of softmax peaks to scores in 0-1; the identity until it is set."""

    KNOTS = 17
    peaks: Tensor
    scores: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("peaks", torch.linspace(0, 1, self.KNOTS))
        self.register_buffer("scores", torch.linspace(0, 1, self.KNOTS))

    def set(self, peaks: Tensor, scores: Tensor) -> None:
        """Takes 17 increasing softmax peaks from 0 to 1 and their scores, not decreasing, within 0-1.

        Raises:
            ValueError: anything else.
        """
        peaks, scores = torch.as_tensor(peaks).to(self.peaks), torch.as_tensor(scores).to(self.scores)
        if peaks.shape != (self.KNOTS,) or scores.shape != (self.KNOTS,):
            raise ValueError(
                f"calibration: expected {self.KNOTS} knots, got {tuple(peaks.shape)} and {tuple(scores.shape)}"
            )
        if peaks[0] != 0 or peaks[-1] != 1 or not (peaks.diff() > 0).all():
            raise ValueError(f"calibration peaks: expected increasing from 0 to 1, got {peaks.tolist()}")
        if scores.min() < 0 or scores.max() > 1 or not (scores.diff() >= 0).all():
            raise ValueError(f"calibration scores: expected not decreasing within 0-1, got {scores.tolist()}")
        self.peaks.copy_(peaks)
        self.scores.copy_(scores)

    def forward(self, peak: Tensor) -> Tensor:
        widths = self.peaks.diff()
        covered = ((peak.unsqueeze(-1) - self.peaks[:-1]) / widths).clamp(0, 1)
        return self.scores[0] + (covered * self.scores.diff()).sum(dim=-1)
