"""Conventions of networks from elsewhere: against torchvision, both ways of inference, and in weight files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign

from orpose_models.errors import ModelError
from orpose_models.network import Student, build_student, get_preset, load_student, save_weights
from orpose_models.network.anchors import PyramidAnchors, level_anchors
from orpose_models.network.conventions import Conventions
from orpose_models.network.presets import Preset
from orpose_models.network.roi_align import pool_rois
from orpose_models.network.static_roi_align import build_atlas, static_pool_rois
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.weights import CONVENTIONS_KEY, FORMAT_KEY, PRESET_KEY

SIZE = (640, 480)


def r50(**conventions: bool) -> Preset:
    return get_preset("r50").with_conventions(Conventions(**conventions))


def pyramid(preset: Preset) -> list[Tensor]:
    width, height = SIZE
    return [torch.randn(1, 3, -(-height // 2**L), -(-width // 2**L), dtype=torch.float64) for L in preset.fpn_levels]


def test_divided_strides_are_torchvisions() -> None:
    """At 480 lines the last level has 8 rows: 60 px apart, not 64."""
    preset = r50(divided_strides=True)
    features = pyramid(preset)
    images = ImageList(torch.zeros(1, 3, SIZE[1], SIZE[0]), [(SIZE[1], SIZE[0])])
    expected = AnchorGenerator(tuple((size,) for size in preset.anchor_sizes), (preset.anchor_ratios,) * 5)
    got = PyramidAnchors(preset)(images, features)[0]
    assert torch.equal(got, expected(images, features)[0])
    assert not torch.equal(got, PyramidAnchors(r50())(images, features)[0])


def test_anchors_that_are_not_rounded_by_hand() -> None:
    first = level_anchors(r50(rounded_anchors=False), 0, (1, 1), SIZE)
    wide, high = 32 * 2**0.5 / 2, 32 / 2**0.5 / 2
    expected = [[-wide, -high, wide, high], [-16, -16, 16, 16], [-high, -wide, high, wide]]
    torch.testing.assert_close(first, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    assert level_anchors(r50(), 0, (1, 1), SIZE)[0].tolist() == [-23, -11, 23, 11]


@pytest.fixture
def boxes() -> Tensor:
    corner = torch.rand(40, 2, dtype=torch.float64) * torch.tensor(SIZE)
    boxes = torch.cat([corner, corner + torch.rand(40, 2, dtype=torch.float64) ** 2 * 400], dim=1)
    slivers = torch.tensor([[10, 10, 10.5, 300], [50, 50, 50, 50], [639, 479, 640, 480]], dtype=torch.float64)
    return torch.cat([boxes, slivers])


def test_rois_that_are_not_aligned_are_torchvisions(boxes: Tensor) -> None:
    preset = r50(aligned_rois=False)
    features = pyramid(preset)
    named = {str(i): feature for i, feature in enumerate(features)}
    theirs = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, preset.sampling_ratio)
    expected = theirs(named, [boxes], [(SIZE[1], SIZE[0])])
    assert torch.equal(pool_rois(features, [boxes], 7, preset), expected)
    static = static_pool_rois(build_atlas(features, preset), boxes[None], 7, preset)
    torch.testing.assert_close(static, expected, rtol=0, atol=2.2e-13)


def test_adaptive_sampling_reads_every_cell(boxes: Tensor) -> None:
    preset, features = r50(adaptive_sampling=True), pyramid(r50())
    whole = torch.tensor([[0.0, 0, 448, 448]], dtype=torch.float64)  # 28 x 28 cells of level 5's 14 px bins
    features[3][:] = torch.arange(15.0 * 20).view(15, 20)
    adaptive = pool_rois(features, [whole], 1, preset)
    assert adaptive[0, 0, 0, 0] == features[3][0, 0, :14, :14].mean()
    assert not torch.allclose(pool_rois(features, [boxes], 7, preset), pool_rois(features, [boxes], 7, r50()))


def test_the_stride_moves_to_the_first_convolution() -> None:
    blocks = build_student(r50(stride_in_1x1=True)).pyramid.trunk.stages
    assert [(stage[0].conv1.stride, stage[0].conv2.stride) for stage in blocks[1:]] == [((2, 2), (1, 1))] * 3
    blocks = build_student("r50").pyramid.trunk.stages
    assert [(stage[0].conv1.stride, stage[0].conv2.stride) for stage in blocks[1:]] == [((1, 1), (2, 2))] * 3


@torch.no_grad()
def test_without_lifters_there_is_no_3d(lively_lite: Student, make_bgr_images: Callable[..., Tensor]) -> None:
    student = build_student(lively_lite.preset.with_conventions(Conventions(has_lifters=False))).double().eval()
    student.load_state_dict(lively_lite.state_dict())
    images = make_bgr_images(1, (256, 192))
    poses = StaticStudent(student, (256, 192))(images)
    dynamic = student([images[0].flip(-1).permute(2, 0, 1).double() / 255])[0]
    with_lifters = StaticStudent(lively_lite, (256, 192))(images)
    assert with_lifters.keypoints_3d.any()
    assert not poses.keypoints_3d.any() and poses.keypoints_3d.shape == with_lifters.keypoints_3d.shape
    assert not dynamic["keypoints_3d"].any() and dynamic["keypoints_3d"].shape[1:] == (17, 4)
    assert torch.equal(poses.keypoints, with_lifters.keypoints)


def test_weight_files_carry_them(tmp_path: Path) -> None:
    conventions = Conventions(aligned_rois=False, has_lifters=False)
    path = tmp_path / "a.safetensors"
    save_weights(build_student(get_preset("lite").with_conventions(conventions)), path)
    assert load_student(path).preset.conventions == conventions
    with safe_open(path, "pt") as file:
        assert file.metadata()[CONVENTIONS_KEY] == '{"aligned_rois":false,"has_lifters":false}'
    save_weights(build_student("lite"), path)
    with safe_open(path, "pt") as file:
        assert CONVENTIONS_KEY not in file.metadata(), "our own need not be told"


def test_conventions_of_a_newer_version_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(build_student("lite"), path)
    metadata = {FORMAT_KEY: "1", PRESET_KEY: "lite", CONVENTIONS_KEY: '{"mirrored": true}'}
    save_file(load_file(path), path, metadata)
    with pytest.raises(ModelError, match=r"orpose\.conventions: mirrored: .*; a newer orpose may read it") as caught:
        load_student(path)
    assert "\n" not in str(caught.value)
