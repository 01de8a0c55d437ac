"""Image to feature pyramid: a torchvision trunk (never with downloaded weights) and an FPN on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large, resnet50

from orpose_models.network.presets import Preset

#: Weight of a batch in BatchNorm's running statistics: small batches make noisy ones, so less than torch's 0.1.
BATCH_NORM_MOMENTUM = 0.03


class Trunk(nn.Module):
    """Stages of a classification network; `forward` gives C2, C3, C4, C5 (strides 4, 8, 16, 32)."""

    def __init__(self, stages: Sequence[nn.Module], channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels

    def forward(self, images: Tensor) -> list[Tensor]:
        outputs = []
        x = images
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


def _mobilenet_v3_large_trunk(_: Preset) -> Trunk:
    layers = mobilenet_v3_large(weights=None).features
    # layers[16], the 960-channel convolution, is left out: the pyramid reads the 160 channels before it.
    stages = [nn.Sequential(*layers[a:b]) for a, b in ((0, 4), (4, 7), (7, 13), (13, 16))]
    return Trunk(stages, (24, 40, 112, 160))


def _resnet50_trunk(preset: Preset) -> Trunk:
    net = resnet50(weights=None)
    if preset.conventions.stride_in_1x1:
        for stage in (net.layer2, net.layer3, net.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = stage[0].conv2.stride, stage[0].conv1.stride
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1)
    return Trunk([stem, net.layer2, net.layer3, net.layer4], (256, 512, 1024, 2048))


_TRUNKS = {"mobilenet_v3_large": _mobilenet_v3_large_trunk, "resnet50": _resnet50_trunk}


def conv(in_channels: int, out_channels: int, kernel: int, *, norm: bool) -> nn.Module:
    """A same-size convolution, with BatchNorm instead of a bias where `norm` is set. No activation."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=not norm)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, nn.BatchNorm2d(out_channels)) if norm else layer


def upsample2(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest x2, cut to `size` (h, w): a level of odd size lost its last half cell on the way up."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")[..., : size[0], : size[1]]


class Pyramid(nn.Module):
    """Trunk + FPN. `forward` gives one `(B, C, ceil(H / 2**L), ceil(W / 2**L))` map per level L of the preset."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.trunk = _TRUNKS[preset.backbone](preset)
        levels = preset.roi_levels
        self.first = levels[0] - 2
        width, norm = preset.fpn_channels, preset.batch_norm_heads
        self.lateral = nn.ModuleList(conv(self.trunk.channels[level - 2], width, 1, norm=norm) for level in levels)
        self.output = nn.ModuleList(conv(width, width, 3, norm=norm) for _ in levels)
        self._frozen = False
        for module in self._batch_norms():
            module.momentum = BATCH_NORM_MOMENTUM

    def _batch_norms(self) -> Iterator[nn.BatchNorm2d]:
        return (module for module in self.modules() if isinstance(module, nn.BatchNorm2d))

    def freeze_batch_norm(self) -> None:
        """From now on BatchNorms keep their statistics, scales and offsets in training (detectron2's FrozenBN)."""
        self._frozen = True
        for module in self._batch_norms():
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Pyramid:
        super().train(mode)
        if self._frozen:
            for module in self._batch_norms():
                module.eval()
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        stages = self.trunk(images)[self.first :]
        laterals = [lateral(stage) for lateral, stage in zip(self.lateral, stages, strict=True)]
        for i in range(len(laterals) - 2, -1, -1):
            laterals[i] = laterals[i] + upsample2(laterals[i + 1], laterals[i].shape[-2:])
        levels = [output(x) for output, x in zip(self.output, laterals, strict=True)]
        return [*levels, F.max_pool2d(levels[-1], kernel_size=1, stride=2)]


def normalise(images: Tensor) -> Tensor:
    """RGB in 0-1, `(..., 3, H, W)`, to zero mean and unit variance of natural images (torchvision's constants)."""
    mean = torch.tensor(IMAGE_MEAN, dtype=images.dtype, device=images.device).view(3, 1, 1)
    std = torch.tensor(IMAGE_STD, dtype=images.dtype, device=images.device).view(3, 1, 1)
    return (images - mean) / std


IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
