"""Poses: feet on the floor, hands where they should go, left and right on their sides."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic_or.people.poses import KINDS, PoseRequest, pose_body


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_stands_or_lies_on_its_ground(bank, kind):
    for seed in range(3):
        request = PoseRequest(kind, np.array([1.0, -0.5, 0.9 if kind == "lie" else 0.12]), 70.0 * seed)
        body = pose_body(bank, seed, request, np.random.default_rng(seed))
        ground = np.quantile(body.vertices[:, 2], 0.02) if kind == "lie" else body.vertices[:, 2].min()
        assert ground == pytest.approx(request.position[2], abs=0.02)
        assert np.hypot(*(body.h36m[0, :2] - request.position[:2])) < 0.15


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lie"])
def test_left_is_left_of_where_the_person_faces(bank, kind):
    """Heading 0 faces room -y, so left is +x; heading 90 faces +x, so left is +y."""
    for heading, left in ((0.0, [1.0, 0.0]), (90.0, [0.0, 1.0])):
        body = pose_body(bank, 5, PoseRequest(kind, np.zeros(3), heading), np.random.default_rng(1))
        for left_joint, right_joint in ((5, 6), (11, 12), (13, 14)):
            assert (body.coco[left_joint] - body.coco[right_joint])[:2] @ left > 0.05
        np.testing.assert_allclose(body.h36m[[4, 11, 13]], body.coco[[11, 5, 9]])


def test_hands_go_where_they_are_asked(bank):
    target = np.array([[0.2, -0.35, 1.1], [-0.15, -0.38, 1.15]])  # within reach of any adult who faces -y
    distances = []
    for seed in range(10):
        body = pose_body(bank, seed, PoseRequest("reach", np.zeros(3), 0.0, target), np.random.default_rng(seed))
        distances += list(np.linalg.norm(body.coco[[9, 10]] - target, axis=1))
    assert np.median(distances) < 0.08  # a tenth of the hands do something else
    assert np.mean(np.array(distances) < 0.12) > 0.75


@pytest.mark.parametrize("leading", [1.0, -1.0])
def test_a_walker_puts_the_asked_leg_forward_and_the_other_arm(bank, leading):
    request = PoseRequest("walk", np.zeros(3), 0.0, leading=leading)
    body = pose_body(bank, 2, request, np.random.default_rng(3))
    ahead = -body.coco[:, 1]  # faces -y
    assert np.sign(ahead[15] - ahead[16]) == leading
    assert np.sign(ahead[9] - ahead[10]) == -leading


def test_unknown_kind(bank):
    with pytest.raises(ValueError, match=r"pose kind: expected one of .* got 'fly'"):
        pose_body(bank, 0, PoseRequest("fly", np.zeros(3), 0.0), np.random.default_rng(0))
