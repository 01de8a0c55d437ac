"""The body bank: adults of plausible size whose joints follow the house's conventions."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.skeleton import COCO17, H36M17, h36m17_from_coco17
from training.synthetic_or.people.bodies import BANK_PATH, BONE, BodyBank, PosedBody

LEFT, RIGHT = ([i for i, name in enumerate(COCO17.joint_names) if name.startswith(s)] for s in ("left", "right"))


def in_rest_pose(bank: BodyBank, shape: int) -> PosedBody:
    return bank.pose(shape, np.tile(np.eye(3), (len(BONE), 1, 1)), bank.bone_heads[shape][BONE["pelvis"]])


def test_the_bank_is_small_enough_to_track():
    assert BANK_PATH.stat().st_size < 5e6


def test_bodies_are_adults(bank):
    heights = np.ptp(bank.rest_vertices[:, :, 2].astype(float), axis=1)  # feet point down a little: 1 to 2 cm more
    assert len(heights) == 64
    assert 1.45 < heights.min() < 1.6 and 1.9 < heights.max() < 2.05
    assert 1.65 < np.median(heights) < 1.8


def test_skinning_weights_are_shares(bank):
    assert (bank.weights >= 0).all()
    np.testing.assert_allclose(bank.weights.sum(1), 1, atol=2e-3)


def test_rest_pose_gives_the_rest_body_and_its_joints_back(bank):
    for shape in (0, 13, 31):
        body = in_rest_pose(bank, shape)
        np.testing.assert_allclose(body.vertices, bank.rest_vertices[shape], atol=2e-3)
        np.testing.assert_allclose(body.coco, bank.coco_rest[shape], atol=3e-3)


def test_left_is_the_persons_left(bank):
    """The rest body faces -y with z up, so its left is +x."""
    for shape in range(bank.num_shapes):
        coco = in_rest_pose(bank, shape).coco
        assert (coco[LEFT, 0] > coco[RIGHT, 0]).all()
        assert coco[0, 1] < coco[[3, 4], 1].min()  # the nose lies before the ears
        np.testing.assert_allclose(coco[LEFT, 0], -coco[RIGHT, 0], atol=0.02)


def test_h36m_joints_follow_the_common_conversion(bank):
    body = in_rest_pose(bank, 3)
    rest = [i for i, name in enumerate(H36M17.joint_names) if name != "head_top"]
    np.testing.assert_allclose(body.h36m[rest], h36m17_from_coco17(body.coco)[rest], atol=1e-9)
    assert body.h36m[10, 2] == pytest.approx(body.vertices[:, 2].max(), abs=0.05)


def test_joints_are_ordered_from_head_to_foot(bank):
    z = in_rest_pose(bank, 7).coco[:, 2]
    assert z[0] > z[5] > z[7] > z[9] and z[5] > z[11] > z[13] > z[15]


def test_turning_the_pelvis_turns_the_whole_body(bank):
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # 90 degrees about z: x becomes y
    local = np.tile(np.eye(3), (len(BONE), 1, 1))
    local[BONE["pelvis"]] = quarter
    turned = bank.pose(0, local, quarter @ bank.bone_heads[0][BONE["pelvis"]])
    np.testing.assert_allclose(turned.coco, in_rest_pose(bank, 0).coco @ quarter.T, atol=1e-5)
