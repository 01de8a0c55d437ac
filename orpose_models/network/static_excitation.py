"""Squeeze and excitation of MobileNetV3 in a form that ONNX Runtime computes without leaving its blocked layout."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops.misc import SqueezeExcitation

#: Channels that ONNX Runtime and OpenVINO keep together on processors with AVX-512.
_BLOCK = 16


class StaticExcitation(nn.Module):
    """`SqueezeExcitation` with the same layers.

    Maps of whole blocks of channels are averaged by a window of their size and multiplied by scales repeated to their
    size: both stay in blocks. Others have to be rearranged anyway, and a plain mean is faster than the window.
    """

    def __init__(self, module: SqueezeExcitation) -> None:
        super().__init__()
        self.scale = nn.Sequential(module.fc1, module.activation, module.fc2, module.scale_activation)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] % _BLOCK:
            return self.scale(x.mean(dim=(2, 3), keepdim=True)) * x
        height, width = x.shape[-2:]
        scale = self.scale(F.avg_pool2d(x, (height, width)))
        return F.interpolate(scale, scale_factor=(float(height), float(width)), mode="nearest") * x


def use_static_excitation(module: nn.Module) -> None:
    """Replaces every `SqueezeExcitation` in `module`."""
    for name, child in module.named_children():
        if isinstance(child, SqueezeExcitation):
            setattr(module, name, StaticExcitation(child))
        else:
            use_static_excitation(child)
