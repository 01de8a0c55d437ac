"""BatchNorm folded, and heavy layers in float16."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from orpose_models.network import Student
from orpose_models.network.static_layers import fold_batch_norms
from orpose_models.network.static_student import StaticStudent


@torch.no_grad()
def test_a_batch_norm_goes_into_the_layer_before_it() -> None:
    layers = nn.Sequential(
        nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(45, 4), nn.BatchNorm1d(4)
    )
    layers(torch.randn(8, 3, 5, 5) * 3 + 1)  # gives the statistics something to say
    layers.eval().double()
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    expected = layers(x)
    fold_batch_norms(layers)
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.Identity, nn.Flatten, nn.Linear, nn.Identity]
    torch.testing.assert_close(layers(x), expected, rtol=1e-12, atol=1e-12)


def test_no_batch_norm_is_left_in_the_static_network(lively_lite: Student) -> None:
    static = StaticStudent(lively_lite, (256, 192))
    assert not [m for m in static.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


@pytest.fixture(scope="module")
def float16(lively_lite: Student) -> StaticStudent:
    return StaticStudent(copy.deepcopy(lively_lite).float(), (256, 192), float16=True)


def test_what_is_float16(float16: StaticStudent) -> None:
    heads = float16.student.heads
    assert {p.dtype for p in float16.student.pyramid.parameters()} == {torch.float16}
    for layer in (heads.box.fc6, heads.keypoint.convs, heads.lifter_hard, heads.lifter_soft):
        assert {p.dtype for p in layer.parameters()} == {torch.float16}
    for layer in (float16.candidates.output, heads.box.score, heads.box.delta):
        assert {p.dtype for p in layer.parameters()} == {torch.float32}
    assert float16.anchors0.dtype == float16.mean_row.dtype == heads.keypoint.upsample.matrix.dtype == torch.float32


@torch.no_grad()
def test_outputs_are_float32(float16: StaticStudent, make_bgr_images) -> None:
    poses = float16(make_bgr_images(1, (256, 192)))
    floating = (poses.boxes, poses.scores, poses.keypoints, poses.keypoints_3d)
    assert {values.dtype for values in floating} == {torch.float32}
    assert all(values.isfinite().all() for values in floating)
    assert poses.valid.any()
