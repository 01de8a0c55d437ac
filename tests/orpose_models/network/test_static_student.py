from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder

from orpose_models.network import Student, build_student
from orpose_models.network.boxes import BOX_WEIGHTS, clip_boxes, decode_boxes
from orpose_models.network.presets import get_preset
from orpose_models.network.static_student import Poses, StaticStudent

#: Width and height; the second makes levels of odd size and a top level with fewer anchors than wanted.
SIZES = [(256, 192), (200, 136)]


Images = Callable[[int, tuple[int, int]], Tensor]


def rgb_floats(images: Tensor) -> list[Tensor]:
    return [image.flip(-1).permute(2, 0, 1).double() / 255 for image in images]


def compare(static: Poses, dynamic: list[dict[str, Tensor]], tolerance: float) -> int:
    """Largest differences within tolerance; returns the number of people compared."""
    for b, expected in enumerate(dynamic):
        count = len(expected["boxes"])
        assert int(static.valid[b].sum()) == count
        assert static.valid[b, :count].all()
        for key, value in expected.items():
            torch.testing.assert_close(getattr(static, key)[b, :count], value, rtol=0, atol=tolerance)
            assert not getattr(static, key)[b, count:].any()
    return sum(len(expected["boxes"]) for expected in dynamic)


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_lite_agrees_with_the_dynamic_way(lively_lite: Student, make_bgr_images: Images, size: tuple[int, int]) -> None:
    images = make_bgr_images(2, size)
    static = StaticStudent(lively_lite, size, batch=2)(images)
    assert static.nms_converged.tolist() == [1, 1]
    people = compare(static, lively_lite(rgb_floats(images)), 1e-9)
    assert people >= 4


@torch.no_grad()
def test_lifters_that_read_confidences_agree_with_the_dynamic_way(
    lively_lite: Student, make_bgr_images: Images
) -> None:
    student = build_student(get_preset("lite").with_lifter_input("confidence")).double().eval()
    kept = {k: v for k, v in lively_lite.state_dict().items() if "lifter" not in k}
    student.load_state_dict({**student.state_dict(), **kept})
    images = make_bgr_images(1, SIZES[1])
    static = StaticStudent(student, SIZES[1])(images)
    assert compare(static, student(rgb_floats(images)), 1e-9) >= 1
    assert static.keypoints_3d[static.valid.bool()][:, 1:, :3].abs().min() > 0


@torch.no_grad()
def test_r50_agrees_with_the_dynamic_way(
    make_lively_student: Callable[[str], Student], make_bgr_images: Images
) -> None:
    student = make_lively_student("r50")
    images = make_bgr_images(1, SIZES[1])
    static = StaticStudent(student, SIZES[1])(images)
    assert static.nms_converged.tolist() == [1]
    assert compare(static, student(rgb_floats(images)), 1e-8) >= 1


@torch.no_grad()
def test_single_precision_stays_within_a_tenth_of_a_pixel(lively_lite: Student, make_bgr_images: Images) -> None:
    images = make_bgr_images(1, SIZES[0])
    exact = StaticStudent(lively_lite, SIZES[0])(images)
    single = StaticStudent(lively_lite, SIZES[0]).float()(images)
    assert torch.equal(exact.valid, single.valid)
    torch.testing.assert_close(single.boxes.double(), exact.boxes, rtol=0, atol=0.01)
    torch.testing.assert_close(single.keypoints.double(), exact.keypoints, rtol=0, atol=0.1)


@torch.no_grad()
def test_shapes_and_meanings(lively_lite: Student, make_bgr_images: Images) -> None:
    width, height = SIZES[0]
    poses = StaticStudent(lively_lite, SIZES[0], batch=2, max_persons=5)(make_bgr_images(2, SIZES[0]))
    assert poses.boxes.shape == (2, 5, 4)
    assert poses.keypoints.shape == (2, 5, 17, 3)
    assert poses.keypoints_3d.shape == (2, 5, 17, 4)
    assert poses.valid.dtype == poses.nms_converged.dtype == torch.int32
    assert ((poses.scores >= 0) & (poses.scores <= 1)).all()
    assert (poses.scores.diff(dim=1) <= 0).all()
    assert (poses.boxes >= 0).all()
    assert (poses.boxes <= torch.tensor([width, height, width, height])).all()
    assert not poses.keypoints_3d[:, :, 0, :3].any(), "the pelvis is the origin"


@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other(lively_lite: Student, make_bgr_images: Images) -> None:
    images = make_bgr_images(2, SIZES[0])
    both = StaticStudent(lively_lite, SIZES[0], batch=2)(images)
    alone = StaticStudent(lively_lite, SIZES[0])(images[1:])
    torch.testing.assert_close(both.keypoints[1], alone.keypoints[0], rtol=0, atol=1e-9)


@torch.no_grad()
def test_an_empty_room_has_no_people(lively_lite: Student, make_bgr_images: Images) -> None:
    static = StaticStudent(lively_lite, SIZES[0])
    static.student.heads.box.score.bias.copy_(torch.tensor([30.0, -30.0]))
    poses = static(make_bgr_images(1, SIZES[0]))
    assert not poses.valid.any()
    assert not poses.scores.any()
    assert not poses.boxes.any()
    assert not poses.keypoints.any()


def test_the_student_stays_as_it_is(lively_lite: Student) -> None:
    before = {key: value.clone() for key, value in lively_lite.state_dict().items()}
    StaticStudent(lively_lite, SIZES[0])
    after = lively_lite.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_too_many_slots_are_refused(lively_lite: Student) -> None:
    with pytest.raises(ValueError, match="max_persons: expected 1-32, got 33"):
        StaticStudent(lively_lite, SIZES[0], max_persons=33)


def test_decode_boxes_equals_torchvision() -> None:
    corner = torch.rand(50, 2, dtype=torch.float64) * 100
    boxes = torch.cat([corner, corner + torch.rand(50, 2, dtype=torch.float64) * 80], dim=1)
    deltas = torch.randn(50, 4, dtype=torch.float64) * 20  # beyond the clip of the growth
    expected = BoxCoder(BOX_WEIGHTS).decode_single(deltas, boxes)
    torch.testing.assert_close(decode_boxes(deltas, boxes, BOX_WEIGHTS), expected, rtol=1e-12, atol=1e-9)


def test_clip_boxes_by_hand() -> None:
    boxes = torch.tensor([[-5.0, 3, 700, 490], [10, 10, 20, 20]])
    assert clip_boxes(boxes, (640, 480)).tolist() == [[0, 3, 640, 480], [10, 10, 20, 20]]
