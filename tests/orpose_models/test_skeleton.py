"""Joint conventions against tables worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpose_models import skeleton
from orpose_models.skeleton import COCO17, H36M17, MVOR10

SKELETONS = [COCO17, H36M17, MVOR10]

#: A person facing the camera, (x, y) px in COCO-17 order: the person's left is on the image's right.
COCO_PERSON = np.array(
    [
        [50, 10], [52, 8], [48, 8], [56, 10], [44, 10],  # nose, eyes, ears
        [60, 30], [40, 30], [66, 50], [34, 50], [64, 70], [36, 70],  # shoulders, elbows, wrists
        [56, 80], [44, 82], [57, 110], [43, 110], [58, 140], [42, 140],  # hips, knees, ankles
    ],
    dtype=float,
)  # fmt: skip

H36M_PERSON = {
    "pelvis": (50, 81),
    "right_hip": (44, 82),
    "right_knee": (43, 110),
    "right_ankle": (42, 140),
    "left_hip": (56, 80),
    "left_knee": (57, 110),
    "left_ankle": (58, 140),
    "thorax": (50, 55.5),  # mean of shoulders (50, 30) and hips (50, 81)
    "neck": (50, 30),
    "head": (50, 10),
    "head_top": (50, 10),
    "left_shoulder": (60, 30),
    "left_elbow": (66, 50),
    "left_wrist": (64, 70),
    "right_shoulder": (40, 30),
    "right_elbow": (34, 50),
    "right_wrist": (36, 70),
}

MVOR_PERSON = {
    "head": (50, 10),
    "neck": (50, 30),
    "left_shoulder": (60, 30),
    "right_shoulder": (40, 30),
    "left_hip": (56, 80),
    "right_hip": (44, 82),
    "left_elbow": (66, 50),
    "right_elbow": (34, 50),
    "left_wrist": (64, 70),
    "right_wrist": (36, 70),
}


@pytest.mark.parametrize("convention", SKELETONS, ids=lambda convention: convention.name)
def test_flip_is_an_involution_that_only_swaps_sides(convention):
    flip = convention.flip
    assert sorted(flip) == list(range(convention.num_joints))
    for index, name in enumerate(convention.joint_names):
        assert flip[flip[index]] == index
        swapped = name.replace("left", "*").replace("right", "left").replace("*", "right")
        assert convention.joint_names[flip[index]] == swapped


@pytest.mark.parametrize("convention", SKELETONS, ids=lambda convention: convention.name)
def test_limbs_join_every_joint_into_one_mirrored_figure(convention):
    limbs = {frozenset(limb) for limb in convention.limbs}
    assert len(limbs) == len(convention.limbs)
    assert all(len(limb) == 2 for limb in limbs)
    assert {frozenset(convention.flip[joint] for joint in limb) for limb in limbs} == limbs
    reached = {0}
    for _ in range(convention.num_joints):
        reached |= {joint for limb in limbs if limb & reached for joint in limb}
    assert reached == set(range(convention.num_joints))


def test_h36m17_order_is_the_published_one():
    assert H36M17.root == 0
    assert [H36M17.index(name) for name in H36M_PERSON] == list(range(17))


def test_h36m17_from_coco17_by_hand():
    converted = skeleton.h36m17_from_coco17(COCO_PERSON)
    np.testing.assert_allclose(converted, list(H36M_PERSON.values()), atol=1e-12)


def test_mvor10_from_coco17_by_hand():
    converted = skeleton.mvor10_from_coco17(COCO_PERSON)
    assert tuple(MVOR_PERSON) == MVOR10.joint_names
    np.testing.assert_allclose(converted, list(MVOR_PERSON.values()), atol=1e-12)


def test_mvor10_takes_the_h36m17_joint_of_the_same_name():
    names = [H36M17.joint_names[index] for index in skeleton.MVOR10_FROM_H36M17]
    assert tuple(names) == MVOR10.joint_names


def test_h36m17_scores_are_the_lowest_of_their_sources():
    scores = np.linspace(0.1, 0.9, 17)  # rises with the COCO index: the lowest source is the one with the lowest index
    lowest_source = [11, 12, 14, 16, 11, 13, 15, 5, 5, 3, 3, 5, 7, 9, 6, 8, 10]
    np.testing.assert_allclose(skeleton.h36m17_scores_from_coco17(scores), scores[lowest_source])


def test_conversion_keeps_leading_axes():
    batch = np.stack([COCO_PERSON, COCO_PERSON + 100.0])[None]  # (1, 2, 17, 2)
    converted = skeleton.mvor10_from_coco17(batch)
    assert converted.shape == (1, 2, 10, 2)
    np.testing.assert_allclose(converted[0, 1] - converted[0, 0], 100.0)


def test_sigmas_equal_pycocotools():
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    np.testing.assert_array_equal(skeleton.COCO17_SIGMAS, cocoeval.Params(iouType="keypoints").kpt_oks_sigmas)


def test_flip_horizontally_by_hand():
    keypoints = np.column_stack([COCO_PERSON, np.arange(17) / 17.0])  # (17, 3): x, y px, score
    flipped = skeleton.flip_horizontally(keypoints, width=100.0)
    np.testing.assert_allclose(flipped[0], [50, 10, 0])
    np.testing.assert_allclose(flipped[COCO17.index("left_wrist")], [64, 70, 10 / 17])  # was the right wrist at x = 36
    np.testing.assert_allclose(keypoints[:, :2], COCO_PERSON)  # the argument is left alone


@given(width=st.integers(1, 4000), seed=st.integers(0, 1000))
def test_flipping_twice_changes_nothing(width, seed):
    keypoints = np.random.default_rng(seed).uniform(0, width, (2, 17, 3)).round(3)
    twice = skeleton.flip_horizontally(skeleton.flip_horizontally(keypoints, width), width)
    np.testing.assert_allclose(twice, keypoints, atol=1e-9)


@given(seed=st.integers(0, 1000))
def test_flip_and_conversion_to_h36m17_commute(seed):
    keypoints = np.random.default_rng(seed).uniform(0, 640, (17, 2))
    one_way = skeleton.h36m17_from_coco17(skeleton.flip_horizontally(keypoints, 640))
    other_way = skeleton.flip_horizontally(skeleton.h36m17_from_coco17(keypoints), 640, H36M17)
    np.testing.assert_allclose(one_way, other_way, atol=1e-9)


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (skeleton.h36m17_from_coco17, (16, 2), r"coco17 keypoints: expected shape \(\.\.\., 17, D\), got \(16, 2\)"),
        (skeleton.mvor10_from_h36m17, (17,), r"h36m17 keypoints: expected shape \(\.\.\., 17, D\), got \(17,\)"),
        (skeleton.h36m17_scores_from_coco17, (3, 10), r"coco_scores: expected shape \(\.\.\., 17\), got \(3, 10\)"),
    ],
)
def test_a_wrong_shape_is_named(function, shape, message):
    with pytest.raises(ValueError, match=message):
        function(np.zeros(shape))
