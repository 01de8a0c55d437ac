from __future__ import annotations

import math

import pytest
import torch

from orpose_models.network.boxes import ignore_crowd, share_inside
from orpose_models.network.lifter import Lifter, LifterStatistics, lifter_input, with_pelvis
from orpose_models.network.losses import box_loss, heatmap_targets, keypoint_loss, lifter_loss
from orpose_models.network.sampling import ProposalSampler, Sampled, keypoint_rois

BOX = torch.tensor([[100.0, 200, 156, 312]])  # a cell is 1 px wide and 2 px high


@pytest.mark.parametrize(
    ("point", "cell", "inside"),
    [
        ((100.0, 200.0), 0, True),
        ((100.9, 201.9), 0, True),
        ((101.0, 202.0), 57, True),
        ((155.9, 311.9), 56 * 56 - 1, True),
        ((156.0, 250.0), None, False),
        ((99.9, 250.0), None, False),
    ],
)
def test_heatmap_targets_by_hand(point: tuple[float, float], cell: int | None, inside: bool) -> None:
    cells, within = heatmap_targets(torch.tensor(point).expand(1, 17, 2), BOX)
    assert bool(within[0, 0]) is inside
    if inside:
        assert int(cells[0, 0]) == cell


def one_joint(confidence: float) -> torch.Tensor:
    joints = torch.zeros(1, 17, 3)
    joints[0, 4] = torch.tensor([101.5, 203.0, confidence])  # cell (1, 1)
    return joints


def test_hard_loss_is_the_cross_entropy_over_the_cells() -> None:
    logits = torch.zeros(1, 17, 56, 56)
    logits[0, 4, 1, 1] = 3.0
    loss = keypoint_loss(logits, one_joint(1), BOX, torch.ones(1, 17), soft=False)
    assert float(loss) == pytest.approx(math.log(math.exp(3) + 56 * 56 - 1) - 3, rel=1e-5)  # a sum of 3,136 in float32


def test_soft_logits_are_multiplied_by_the_confidence() -> None:
    logits = torch.zeros(1, 17, 56, 56)
    logits[0, 4, 1, 1] = 3.0
    loss = keypoint_loss(logits, one_joint(0.5), BOX, torch.ones(1, 17), soft=True)
    assert float(loss) == pytest.approx(math.log(math.exp(1.5) + 56 * 56 - 1) - 1.5, rel=1e-5)


def test_joints_without_confidence_or_outside_do_not_count() -> None:
    logits = torch.randn(1, 17, 56, 56)
    joints = one_joint(1)
    expected = keypoint_loss(logits, joints, BOX, torch.ones(1, 17), soft=False)
    joints[0, 5] = torch.tensor([90.0, 203.0, 1])  # outside the RoI
    joints[0, 6] = torch.tensor([120.0, 220.0, 0])  # no confidence
    assert keypoint_loss(logits, joints, BOX, torch.ones(1, 17), soft=False) == expected


def test_gaussian_target_is_the_map_it_says() -> None:
    logits, joints = torch.randn(1, 17, 56, 56), one_joint(1)  # at 1.5 and 3 px of cells 1 px wide and 2 px high
    cells = torch.arange(56) + 0.5
    target = torch.exp(-((cells[None, :] - 1.5) ** 2 + (cells[:, None] - 1.5) ** 2) / (2 * 1.5**2))
    target = target / target.sum()
    expected = -(target * logits[0, 4].flatten().log_softmax(0).view(56, 56)).sum()
    loss = keypoint_loss(logits, joints, BOX, torch.ones(1, 17), soft=False, sigma=1.5)
    torch.testing.assert_close(loss, expected)


def test_a_narrow_gaussian_is_the_cell() -> None:
    logits, joints, weights = torch.randn(1, 17, 56, 56), one_joint(0.5), torch.rand(1, 17)
    one_cell = keypoint_loss(logits, joints, BOX, weights, soft=True)
    torch.testing.assert_close(keypoint_loss(logits, joints, BOX, weights, soft=True, sigma=0.05), one_cell)


@torch.no_grad()
def test_lifter_loss_looks_at_the_label_not_at_a_prediction() -> None:
    """The target is the lifter's own answer to the label: no loss. Another label: smooth L1 of the difference."""
    lifter, statistics = Lifter(64).eval(), LifterStatistics()
    joints = torch.cat([torch.rand(2, 17, 2) * 400, torch.ones(2, 17, 1)], dim=2)
    standard = statistics.standardise_2d(lifter_input(joints[..., :2], 2.0))
    own = with_pelvis(statistics.restore_3d(lifter(standard)))
    label = torch.cat([own, torch.ones(2, 17, 1)], dim=2)
    scale, weights = torch.full((2, 1, 1), 2.0), torch.ones(2)
    found = lifter_loss(lifter, statistics, joints, label, scale, weights, soft=True)
    assert float(found) == pytest.approx(0, abs=1e-9)
    label[:, 1:, :3] += 300  # one standard deviation: smooth L1 of 1 is 0.5
    found = lifter_loss(lifter, statistics, joints, label, scale, weights, soft=True)
    assert float(found) == pytest.approx(0.5, rel=1e-4)


@torch.no_grad()
def test_joints_dropped_from_the_label_enter_the_lifter_as_zero_pixels() -> None:
    """Where they lay does not matter, nor for the joints that are made of them."""
    lifter, statistics = Lifter(64).eval(), LifterStatistics()
    label = torch.cat([torch.randn(2, 17, 3) * 300, torch.ones(2, 17, 1)], dim=2)
    joints = torch.cat([torch.rand(2, 17, 2) * 400, torch.ones(2, 17, 1)], dim=2)
    joints[:, 11, 2] = 0  # the left hip: pelvis and thorax go with it
    elsewhere = joints.clone()
    elsewhere[:, 11, :2] += 1000
    scale, weights = torch.ones(2, 1, 1), torch.ones(2)
    first = lifter_loss(lifter, statistics, joints, label, scale, weights, soft=False)
    assert lifter_loss(lifter, statistics, elsewhere, label, scale, weights, soft=False) == first
    assert lifter_loss(lifter, statistics, elsewhere, label, scale, weights, soft=True) != first


@torch.no_grad()
def test_lifters_that_read_confidences_get_the_labels() -> None:
    """The soft label's confidence counts; of the hard one only whether there is a joint."""
    lifter, statistics = Lifter(64, "confidence").eval(), LifterStatistics("confidence")
    label = torch.cat([torch.randn(2, 17, 3) * 300, torch.ones(2, 17, 1)], dim=2)
    joints = torch.cat([torch.rand(2, 17, 2) * 400, torch.ones(2, 17, 1)], dim=2)
    unsure = joints.clone()
    unsure[:, 9, 2] = 0.2
    scale, weights = torch.ones(2, 1, 1), torch.ones(2)
    for soft in (True, False):
        one = lifter_loss(lifter, statistics, joints, label, scale, weights, soft=soft)
        other = lifter_loss(lifter, statistics, unsure, label, scale, weights, soft=soft)
        assert torch.equal(one, other) is not soft


def test_a_joints_weight_scales_its_loss_and_not_the_divisor() -> None:
    logits = torch.randn(1, 17, 56, 56)
    joints = one_joint(1)
    alone = keypoint_loss(logits, joints, BOX, torch.ones(1, 17), soft=False)
    joints[0, 5] = torch.tensor([120.0, 220.0, 1])
    weights = torch.ones(1, 17)
    weights[0, 4], weights[0, 5] = 0.25, 0
    weighted = keypoint_loss(logits, joints, BOX, weights, soft=False)
    assert float(weighted) == pytest.approx(0.25 * float(alone) / 2, rel=1e-5)


def test_autocast_does_not_round_the_gaussian_targets_loss() -> None:
    """Of logits of 8 bits, as the keypoint head gives them under autocast: the loss itself stays exact."""
    logits = (20 * torch.randn(1, 17, 56, 56, generator=torch.Generator().manual_seed(0))).bfloat16()
    arguments = (one_joint(1), BOX, torch.ones(1, 17))
    exact = keypoint_loss(logits.float(), *arguments, soft=False, sigma=1.5)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = keypoint_loss(logits, *arguments, soft=False, sigma=1.5)
    assert float(rounded) == pytest.approx(float(exact), rel=1e-5)


def test_nothing_to_learn_is_a_loss_of_zero_that_reaches_the_maps() -> None:
    logits = torch.randn(1, 17, 56, 56, requires_grad=True)
    loss = keypoint_loss(logits, torch.zeros(1, 17, 3), BOX, torch.ones(1, 17), soft=True)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.any()


@pytest.mark.parametrize(("beta", "expected"), [(0.5, 0.4**2 / 2 / 0.5), (1 / 9, 0.4 - 1 / 18)])
def test_box_loss_is_square_below_beta_and_divided_by_all_boxes(beta: float, expected: float) -> None:
    """One coordinate of the person is 0.4 off; the background's box does not count."""
    deltas = torch.tensor([[0.4, 0, 0, 0], [9, 9, 9, 9]])
    labels = torch.tensor([1, 0])
    classification, regression = box_loss(torch.zeros(2, 2), deltas, labels, torch.zeros(2, 4), beta)
    assert (classification.item(), regression.item()) == pytest.approx((math.log(2), expected / 2))


def test_share_inside_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [5, 5, 5, 9]])
    assert share_inside(boxes, torch.tensor([[5.0, 0, 100, 8]]))[:, 0].tolist() == pytest.approx([0.4, 0, 0])


def test_background_in_an_ignored_region_is_not_sampled() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60], [8, 0, 18, 10]])
    labels = torch.tensor([0, 1, 0, 0])
    crowd = torch.tensor([[0.0, 0, 12, 12]])
    assert ignore_crowd(labels, boxes, crowd).tolist() == [-1, 1, 0, 0]
    assert ignore_crowd(labels, boxes, None) is labels


def test_proposals_on_a_crowd_are_neither_people_nor_background() -> None:
    target = {"boxes": torch.tensor([[100.0, 100, 150, 200]]), "crowd_boxes": torch.tensor([[0.0, 0, 60, 60]])}
    proposals = torch.tensor([[5.0, 5, 50, 50], [101, 100, 150, 200], [200, 10, 240, 60]])
    sampled = ProposalSampler(64)(proposals, target)
    boxes = {tuple(box.tolist()): int(label) for box, label in zip(sampled.boxes, sampled.labels, strict=True)}
    assert boxes == {(101, 100, 150, 200): 1, (100, 100, 150, 200): 1, (200, 10, 240, 60): 0}


def test_keypoint_rois_are_capped_and_need_a_joint_inside() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(5, 1)
    boxes[0] = torch.tensor([50.0, 50, 60, 60])
    sampled = Sampled(boxes, torch.tensor([1, 1, 1, 1, 0]), torch.zeros(5, dtype=torch.long))
    joints = torch.zeros(1, 17, 3)
    joints[0, 0] = torch.tensor([5.0, 5, 1])
    target = {"keypoints_soft": joints, "keypoints_hard": torch.zeros(1, 17, 3)}
    assert sorted(keypoint_rois(sampled, target, 16).tolist()) == [1, 2, 3]
    assert len(keypoint_rois(sampled, target, 2)) == 2
