"""Squeeze and excitation of MobileNetV3 in a form that ONNX Runtime computes without leaving its blocked layout."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops.misc import SqueezeExcitation

#: Channels that ONNX Runtime and OpenVINO keep together on processors with AVX-512.
_BLOCK = 16


class StaticExcitation(nn.Module):
    """`SqueezeExcitation` with the same layers: the average as a window of the map's size, scales repeated to its size.

    Both stay in blocks of channels, where a mean and a product with one scale a channel do not.
    """

    def __init__(self, module: SqueezeExcitation) -> None:
        super().__init__()
        self.scale = nn.Sequential(module.fc1, module.activation, module.fc2, module.scale_activation)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        scale = self.scale(F.avg_pool2d(x, (height, width)))
        return F.interpolate(scale, scale_factor=(float(height), float(width)), mode="nearest") * x


def use_static_excitation(module: nn.Module) -> None:
    """Replaces every `SqueezeExcitation` in `module`, whose BatchNorms are folded, and fills up its blocks of channels.

    Before one lie an expanding and a depthwise convolution, after it a projecting one (torchvision's inverted
    residual). Additional channels have weights of 0, so they stay 0 and add nothing.
    """
    for child in module.children():
        if isinstance(child, nn.Sequential) and len(child) == 4 and isinstance(child[2], SqueezeExcitation):
            expand, depthwise, project = (cast(nn.Conv2d, cast(nn.Sequential, child[i])[0]) for i in (0, 1, 3))
            excitation = child[2]
            more = -expand.out_channels % _BLOCK
            _widen(expand, outputs=more)
            _widen(depthwise, inputs=more, outputs=more)
            _widen(excitation.fc1, inputs=more)
            _widen(excitation.fc2, outputs=more)
            _widen(project, inputs=more)
            child[2] = StaticExcitation(excitation)
        else:
            use_static_excitation(child)


def _widen(layer: nn.Conv2d, inputs: int = 0, outputs: int = 0) -> None:
    """Gives a convolution more channels, of weight 0."""
    is_depthwise = layer.groups > 1
    padding = (0, 0, 0, 0, 0, 0 if is_depthwise else inputs, 0, outputs)
    layer.weight = nn.Parameter(F.pad(layer.weight, padding), requires_grad=False)
    if layer.bias is not None:
        layer.bias = nn.Parameter(F.pad(layer.bias, (0, outputs)), requires_grad=False)
    layer.in_channels, layer.out_channels = layer.in_channels + inputs, layer.out_channels + outputs
    layer.groups += inputs if is_depthwise else 0
