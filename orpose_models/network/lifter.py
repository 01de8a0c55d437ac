"""2D to 3D: the residual fully connected lifter (Martinez 2017), what enters it, and the statistics it works with.

Two inputs (a preset's `lifter_input`): "paper", 16 joints standardised as absolute px (Srivastav 2020); "confidence",
the same joints relative to their own centre and spread, each with its confidence, and where the centre is and how
large the spread. Joints of confidence 0 enter as nothing, wherever they are said to be.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orpose_models.skeleton import H36M17_FROM_COCO17, H36M17_SOURCES

#: Human3.6M-17 joints that enter, in order: all but 8, the neck (as in the public inference code of Srivastav 2020).
INPUT_JOINTS = tuple(j for j in range(17) if j != 8)
#: Joints that come out, relative to joint 0, the pelvis.
OUTPUT_JOINTS = tuple(range(1, 17))
#: Lines of the frame whose pixels the lifter's 2D input counts in (640x480).
FRAME_LINES = 480
_DROPOUT = 0.5
LifterInput = Literal["paper", "confidence"]
#: Numbers that enter: x, y; or x, y and confidence of 16 joints, and x, y and log of the spread.
INPUT_WIDTHS: dict[LifterInput, int] = {"paper": 32, "confidence": 51}
#: Places count from the centre (px) of a 640x480 frame in units (px); in units, the usual and the smallest spread.
_FRAME_CENTRE, _FRAME_UNIT, _USUAL_SPREAD, _MIN_SPREAD = (320.0, 240.0), 160.0, 0.4, 0.005
#: A joint is no farther from the centre than so many spreads.
_FARTHEST = 6.0


class Lifter(nn.Module):
    """What enters (`LifterStatistics.entering`) -> `(N, 16, 3)` standardised 3D joints. Layers have ORPose's names."""

    def __init__(self, width: int, kind: LifterInput = "paper") -> None:
        super().__init__()
        self.w1 = _linear(INPUT_WIDTHS[kind], width)
        self.batch_norm1 = nn.BatchNorm1d(width)
        self.linear_stages = nn.ModuleList(_ResidualStage(width) for _ in range(2))
        self.w2 = _linear(width, len(OUTPUT_JOINTS) * 3)

    def forward(self, joints: Tensor) -> Tensor:
        x = _activate(self, self.batch_norm1(self.w1(joints.flatten(1))))
        for stage in self.linear_stages:
            x = stage(x)
        return self.w2(x).unflatten(1, (len(OUTPUT_JOINTS), 3))


class _ResidualStage(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.w1 = _linear(width, width)
        self.batch_norm1 = nn.BatchNorm1d(width)
        self.w2 = _linear(width, width)
        self.batch_norm2 = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = _activate(self, self.batch_norm1(self.w1(x)))
        return x + _activate(self, self.batch_norm2(self.w2(y)))


def _activate(module: nn.Module, x: Tensor) -> Tensor:
    return F.dropout(F.relu(x), _DROPOUT, training=module.training)


def _linear(in_features: int, out_features: int) -> nn.Linear:
    layer = nn.Linear(in_features, out_features)
    nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class LifterStatistics(nn.Module):
    """Mean and standard deviation of the lifter's 2D (px of a 640x480 frame) and 3D (mm, pelvis-relative) joints.

    They are buffers, so they are saved and exported with the weights. The defaults are round numbers of a person in a
    room; set them from the training data before training.
    """

    mean2d: Tensor
    std2d: Tensor
    mean3d: Tensor
    std3d: Tensor

    def __init__(self, kind: LifterInput = "paper") -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("mean2d", torch.tensor([320.0, 240.0]).repeat(16, 1))
        self.register_buffer("std2d", torch.full((16, 2), 120.0))
        self.register_buffer("mean3d", torch.zeros(16, 3))
        self.register_buffer("std3d", torch.full((16, 3), 300.0))

    def set(self, mean2d: Tensor, std2d: Tensor, mean3d: Tensor, std3d: Tensor) -> None:
        """Takes `(16, 2)`, `(16, 2)`, `(16, 3)`, `(16, 3)`.

        Raises:
            ValueError: a wrong shape, a number that is not finite, or a deviation that is not positive.
        """
        for name, value in (("mean2d", mean2d), ("std2d", std2d), ("mean3d", mean3d), ("std3d", std3d)):
            buffer = getattr(self, name)
            value = torch.as_tensor(value, dtype=buffer.dtype)
            if value.shape != buffer.shape or not value.isfinite().all():
                raise ValueError(
                    f"{name}: expected {tuple(buffer.shape)} finite numbers, got shape {tuple(value.shape)}"
                )
            if name.startswith("std") and not (value > 0).all():
                raise ValueError(f"{name}: expected positive deviations, got a smallest one of {value.min():g}")
            buffer.copy_(value)

    def entering(self, joints: Tensor, confidence: Tensor) -> Tensor:
        """What the lifters read: `(N, 16, 2)` or `(N, 51)` by kind.

        Args:
            joints: `(N, 16, 2)` px of a 640x480 frame.
            confidence: `(N, 16)` in [0, 1]. The paper's input leaves it out.
        """
        return self.standardise_2d(joints) if self.kind == "paper" else relative_joints(joints, confidence)

    def standardise_2d(self, joints: Tensor) -> Tensor:
        return (joints - self.mean2d) / self.std2d

    def standardise_3d(self, joints: Tensor) -> Tensor:
        return (joints - self.mean3d) / self.std3d

    def restore_3d(self, joints: Tensor) -> Tensor:
        return joints * self.std3d + self.mean3d


def relative_joints(joints: Tensor, confidence: Tensor) -> Tensor:
    """`(N, 51)`, the input "confidence", of joints `(N, 16, 2)` px of a 640x480 frame and their confidence `(N, 16)`.

    Centre and spread (root mean square distance from it) are weighted by confidence. People of no confidence are 0.
    """
    known = (confidence > 0).to(joints.dtype)[..., None]
    weights = confidence[..., None] / confidence.sum(dim=1).clamp(min=1e-3)[:, None, None]
    points = (joints - joints.new_tensor(_FRAME_CENTRE)) / _FRAME_UNIT  # small numbers: their squares fit float16
    place = (weights * points).sum(dim=1)
    offsets = points - place[:, None]
    spread = (weights * offsets.square()).sum(dim=(1, 2)).sqrt().clamp(min=_MIN_SPREAD)[:, None]
    shape = (offsets / spread[..., None]).clamp(-_FARTHEST, _FARTHEST) * known
    return torch.cat([shape.flatten(1), confidence, place, (spread / _USUAL_SPREAD).log()], dim=1)


def joint_confidence(scores: Tensor) -> Tensor:
    """Confidence `(N, 16)` of the lifter's joints: the lowest of the COCO joints `(N, 17)` each is made of."""
    return score_3d(scores)[:, list(INPUT_JOINTS)]


def lifter_input(keypoints: Tensor, frame_scale: float | Tensor) -> Tensor:
    """The lifter's 16 joints, `(N, 16, 2)` px of a 640x480 frame, from COCO-17 `(N, 17, 2)` in network-input px."""
    matrix = torch.as_tensor(H36M17_FROM_COCO17[list(INPUT_JOINTS)], dtype=keypoints.dtype, device=keypoints.device)
    return (matrix @ keypoints) * frame_scale


def score_3d(scores: Tensor) -> Tensor:
    """Scores `(..., 17)` of the Human3.6M joints: the lowest of the COCO joints each is made of."""
    # Every joint's sources, repeated to four of them: one gather and one minimum.
    table = torch.tensor([(sources * 4)[:4] for sources in H36M17_SOURCES], device=scores.device)
    return scores.index_select(-1, table.flatten()).unflatten(-1, (17, 4)).amin(dim=-1)


def with_pelvis(joints: Tensor) -> Tensor:
    """`(N, 17, 3)` from `(N, 16, 3)`: the pelvis, the origin, put in front."""
    return torch.cat([torch.zeros_like(joints[:, :1]), joints], dim=1)
