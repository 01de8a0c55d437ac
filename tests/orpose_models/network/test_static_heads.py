"""The static forms of layers give what the layers give, in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
from torchvision.ops.misc import SqueezeExcitation

from orpose_models.network.heads import BoxHead, KeypointHead
from orpose_models.network.lifter import Lifter
from orpose_models.network.presets import LITE
from orpose_models.network.static_excitation import use_static_excitation
from orpose_models.network.static_heads import StaticKeypointHead, StaticLifter, _read_channels_last
from orpose_models.network.static_layers import fold_batch_norms
from orpose_models.network.static_proposals import CandidateHead, best_of_levels, rows_of

SMALL = LITE.model_copy(update={"fpn_channels": 8, "keypoint_head_width": 8, "keypoint_head_layers": 1})


def lively(module: nn.Module) -> nn.Module:
    """In float64 and evaluation mode; BatchNorm and biases are not at their simple starting values."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if "running_var" in name or (tensor.dim() == 1 and "weight" in name):
            nn.init.uniform_(tensor, 0.5, 2)
        elif tensor.dim() == 1:
            nn.init.normal_(tensor)
    return module.double().eval().requires_grad_(False)


@pytest.mark.parametrize("branches", [1, 2])
def test_keypoint_head(branches: int) -> None:
    head = lively(KeypointHead(SMALL.model_copy(update={"branches": branches})))
    features = torch.randn(3, 8, 14, 14, dtype=torch.float64)
    static = StaticKeypointHead(head).double()  # type: ignore[arg-type]
    torch.testing.assert_close(static(features), head(features), rtol=0, atol=1e-12)


def test_lifter() -> None:
    lifter = lively(Lifter(24))
    joints = torch.randn(5, 16, 2, dtype=torch.float64)
    with torch.no_grad():
        static = StaticLifter(lifter)  # type: ignore[arg-type]
    torch.testing.assert_close(static(joints), lifter(joints), rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", [True, False])
def test_box_head_reads_channels_last(norm: bool) -> None:
    head = lively(BoxHead(SMALL.model_copy(update={"batch_norm_heads": norm})))
    features = torch.randn(4, 8, 7, 7, dtype=torch.float64)
    expected = head(features)
    static = copy.deepcopy(head)
    _read_channels_last(static)  # type: ignore[arg-type]
    for got, wanted in zip(static(features.permute(0, 2, 3, 1)), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [24, 32])  # 32 is whole blocks of 16
def test_excitation(channels: int) -> None:
    """An inverted residual of MobileNetV3 whose BatchNorms are folded."""
    config = InvertedResidualConfig(8, 3, channels, 16, True, "HS", 1, 1, 1.0)
    layers = nn.Sequential(lively(InvertedResidual(config, nn.BatchNorm2d)))
    maps = torch.randn(2, 8, 6, 9, dtype=torch.float64)
    expected = layers(maps)
    fold_batch_norms(layers)
    use_static_excitation(layers)
    assert not any(isinstance(module, SqueezeExcitation) for module in layers.modules())
    assert layers[0].block[1][0].out_channels == 32
    torch.testing.assert_close(layers(maps), expected, rtol=0, atol=1e-12)


def test_candidate_head_puts_logit_and_deltas_of_an_anchor_into_a_row() -> None:
    head = lively(RPNHead(8, 3))
    feature = torch.randn(2, 8, 4, 5, dtype=torch.float64)
    (logits,), (deltas,) = head([feature])
    with torch.no_grad():
        rows = CandidateHead(head)(feature)  # type: ignore[arg-type]
    assert rows.shape == (2, 4 * 5 * 3, 5)
    row, column, anchor = 2, 3, 1
    found = rows[1, (row * 5 + column) * 3 + anchor]
    expected = torch.cat([logits[1, anchor, None, row, column], deltas[1, anchor * 4 : anchor * 4 + 4, row, column]])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_best_of_levels_by_hand() -> None:
    """Two levels of 4 and 2 rows, 3 wanted of each: the second is filled up with a row that is not real."""
    first = torch.tensor([[1.0, 4, 3, 2], [9, 6, 7, 8]])[..., None]
    second = torch.tensor([[5.0, 6], [2, 1]])[..., None]
    best, real = best_of_levels([first, second], 3)
    assert best.tolist() == [[[1, 2, 3], [5, 4, 4]], [[0, 3, 2], [4, 5, 4]]]
    assert real is not None
    assert real.tolist() == [[True] * 3, [True, True, False]]
    assert rows_of(torch.cat([first, second], dim=1), best)[1, :, :, 0].tolist() == [[9, 8, 7], [2, 1, 2]]
    assert best_of_levels([first, second], 2)[1] is None
