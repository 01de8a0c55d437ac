from __future__ import annotations

import numpy as np
import pytest
import torch

from orpose_models.network.lifter import (
    INPUT_JOINTS,
    Lifter,
    LifterStatistics,
    lifter_input,
    score_3d,
    visible_lifter_joints,
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


def test_a_joint_is_visible_when_all_its_sources_are() -> None:
    visible = torch.ones(1, 17, dtype=torch.bool)
    visible[0, COCO17.index("left_hip")] = False
    missing = [H36M17.joint_names[INPUT_JOINTS[i]] for i in torch.where(~visible_lifter_joints(visible)[0])[0]]
    assert missing == ["pelvis", "left_hip", "thorax"]


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
