"""The box head and the keypoint head, of two branches or one, on RoI features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orpose_models.network.backbone import BATCH_NORM_MOMENTUM, conv
from orpose_models.network.presets import Preset
from orpose_models.network.rpn import prior_bias

BOX_CELLS = 7
KEYPOINT_CELLS = 14
#: Side of the heatmaps, in cells over the RoI.
HEATMAP_CELLS = 56
NUM_KEYPOINTS = 17


class BoxHead(nn.Module):
    """`(N, C, 7, 7)` RoI features -> class logits `(N, 2)` (background, person) and box deltas `(N, 4)`."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        width, norm = preset.box_head_width, preset.batch_norm_heads
        self.fc6 = _linear(preset.fpn_channels * BOX_CELLS**2, width, norm=norm)
        self.fc7 = _linear(width, width, norm=norm)
        self.score = nn.Linear(width, 2)
        self.delta = nn.Linear(width, 4)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.normal_(self.delta.weight, std=0.001)
        nn.init.zeros_(self.delta.bias)
        self.score.bias.data = torch.tensor([0.0, prior_bias()])

    def forward(self, roi_features: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.fc6(roi_features.flatten(1)))
        x = F.relu(self.fc7(x))
        return self.score(x), self.delta(x)


def _linear(in_features: int, out_features: int, *, norm: bool) -> nn.Module:
    layer = nn.Linear(in_features, out_features, bias=not norm)
    nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, nn.BatchNorm1d(out_features, momentum=BATCH_NORM_MOMENTUM)) if norm else layer


class KeypointHead(nn.Module):
    """Shared convolutions, then one transposed convolution per branch (Srivastav 2020).

    `forward`: `(N, C, 14, 14)` RoI features -> heatmap logits `(N, 2, 17, 56, 56)`, branch 0 hard, branch 1 soft.
    A single branch, `(N, 1, 17, 56, 56)`, has the hard one's names, as a COCO-trained head has in the public code.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        width, norm = preset.keypoint_head_width, preset.batch_norm_heads
        layers: list[nn.Module] = []
        for i in range(preset.keypoint_head_layers):
            layers += [conv(width if i else preset.fpn_channels, width, 3, norm=norm), nn.ReLU(inplace=True)]
        self.convs = nn.Sequential(*layers)
        for module in self.convs.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = BATCH_NORM_MOMENTUM
        self.hard = _upscore(width)
        if preset.branches == 2:
            self.soft = _upscore(width)
        self.branches = preset.branches
        self.upsample = BilinearUpsample()
        #: Training only: the 3x3 convolutions, a quarter of a step's time on the CPU, in bfloat16 (three times faster).
        self.train_in_bf16 = False

    def forward(self, roi_features: Tensor) -> Tensor:
        if self.train_in_bf16 and self.training:
            with torch.autocast(roi_features.device.type, torch.bfloat16):
                x = self.convs(roi_features)
            x = x.float()  # heatmaps stay exact
        else:
            x = self.convs(roi_features)
        # One 34-channel transposed convolution costs less than two of 17.
        branches = (self.hard, self.soft) if self.branches == 2 else (self.hard,)
        weight = torch.cat([branch.weight for branch in branches], dim=1)
        bias = torch.cat([branch.bias for branch in branches if branch.bias is not None])
        x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
        return self.upsample(x).unflatten(1, (self.branches, NUM_KEYPOINTS))


class BilinearUpsample(nn.Module):
    """Bilinear x2 of heatmaps as two matrix products, which are faster than torch's kernel, most of all backward."""

    def forward(self, maps: Tensor) -> Tensor:
        size = maps.shape[-1]
        unit = torch.eye(size, dtype=maps.dtype, device=maps.device)[None]
        matrix = F.interpolate(unit, scale_factor=2.0, mode="linear", align_corners=False)[0]  # size, 2 * size
        return matrix.T @ (maps @ matrix)


def _upscore(width: int) -> nn.ConvTranspose2d:
    layer = nn.ConvTranspose2d(width, NUM_KEYPOINTS, kernel_size=4, stride=2, padding=1)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
