"""Who lifters are fitted on: poses in the room from the labels of several cameras, and their views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orpose_models.annotations import Camera, LabelledImage, PersonLabel

torch = pytest.importorskip("torch")

from training.data.dataset import Item, LabelConfig  # noqa: E402
from training.distill.lifter_noise import NoiseConfig, disturb  # noqa: E402
from training.distill.lifter_people import labelled_people, people_in_views, poses_in_room  # noqa: E402

#: Looks along room x from (1, 2, 3): its right is room -y, its down room -z.
ROOM_FROM_CAMERA = np.array([[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]], float)


def item(person_id: int, sequence: str = "a", camera: bool = True, known: float = 2.0) -> Item:
    joints_3d = np.column_stack([np.tile([100.0, 200.0, 4000.0], (17, 1)), np.full(17, known)])
    keypoints = np.column_stack([np.full((17, 2), 50.0), [2.0] * 12 + [1.0] * 3 + [0.0] * 2])
    label = PersonLabel(1, 1, np.array([10.0, 20, 30, 60]), keypoints, person_id=person_id, keypoints_3d=joints_3d)
    pose = Camera("c", "plumb_bob", (320, 240), 300, 300, 160, 120, (), ROOM_FROM_CAMERA) if camera else None
    return Item(Path("a.png"), LabelledImage(1, "a.png", 320, 240, sequence=sequence, frame_index=0), [label], pose)


def test_labels_are_scaled_to_480_lines_and_3d_is_relative_to_the_pelvis():
    people = labelled_people([item(1)], LabelConfig(hidden_confidence=0.5), (640, 480))
    assert people.joints[0, 0].tolist() == [100, 100]
    assert people.boxes[0].tolist() == [20, 40, 80, 160]
    assert people.confidence[0].tolist() == [1.0] * 12 + [0.5] * 3 + [0.0] * 2
    assert not people.joints_3d.any()


@pytest.mark.parametrize(("size", "joint", "box"), [
    ((320, 240), (25, 85), (5, 70, 20, 100)),
    ((848, 480), (33.125, 34.625), (6.625, 14.75, 26.5, 54.5)),
])  # fmt: skip
def test_a_wide_image_is_where_the_networks_input_has_it(size, joint, box):
    """1280 x 720: half as large in the middle of a 4:3 frame of 480 lines, 848 wide in a 16:9 one, a little lower."""
    one = item(1)
    wide = Item(one.path, LabelledImage(1, "a.png", 1280, 720), one.persons)
    people = labelled_people([wide], LabelConfig(), size)
    np.testing.assert_allclose(people.joints[0, 0], joint, rtol=1e-5)
    np.testing.assert_allclose(people.boxes[0], box, rtol=1e-5)


def test_a_pose_is_taken_once_a_person_and_moment_into_the_room():
    items = [item(1), item(1), item(2), item(1, "b"), item(3, camera=False), item(4, known=0.0)]
    poses = poses_in_room(items)
    assert len(poses) == 3
    np.testing.assert_allclose(poses[0, 0], [1 + 4.0, 2 - 0.1, 3 - 0.2], atol=1e-5)


@pytest.mark.parametrize(("moments", "poses"), [(({"stamp_ns": 1}, {"stamp_ns": 2}), 2), (({}, {}), 2),
                                                (({"stamp_ns": 1}, {"stamp_ns": 1}), 1)])  # fmt: skip
def test_a_moment_without_frame_index_is_told_by_its_stamp_or_by_its_image(moments, poses):
    items = []
    for name, moment in zip("ab", moments, strict=True):
        one = item(1)
        image = LabelledImage(1, f"{name}.png", 320, 240, sequence="a", **moment)
        items.append(Item(one.path, image, one.persons, one.camera))
    assert len(poses_in_room(items)) == poses


def test_views_have_boxes_around_the_joints_that_they_show():
    poses = torch.randn(5, 17, 3, generator=torch.Generator().manual_seed(0)) * 0.3 + torch.tensor([0.0, 0, 1])
    people = people_in_views(poses, 300, torch.Generator().manual_seed(0))
    seen = people.confidence > 0
    inside = (people.joints >= people.boxes[:, None, :2]) & (people.joints <= people.boxes[:, None, 2:])
    assert inside.all(dim=-1)[seen].all() and len(people) > 250
    assert not people.joints_3d[:, 0].any()


def drawn(config: NoiseConfig, count: int = 2000, seed: int = 0):
    people = labelled_people([item(1)] * count, LabelConfig(), (640, 480))
    joints, confidence = disturb(people, config, torch.Generator().manual_seed(seed))
    return people, joints, confidence


def test_without_noise_joints_and_confidences_are_the_labels():
    people, joints, confidence = drawn(NoiseConfig(spread=0, heavy_tails=False, dropped=0, scores=False))
    known = people.confidence > 0
    assert torch.equal(joints[known], people.joints[known])
    assert torch.equal(confidence, people.confidence)


def test_unknown_joints_are_anywhere_in_the_box_and_surely_unknown_for_half_of_the_people():
    people, joints, confidence = drawn(NoiseConfig(dropped=0))
    place = (joints[:, 16] - people.boxes[:, :2]) / (people.boxes[:, 2:] - people.boxes[:, :2])
    assert place.min() >= 0 and place.max() <= 1 and abs(float(place.mean()) - 0.5) < 0.03
    assert 0.45 < float((confidence[:, 16] == 0).float().mean()) < 0.55
    assert float(confidence[:, 16].mean()) < 0.2 < 0.6 < float(confidence[:, 0].mean())


def test_the_spread_is_a_share_of_the_box_and_hidden_joints_have_twice_that():
    people, joints, _ = drawn(NoiseConfig(spread=0.05, heavy_tails=False, dropped=0))
    deviation = (joints - people.joints).square().mean(dim=(0, 2)).sqrt()
    expected = 0.05 * 120 * (1 / 3) ** 0.5  # the level is uniform in 0-1
    torch.testing.assert_close(deviation[:12], torch.full((12,), expected), rtol=0.1, atol=0)
    torch.testing.assert_close(deviation[12:15], torch.full((3,), 2 * expected), rtol=0.1, atol=0)


def test_scores_fall_with_the_error():
    people, joints, confidence = drawn(NoiseConfig())
    error = (joints - people.joints).norm(dim=-1)[:, :12]
    near, far = error < 3, error > 20
    assert float(confidence[:, :12][near].mean()) > float(confidence[:, :12][far].mean()) + 0.3


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (1.0, 0.5)])
def test_legs_are_lost_below_drapes(share: float, expected: float):
    """For half of those who lose anything; half of these have confidence 0 there."""
    _, _, confidence = drawn(NoiseConfig(dropped=share, heavy_tails=False))
    both_knees = (confidence[:, 13] == 0) & (confidence[:, 14] == 0)
    assert abs(float(both_knees.float().mean()) - expected / 2) < 0.06
