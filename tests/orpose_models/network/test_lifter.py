from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from orpose_models.network.lifter import (
    INPUT_JOINTS,
    Lifter,
    LifterStatistics,
    joint_confidence,
    lifter_input,
    relative_joints,
    score_3d,
    with_pelvis,
)
from orpose_models.skeleton import COCO17, H36M17, flip_horizontally, h36m17_from_coco17, h36m17_scores_from_coco17


def test_input_leaves_out_the_neck_and_counts_pixels_of_the_640x480_frame() -> None:
    coco = torch.rand(5, 17, 2, dtype=torch.float64) * 240
    expected = np.delete(h36m17_from_coco17(coco.numpy()), H36M17.index("neck"), axis=1) * 2
    np.testing.assert_allclose(lifter_input(coco, 2.0).numpy(), expected, rtol=0, atol=1e-9)


def test_input_order_by_hand() -> None:
    coco = torch.zeros(1, 17, 2)
    for joint, xy in {
        "left_hip": (10, 0),
        "right_hip": (30, 0),
        "left_shoulder": (10, -40),
        "left_wrist": (7, 8),
    }.items():
        coco[0, COCO17.index(joint)] = torch.tensor(xy, dtype=torch.float)
    joints = lifter_input(coco, 1.0)[0]
    position = {name: INPUT_JOINTS.index(H36M17.index(name)) for name in H36M17.joint_names if name != "neck"}
    assert joints[position["pelvis"]].tolist() == [20, 0]
    assert joints[position["right_hip"]].tolist() == [30, 0]
    assert joints[position["left_wrist"]].tolist() == [7, 8]
    assert joints[position["thorax"]].tolist() == [12.5, -10]


def test_mirroring_commutes_with_the_input_order() -> None:
    """Flip, then convert = convert, then flip: left and right are the person's own in both conventions."""
    coco = np.random.default_rng(0).uniform(0, 640, (4, 17, 2))
    flipped_first = lifter_input(torch.from_numpy(flip_horizontally(coco, 640.0)), 1.0)
    full = flip_horizontally(h36m17_from_coco17(coco), 640.0, H36M17)
    np.testing.assert_allclose(flipped_first.numpy(), full[:, list(INPUT_JOINTS)], atol=1e-9)


def test_scores_3d_are_the_lowest_of_the_sources() -> None:
    scores = torch.rand(3, 8, 17, dtype=torch.float64)
    np.testing.assert_array_equal(score_3d(scores).numpy(), h36m17_scores_from_coco17(scores.numpy()))


def test_a_joint_is_as_sure_as_the_least_sure_of_its_sources() -> None:
    scores = torch.ones(1, 17)
    scores[0, COCO17.index("left_hip")] = 0
    missing = [H36M17.joint_names[INPUT_JOINTS[i]] for i in torch.where(joint_confidence(scores)[0] == 0)[0]]
    assert missing == ["pelvis", "left_hip", "thorax"]


def test_relative_joints_by_hand() -> None:
    """Two known joints 80 px apart, one three times as sure: the centre is a quarter of the way to the other."""
    joints, confidence = torch.full((1, 16, 2), 999.0), torch.zeros(1, 16)
    joints[0, 2], joints[0, 7] = torch.tensor([320.0, 240.0]), torch.tensor([400.0, 240.0])
    confidence[0, 2], confidence[0, 7] = 0.75, 0.25
    shape, told, rest = relative_joints(joints, confidence)[0].split((32, 16, 3))
    spread = 0.5 * (0.75 * 0.25**2 + 0.25 * 0.75**2) ** 0.5  # 80 px are 0.5 units
    torch.testing.assert_close(rest, torch.tensor([20 / 160, 0.0, math.log(spread / 0.4)]))
    expected = torch.zeros(16, 2)
    expected[2, 0], expected[7, 0] = -20 / 160 / spread, 60 / 160 / spread
    torch.testing.assert_close(shape.view(16, 2), expected)
    assert torch.equal(told, confidence[0])


def test_relative_joints_know_place_and_size_from_the_last_three_numbers_alone() -> None:
    joints, confidence = torch.rand(3, 16, 2) * 200, torch.rand(3, 16)
    confidence[:, 5] = 0
    elsewhere = joints * 1.5 + torch.tensor([90.0, -40.0])
    elsewhere[:, 5] = torch.tensor([-1000.0, 5.0])  # a joint of no confidence is nowhere
    first, second = relative_joints(joints, confidence), relative_joints(elsewhere, confidence)
    torch.testing.assert_close(first[:, :48], second[:, :48], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(second[:, 50] - first[:, 50], torch.full((3,), math.log(1.5)))
    assert not torch.allclose(first[:, 48:50], second[:, 48:50], atol=0.05)


def test_nobody_known_is_finite() -> None:
    entering = relative_joints(torch.rand(2, 16, 2) * 640, torch.zeros(2, 16))
    assert entering.isfinite().all() and not entering[:, :48].any()


def test_only_the_confidence_input_reads_confidences() -> None:
    joints = torch.rand(2, 16, 2) * 400
    sure, unsure = torch.ones(2, 16), torch.full((2, 16), 0.3)
    paper, confidence = LifterStatistics(), LifterStatistics("confidence")
    assert torch.equal(paper.entering(joints, sure), paper.standardise_2d(joints))
    assert torch.equal(paper.entering(joints, sure), paper.entering(joints, unsure))
    assert not torch.equal(confidence.entering(joints, sure), confidence.entering(joints, unsure))
    assert Lifter(32, "confidence").eval()(confidence.entering(joints, sure)).shape == (2, 16, 3)


def test_layers_have_the_public_codes_names() -> None:
    names = {key.rsplit(".", 1)[0] for key in Lifter(32).state_dict()}
    stages = {f"linear_stages.{i}.{layer}" for i in (0, 1) for layer in ("w1", "batch_norm1", "w2", "batch_norm2")}
    assert names == {"w1", "batch_norm1", "w2", *stages}


def test_pelvis_is_the_origin() -> None:
    joints = torch.randn(2, 16, 3)
    assert not with_pelvis(joints)[:, 0].any()
    assert torch.equal(with_pelvis(joints)[:, 1:], joints)


def test_statistics_are_saved_and_restore_what_they_standardise() -> None:
    statistics = LifterStatistics()
    statistics.set(torch.rand(16, 2), torch.rand(16, 2) + 1, torch.rand(16, 3), torch.rand(16, 3) + 1)
    joints = torch.randn(4, 16, 3)
    torch.testing.assert_close(statistics.restore_3d(statistics.standardise_3d(joints)), joints)
    assert set(statistics.state_dict()) == {"mean2d", "std2d", "mean3d", "std3d"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mean2d", torch.zeros(17, 2), r"mean2d: expected \(16, 2\) finite numbers, got shape \(17, 2\)"),
        ("std3d", torch.zeros(16, 3), "std3d: expected positive deviations, got a smallest one of 0"),
        ("mean3d", torch.full((16, 3), torch.nan), "mean3d: expected .* finite"),
    ],
)
def test_bad_statistics_are_named(name: str, value: torch.Tensor, message: str) -> None:
    good = {"mean2d": torch.zeros(16, 2), "std2d": torch.ones(16, 2)}
    good |= {"mean3d": torch.zeros(16, 3), "std3d": torch.ones(16, 3)}
    with pytest.raises(ValueError, match=message):
        LifterStatistics().set(**{**good, name: value})
