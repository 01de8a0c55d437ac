"""Places in metres: a known body before known lenses, behind tables, without depth, without sense."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.depth import DepthImage
from orpose_models.lens import Lens
from orpose_models.metric3d import _BELOW_SURFACE_M, located
from orpose_models.runtime.types import Person, RootSource
from orpose_models.skeleton import H36M17, H36M17_SOURCES

SIZE = (640, 480)
LENSES = {
    "plumb_bob": Lens("plumb_bob", 520, 525, 322, 238, (-0.2, 0.05, 0.001, -0.001, 0.0)),
    "rational_polynomial": Lens(
        "rational_polynomial", 510, 510, 320, 240, (0.5, -2.0, 4e-4, -2e-4, 1.5, 0.4, -1.9, 1.4)
    ),
    "equidistant": Lens("equidistant", 300, 300, 320, 240, (-0.01, 0.002, 0.0, 0.0)),
}
#: Human3.6M-17, m from the pelvis: somebody who stands with the arms a little forward.
BODY = np.array([
    (0, 0, 0), (-.13, 0, 0), (-.14, .42, .02), (-.14, .84, .05), (.13, 0, 0), (.14, .42, .02), (.14, .84, .05),
    (0, -.24, 0), (0, -.48, 0), (0, -.62, -.02), (0, -.74, 0),
    (.18, -.48, 0), (.22, -.22, -.06), (.18, -.10, -.28), (-.18, -.48, 0), (-.22, -.22, -.06), (-.18, -.10, -.28),
])  # fmt: skip
LEGS = [H36M17.index(name) for name in ("right_knee", "right_ankle", "left_knee", "left_ankle")]


def standing(lens: Lens, at_m, score: float = 0.8) -> Person:
    """The body seen by a perfect network; the head's 2D joints are those of the ears, in its middle."""
    joints = BODY + at_m
    coco = np.full((17, 3), score)
    for row, sources in enumerate(H36M17_SOURCES):
        if len(sources) == 1:
            coco[sources[0], :2] = lens.project(joints[row][None])[0]
    coco[[0, 1, 2, 3, 4], :2] = lens.project(joints[H36M17.index("head")][None])
    relative = np.column_stack([BODY * 1000, np.full(17, score)])
    box = np.array([*coco[:, :2].min(0), *np.ptp(coco[:, :2], axis=0)])
    return Person(0.9, box.astype(np.float32), coco.astype(np.float32), relative.astype(np.float32))


def seen_depth(lens: Lens, at_m, background_m: float = 6.0) -> np.ndarray:
    """`(H, W)` float m: around each joint the surface of the body, elsewhere the wall."""
    depth = np.full((SIZE[1], SIZE[0]), background_m, np.float32)
    joints = BODY + at_m
    pixels = lens.project(joints)
    for joint in np.argsort(-joints[:, 2]):  # the nearest last
        if joint != H36M17.index("head_top"):
            x, y = np.floor(pixels[joint]).astype(int)
            depth[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = joints[joint, 2] - _BELOW_SURFACE_M[joint]
    return depth


@pytest.mark.parametrize("model", LENSES)
def test_joints_are_where_they_are_under_every_lens(model):
    lens, at_m = LENSES[model], np.array([0.4, 0.1, 2.6])
    person = located(standing(lens, at_m), lens, DepthImage(seen_depth(lens, at_m), 1.0), SIZE)
    errors = np.linalg.norm(person.keypoints_3d_metric[:, :3] - (BODY + at_m), axis=1)
    # Trunk joints are sampled at the mean of projected joints, which is not quite the projection of the mean.
    assert errors.max() < 0.06
    assert np.median(errors) < 0.01
    np.testing.assert_allclose(person.keypoints_3d_metric[:16, 3][np.arange(16) != 10], 0.8)
    assert person.root.source == RootSource.DEPTH
    assert person.root.position_m == pytest.approx(at_m, abs=0.05)
    assert np.sqrt(np.diag(person.root.covariance_m2)).max() < 0.1


def test_millimetres():
    lens, at_m = LENSES["plumb_bob"], np.array([0.0, 0.0, 3.0])
    values = np.round(seen_depth(lens, at_m) * 1000).astype(np.uint16)
    person = located(standing(lens, at_m), lens, DepthImage(values, 0.001), SIZE)
    assert person.root.position_m == pytest.approx(at_m, abs=0.05)


def test_legs_behind_a_table_are_put_below_the_body_with_half_the_score():
    lens, at_m = LENSES["plumb_bob"], np.array([0.0, 0.0, 3.0])
    depth = seen_depth(lens, at_m)
    knees_px = lens.project((BODY + at_m)[LEGS])
    depth[int(knees_px[:, 1].min()) - 10 :] = 1.6  # a table in front of the legs
    person = located(standing(lens, at_m), lens, DepthImage(depth, 1.0), SIZE)
    np.testing.assert_allclose(person.keypoints_3d_metric[LEGS, :3], (BODY + at_m)[LEGS], atol=0.05)
    np.testing.assert_allclose(person.keypoints_3d_metric[LEGS, 3], 0.4)
    np.testing.assert_allclose(person.keypoints_3d_metric[H36M17.index("neck"), 3], 0.8)


def test_somebody_who_is_mostly_hidden_is_not_where_the_occluder_is():
    lens, at_m = LENSES["plumb_bob"], np.array([0.0, 0.0, 3.0])
    depth = seen_depth(lens, at_m)
    depth[int(lens.project((BODY + at_m)[[7]])[0, 1]) - 8 :] = 1.5  # all below the chest, hands too
    person = located(standing(lens, at_m), lens, DepthImage(depth, 1.0), SIZE)
    assert person.root.position_m == pytest.approx(at_m, abs=0.1)


def test_a_joint_beside_the_body_does_not_fall_onto_the_wall():
    lens, at_m = LENSES["plumb_bob"], np.array([0.0, 0.0, 3.0])
    person = standing(lens, at_m)
    person.keypoints[9, 0] += 40  # the left wrist, as a coarse network finds it
    found = located(person, lens, DepthImage(seen_depth(lens, at_m), 1.0), SIZE).keypoints_3d_metric
    wrist = H36M17.index("left_wrist")
    assert found[wrist, 2] == pytest.approx((BODY + at_m)[wrist, 2], abs=0.05)
    assert found[wrist, 3] == pytest.approx(0.4)


@pytest.mark.parametrize("model", LENSES)
def test_without_depth_the_root_comes_from_the_body_size(model):
    lens, at_m = LENSES[model], np.array([-0.5, 0.2, 3.5])
    person = located(standing(lens, at_m), lens, None, SIZE)
    assert person.keypoints_3d_metric is None
    assert person.root.source == RootSource.SIZE
    assert person.root.position_m == pytest.approx(at_m, abs=0.03)
    deviations = np.sqrt(np.diag(person.root.covariance_m2))
    assert 0.2 < deviations[2] < 0.6, "seven hundredths of the distance, and more"
    assert deviations[:2].max() < deviations[2]


def test_a_small_person_is_taken_for_an_average_one_farther_away_within_the_uncertainty():
    lens, at_m = LENSES["plumb_bob"], np.array([0.0, 0.0, 3.0])
    person = standing(lens, at_m * 1.1)  # looks as somebody of nine tenths at 3 m
    root = located(person, lens, None, SIZE).root
    error = root.position_m - at_m
    assert 0.2 < error[2] < 2 * np.sqrt(root.covariance_m2[2, 2])


def test_one_wild_joint_moves_the_root_little():
    lens, at_m = LENSES["plumb_bob"], np.array([0.0, 0.0, 3.0])
    person = standing(lens, at_m)
    person.keypoints[16, :2] += 150
    assert located(person, lens, None, SIZE).root.position_m == pytest.approx(at_m, abs=0.15)


def test_depth_without_anything_in_it_is_no_depth():
    lens, at_m = LENSES["plumb_bob"], np.array([0.0, 0.0, 3.0])
    person = located(standing(lens, at_m), lens, DepthImage(np.zeros((480, 640), np.uint16), 0.001), SIZE)
    assert person.keypoints_3d_metric is None
    assert person.root.source == RootSource.SIZE


def test_scores_of_zero_still_measure():
    lens, at_m = LENSES["plumb_bob"], np.array([0.0, 0.0, 3.0])
    person = located(standing(lens, at_m, score=0.0), lens, DepthImage(seen_depth(lens, at_m), 1.0), SIZE)
    assert person.root.position_m == pytest.approx(at_m, abs=0.05)
    assert person.keypoints_3d_metric[:, 3].max() == 0


def test_joints_in_one_place_have_no_root():
    person = Person(0.9, np.zeros(4, np.float32), np.full((17, 3), 100, np.float32), np.zeros((17, 4), np.float32))
    located_person = located(person, LENSES["plumb_bob"], None, SIZE)
    assert located_person.root is None
